"""What a retraining came to, in plain words, with narratives before and after side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from crs.evaluation.occasions import Occasion
from crs.learning.gate import Held, Narratives, difference_interval
from crs.narrator.sentence import sentences

N_SHOWN = 5  # narratives side by side
_PRICE = re.compile(r"\$ ?\d")
_POINTER = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class Outcome:
    """What came of a retraining; ``version`` is None when there was nothing to learn from.

    ``n_preferences`` were given by ``n_raters`` people; ``n_pairs`` are products that people like or own.
    """

    version: str | None
    promoted: bool
    reason: str
    n_pairs: int = 0
    n_preferences: int = 0
    n_raters: int = 0
    before: Held | None = None
    after: Held | None = None

    def lines(self) -> list[str]:
        """The outcome in plain words."""
        people = "person" if self.n_raters == 1 else "people"
        lines = [
            f"learned from {self.n_pairs} liked or owned products and from {self.n_preferences} preferences "
            f"of {self.n_raters} {people}"
        ]
        if self.before is not None and self.after is not None:
            lines += ["on shoppers from whom nothing was learned:", *_figures(self.before, self.after)]
            lines += list(side_by_side(self.before.narratives, self.after.narratives))
        kept = f"version {self.version} is now in use" if self.promoted else "the old version stays in use"
        return [*lines, f"{kept}: {self.reason}"]


def _figures(before: Held, after: Held) -> Iterator[str]:
    old, new = before.measured, after.measured
    yield f"  the next purchase is among the first ten for {new.hit_rate:.1%} (before: {old.hit_rate:.1%})"
    if old.loss is not None and new.loss is not None:
        yield f"  reference narratives cost {new.loss:.4f} nats a token ({old.loss:.4f})"
    was, now = before.narratives, after.narratives
    if not now.told:
        return
    wrong = f"{now.wrong_claims:.1%} of sentences before the gate ({was.wrong_claims:.1%})"
    low, high = (100 * end for end in difference_interval(was.wrong_sentences, now.wrong_sentences))
    yield f"  a wrong claim is in {wrong}, a difference of {low:+.1f} to {high:+.1f} points by so few"
    yield f"  a plain statement stands in for {now.empty:.1%} of narratives ({was.empty:.1%})"
    yield f"  narratives have {now.words:.1f} words on average ({was.words:.1f})"
    yield f"  {_share(now, _PRICE):.1%} name a price ({_share(was, _PRICE):.1%})"
    yield f"  they name {_mentions(now):.1f} purchases on average ({_mentions(was):.1f})"
    if after.accuracy is None:
        yield "  no held-out person has said what they prefer, so that could not be checked"
    else:
        share = f"{after.accuracy:.1%} of comparisons (chance: 50%)"
        yield f"  it moves towards what held-out people like in {share}"


def side_by_side(before: Narratives, after: Narratives, n: int = N_SHOWN) -> Iterator[str]:
    """Up to ``n`` narratives that changed, as they were and as they are, of as many tasks as there are."""
    changed = [
        (occasion, was.text, now.text)
        for (occasion, was), (_, now) in zip(before.told, after.told, strict=True)
        if was.text != now.text
    ]
    turns: dict[str, int] = {}

    def turn(entry: tuple[Occasion, str, str]) -> int:
        turns[entry[0].task] = turns.get(entry[0].task, -1) + 1
        return turns[entry[0].task]

    ranked = sorted(((turn(entry), i) for i, entry in enumerate(changed)), key=lambda each: each)
    for _, i in ranked[:n]:
        occasion, was, now = changed[i]
        yield f"{occasion.task} of {occasion.user_id}"
        yield f"  before: {_one_line(was)}"
        yield f"  after:  {_one_line(now)}"
    if before.told and not changed:
        yield "not one narrative changed"


def _share(narratives: Narratives, pattern: re.Pattern[str]) -> float:
    return sum(bool(pattern.search(each.text)) for _, each in narratives.told) / len(narratives.told)


def _mentions(narratives: Narratives) -> float:
    return sum(len(set(_POINTER.findall(each.text))) for _, each in narratives.told) / len(narratives.told)


def _one_line(text: str) -> str:
    return " ".join(" ".join(sentences(text)).split())
