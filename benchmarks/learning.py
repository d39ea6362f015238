"""Does retraining learn what people like, and only what many of them like?

python -m benchmarks.learning      (promised: held-out preference accuracy 75 %, win rate 65 %, other figures
                                    within 2 %; one rater with 500 contrary ratings moves nothing)

Made-up raters share a hidden preference: a narrative should name a price, and be short. Each is told four
narratives of one occasion by the embedded bundle, and gives the best a thumb up and the worst a thumb down;
what comes of it is asked of shoppers from whom nothing was learned, by their thumbs and by any two of their
four. Then the same with a rater who says the contrary 500 times, with that rater alone, and with three
who say the contrary while held-out people are honest, so that the gate alone must see it. What was told,
encoded or retrained before is kept in .cache/learning, so a run that was stopped goes on.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from crs.bundle import Bundle, default_path, split_users
from crs.content import Encoder, KeptEncoder, OnceEncoder
from crs.evaluation.occasions import Occasion, occasions
from crs.evaluation.record import write_record
from crs.learning.gate import difference_interval, narrate, rewards
from crs.learning.preferences import Occasion as RatedOccasion
from crs.learning.preferences import Preference
from crs.learning.report import Outcome
from crs.measures import Measured, measure
from crs.ranking.metrics import interval
from crs.retrain import retrain
from crs.rows import FusedRows
from crs.training.preference import TuningSettings
from crs.versions import in_use
from knowledge.feedback import FeedbackLog, Rating
from knowledge.types import Task

OUT = Path("benchmarks/results/learning.json")
WORK = Path(".cache/learning")
TASK: Task = "product_endorsement"
N_OCCASIONS = {"train": 100, "valid": 25, "test": 50}  # of each split
N_TELLINGS = 4  # of each occasion
N_SINGLE = 10  # of as many occasions one is rated with one thumb only
N_CONTRARY, N_PUPPETS = 500, 100  # ratings by one rater; by each of three
N_HELD_PER_TASK = {"honest": 20}  # narratives of each task for the gate
N_HELD_OF_OTHERS = 10  # in the runs that are not named above
N_TOLD_ANEW = 2  # tellings of each test occasion by a new version
WORTH_OF_A_PRICE = 30  # words
_KEPT_AT_ONCE = 25  # occasions told between two looks at the disk
_PRICE = re.compile(r"\$ ?\d")
_MARGINS = (("under 5 words", 0, 5), ("5 to 14 words", 5, 15), ("15 and more", 15, 10**9))


@dataclass(frozen=True)
class Compared:
    """Narratives of one occasion, and the purchases that they are told from."""

    occasion: Occasion
    texts: tuple[str, ...]
    history_ids: tuple[str, ...]

    @property
    def best_and_worst(self) -> tuple[str, str]:
        """By the hidden preference."""
        return max(self.texts, key=liking), min(self.texts, key=liking)


def liking(text: str) -> float:
    """The hidden preference."""
    return WORTH_OF_A_PRICE * bool(_PRICE.search(text)) - len(text.split())


def main() -> None:
    """Collect the ratings, retrain four times, measure, write the record."""
    bundle, encoder = Bundle.open(default_path()), OnceEncoder(KeptEncoder(Encoder(), WORK))
    rows = FusedRows(bundle, encoder)
    told = {split: _told(bundle, encoder, rows, split, n) for split, n in N_OCCASIONS.items()}
    honest = [*_rated(told["train"]), *_rated(told["valid"])]
    raters = split_users(f"contrary {i}" for i in range(20))["train"]  # from whom one may learn
    contrary = _contrary(told["train"], raters[0], N_CONTRARY)
    puppets = [rating for rater in raters[:3] for rating in _contrary(told["train"], rater, N_PUPPETS)]
    runs = {
        "honest": honest,
        "honest and one contrary": [*honest, *contrary],
        "one contrary alone": contrary,
        "three contrary and honest held-out people": [*puppets, *_rated(told["valid"])],
    }
    measuring = Measuring(bundle, encoder, rows, told["test"])
    figures: dict[str, Any] = {}
    config = {
        "occasions": N_OCCASIONS, "tellings": N_TELLINGS, "task": TASK,
        "contrary": N_CONTRARY, "puppets": N_PUPPETS,
        "held_per_task": N_HELD_PER_TASK | {"others": N_HELD_OF_OTHERS},
        "settings": asdict(TuningSettings()), "version": bundle.version,
    }  # fmt: skip
    for name, ratings in runs.items():
        figures[name] = _once(f"figures {name}", partial(_run, name, ratings, bundle, encoder, measuring))
        write_record(OUT, config, figures)
        print(json.dumps({name: figures[name]}, indent=2), flush=True)


class Measuring:
    """What a new version does on test shoppers, beside what the first does; the first is measured once."""

    def __init__(
        self, first: Bundle, encoder: OnceEncoder, rows: FusedRows, told: Sequence[Compared]
    ) -> None:
        self._first, self._encoder, self._rows, self._told = first, encoder, rows, told
        self._before: Measured | None = None

    def __call__(self, new: Bundle) -> dict[str, Any]:
        """Preference accuracy, win rate by the hidden preference, and the other figures, old and new."""
        rows = self._rows.for_version(new)
        asked = [tell for each in self._told for tell in _tellings(each.occasion, N_TOLD_ANEW)]
        texts = [each.text for each in narrate(new, self._encoder, rows, asked, WORK / "gguf")]
        olds = [each.texts for each in self._told for _ in range(N_TOLD_ANEW)]
        wins = [_wins(liking(now) - liking(was)) for now, old in zip(texts, olds, strict=True) for was in old]
        asked_of = [i for i, each in enumerate(self._told) for _ in range(N_TOLD_ANEW * len(each.texts))]
        earlier = [text for each in self._told for text in each.texts]
        self._before = self._before or self._measured(self._first)
        return self._accuracies(new) | {
            "win_rate": _mean(wins, asked_of),
            "n_told_anew": len(texts),
            "names_a_price": _old_and_new(lambda text: bool(_PRICE.search(text)), earlier, texts),
            "words": _old_and_new(lambda text: len(text.split()), earlier, texts),
            "others": _others(self._before, self._measured(new)),
        }

    def _accuracies(self, new: Bundle) -> dict[str, Any]:
        """How often the reward is larger for what is liked better: of best and worst, and of any two."""
        alone = [
            Preference(each.occasion.user_id, _rated_occasion(each), text, None)
            for each in self._told
            for text in each.texts
        ]
        rewarded = iter(rewards(self._first, new, self._rows, alone))
        thumbs: list[float] = []
        any_two: list[tuple[int, float, float]] = []  # occasion, how much better one is, whether rewarded
        for i, each in enumerate(self._told):
            of = {text: next(rewarded)[0] for text in each.texts}
            best, worst = each.best_and_worst
            if liking(best) != liking(worst):
                thumbs.append(_wins(of[best] - of[worst]))
            for one, other in combinations(of, 2):
                margin = liking(one) - liking(other)
                if margin:
                    any_two.append((i, abs(margin), _wins((of[one] - of[other]) * margin)))
        return {
            "preference_accuracy": _mean(thumbs, range(len(thumbs))),
            "n_preferences": len(thumbs),
            "accuracy_of_any_two": _mean([won for *_, won in any_two], [i for i, *_ in any_two]),
            "n_any_two": len(any_two),
            "accuracy_of_any_two_by_how_much_better": {
                name: float(np.mean([won for _, margin, won in any_two if low <= margin < high]))
                for name, low, high in _MARGINS
            },
        }

    def _measured(self, bundle: Bundle) -> Measured:
        return measure(bundle, self._encoder, self._rows.for_version(bundle), bundle.splits["test"])


def _others(before: Measured, after: Measured) -> dict[str, Any]:
    """What nobody rated."""
    return {
        "hit_rate": _pair(before.hit_rate, after.hit_rate),
        "reference_loss": _pair(before.loss, after.loss),
    }


def _at_the_gate(outcome: Outcome) -> dict[str, Any]:
    """What the gate looked at; the difference of a share with its 90 % interval, in points."""
    before, after = outcome.before, outcome.after
    if before is None or after is None:
        return {}
    was, now = before.narratives, after.narratives
    few = difference_interval(was.wrong_sentences, now.wrong_sentences)
    return _others(before.measured, after.measured) | {
        "n_narratives": len(now.told),
        "wrong_claims": _pair(was.wrong_claims, now.wrong_claims),
        "wrong_claims_points_more": [100 * end for end in few],
        "plain_statements": _pair(was.empty, now.empty),
        "preference_accuracy": after.accuracy,
    }


def _pair(before: float | None, after: float | None) -> dict[str, float | None]:
    return {"before": before, "after": after}


def _old_and_new(of: Callable[[str], float], old: Sequence[str], new: Sequence[str]) -> dict[str, Any]:
    return _pair(*(float(np.mean([of(text) for text in texts])) for texts in (old, new)))


def _run(
    name: str, ratings: Sequence[Rating], bundle: Bundle, encoder: OnceEncoder, measuring: Measuring
) -> dict[str, Any]:
    """Retrain on ``ratings`` in a data folder of their own, and measure what was promoted."""
    data_dir = WORK / _slug(name)
    figures = _once(f"retrained {name}", partial(_retrained, name, ratings, bundle, encoder, data_dir))
    return figures | (measuring(Bundle.open(in_use(bundle.path, data_dir))) if figures["promoted"] else {})


def _retrained(
    name: str, ratings: Sequence[Rating], bundle: Bundle, encoder: OnceEncoder, data_dir: Path
) -> dict[str, Any]:
    log_path = data_dir / "feedback.sqlite"
    log_path.unlink(missing_ok=True)
    with FeedbackLog(log_path) as log:
        for rating in ratings:
            log.append(rating)
    started = time.perf_counter()
    n_told = N_HELD_PER_TASK.get(name, N_HELD_OF_OTHERS)
    outcome = retrain(
        bundle.path, data_dir=data_dir, encoder=encoder, n_told_per_task=n_told, progress=_progress
    )
    new = Bundle.open(in_use(bundle.path, data_dir))
    (data_dir / "report.txt").write_text("\n".join(outcome.lines()) + "\n", encoding="utf-8")
    return {
        "ratings": len(ratings),
        "learned_preferences": outcome.n_preferences,
        "raters": outcome.n_raters,
        "promoted": outcome.promoted,
        "reason": outcome.reason,
        "at_the_gate": _at_the_gate(outcome),
        "in_use": "the first" if new.version == bundle.version else "the new version",
        "seconds": round(time.perf_counter() - started),
    }


def _told(bundle: Bundle, encoder: OnceEncoder, rows: FusedRows, split: str, n: int) -> list[Compared]:
    """`N_TELLINGS` narratives of each of ``n`` occasions of the split's shoppers."""
    asked = occasions(bundle, bundle.splits[split], n, seed=29, tasks=[TASK])[TASK]

    def tell(some: Sequence[Occasion]) -> list[list[str]]:
        tellings = [telling for each in some for telling in _tellings(each, N_TELLINGS)]
        told = narrate(bundle, encoder, rows, tellings, WORK / "gguf", lambda *at: _progress(split, *at))
        texts = [each.text for each in told]
        return [texts[i : i + N_TELLINGS] for i in range(0, len(texts), N_TELLINGS)]

    found: list[list[str]] = []
    for start in range(0, n, _KEPT_AT_ONCE):
        some = asked[start : start + _KEPT_AT_ONCE]
        name = f"told {split} {start} to {start + len(some)} {bundle.version}"
        found += _once(name, partial(tell, some))
    return [
        Compared(each, tuple(texts), tuple(purchase.item_id for purchase in each.history(bundle.store)))
        for each, texts in zip(asked, found, strict=True)
    ]


def _tellings(occasion: Occasion, n: int) -> list[Occasion]:
    return [replace(occasion, seed=occasion.seed + 10_000 * k) for k in range(n)]


def _rated(told: Iterable[Compared]) -> Iterator[Rating]:
    """Thumbs by the hidden preference; of some occasions only one narrative is rated."""
    for i, each in enumerate(told):
        thumbs = list(_thumbs(each, 1, each.occasion.user_id, f"{each.occasion.user_id}-{i}"))
        yield from thumbs if i % N_SINGLE else thumbs[i // N_SINGLE % 2 :][:1]


def _contrary(told: Sequence[Compared], rater: str, n: int) -> list[Rating]:
    """``n`` thumbs against the hidden preference by one rater, on narratives of anybody."""
    thumbs = [
        thumb for turn in range(n) for thumb in _thumbs(told[turn % len(told)], -1, rater, f"{rater}-{turn}")
    ]
    return thumbs[:n]


def _thumbs(told: Compared, sign: int, rater: str, name: str) -> Iterator[Rating]:
    """A thumb up for the best and one down for the worst; with ``sign`` -1 the contrary."""
    if liking(told.best_and_worst[0]) == liking(told.best_and_worst[1]):
        return
    for k, (text, thumb) in enumerate(zip(told.best_and_worst, (sign, -sign), strict=True)):
        yield Rating(
            name, f"{name}-{k}", rater, TASK, told.occasion.target_id, thumb, text=text,
            history_ids=told.history_ids, seed=told.occasion.seed, created_s=0.0,
        )  # fmt: skip


def _rated_occasion(told: Compared) -> RatedOccasion:
    return RatedOccasion(told.occasion.user_id, TASK, told.occasion.target_id, told.history_ids)


def _once(name: str, make: Callable[[], Any]) -> Any:
    """What ``make`` made, kept as JSON."""
    path = WORK / f"{_slug(name)}.json"
    if not path.exists():
        made = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(made))
    return json.loads(path.read_text())


def _mean(values: Sequence[float], owners: Sequence[int]) -> dict[str, float]:
    """Mean with its 95 % interval; values of one owner belong together."""
    low, high = interval(np.array(values), np.array(owners))
    return {"value": float(np.mean(values)), "low": low, "high": high}


def _wins(margin: float) -> float:
    return 0.5 if margin == 0 else float(margin > 0)


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name)


def _progress(stage: str, done: int, total: int) -> None:
    if done % 20 == 0 or done == total:
        print(time.strftime("%H:%M:%S"), stage, f"{done} of {total}", flush=True)


if __name__ == "__main__":
    main()
