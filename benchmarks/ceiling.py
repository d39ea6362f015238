"""How much can CF add to explanations of the demo store? What who knows all that can be known would score.

python -m benchmarks.ceiling

The store's generator knows why every purchase was made. Asked again, it tells in other words what could be
said at best: with the true cause; with another circle in the place of the true one, which is what CF alone
can tell apart; with a cause drawn from those of other purchases of the same kind of product, which is what
content tells; and of the same product, which is what may be remembered of it. Each text is the consensus of
several, scored as in Table 1 against the store's own references.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from crs.bundle import Bundle
from crs.content import Encoder
from crs.evaluation.narratives.consensus import consensus
from crs.evaluation.narratives.scores import METRICS, Scored, differences, score, scorer_config
from crs.evaluation.record import write_record
from knowledge.demo.catalogue import make_catalogue
from knowledge.demo.causes import Cause
from knowledge.demo.narratives.facts import purchase_facts
from knowledge.demo.narratives.writer import NarrativeWriter
from knowledge.demo.shoppers import Purchase, Shopper, make_circles, make_shopper
from knowledge.demo.words import load_words
from knowledge.types import Narrative, Task

OUT = Path("benchmarks/results/ceiling.json")
TASKS: tuple[Task, ...] = ("purchase_reason", "purchase_reason_explanation")
STORE_SEED = 7  # that of the embedded store
N_SAMPLES = 8
KNOWN, CIRCLE_GUESSED, BY_KIND, BY_PRODUCT = (
    "cause known", "cause known, circle guessed", "cause of the kind", "cause of the product",
)  # fmt: skip
# Causes that lean on no earlier purchase, and so can stand in for one another.
_ALONE = frozenset({"need", "gift", "event", "season", "circle", "system"})


class Oracle:
    """Tells the purchases of the store's shoppers anew, by what their causes are taken for."""

    def __init__(self, learned_from: Sequence[Shopper], rng: random.Random) -> None:
        self._rng = rng
        self._writer = NarrativeWriter(rng)
        self._circles = load_words().circles
        self._by_kind: dict[str, list[Cause]] = defaultdict(list)
        self._by_product: dict[str, list[Cause]] = defaultdict(list)
        for purchase in (purchase for shopper in learned_from for purchase in shopper.purchases):
            if purchase.cause.name in _ALONE:
                cause = replace(purchase.cause, earlier=())
                self._by_kind[purchase.product.kind.kind].append(cause)
                self._by_product[purchase.product.item.item_id].append(cause)

    def guesses(self, purchase: Purchase) -> dict[str, Callable[[], Cause]]:
        """By name of the narrator: what it takes the cause of ``purchase`` for, each time it is asked."""
        true = purchase.cause
        # That a lamp replaces a lamp is seen in the history, whatever is known of circles.
        is_seen = true.name not in _ALONE
        kind, item_id = purchase.product.kind.kind, purchase.product.item.item_id
        of_kind = [true] if is_seen else self._by_kind[kind] or [true]
        of_product = [true] if is_seen else self._by_product[item_id] or of_kind
        others = [circle for circle in self._circles if circle != true.circle] if true.circle else [None]
        return {
            KNOWN: lambda: true,
            CIRCLE_GUESSED: lambda: replace(true, circle=self._rng.choice(others)),
            BY_KIND: lambda: self._rng.choice(of_kind),
            BY_PRODUCT: lambda: self._rng.choice(of_product),
        }

    def tell(self, shopper: Shopper, narrative: Narrative, guess: Callable[[], Cause]) -> str:
        """The consensus of some texts on the purchase that ``narrative`` is about."""
        history = shopper.purchases[: narrative.n_history]
        purchase = shopper.purchases[narrative.n_history]

        def text() -> str:
            told = replace(purchase, cause=guess())
            return self._writer.text(
                narrative.task,
                told.cause.name,
                lambda: purchase_facts(shopper, history, told, "their", self._rng),
            )

        return consensus([text() for _ in range(N_SAMPLES)])


def main() -> None:
    """Let every narrator tell the references of test shoppers anew, score them, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-n", type=int, default=600, help="references of each task")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    bundle, encoder = Bundle.open(None), Encoder()
    shoppers = _shoppers(len(bundle.store.user_ids))
    test = frozenset(bundle.splits["test"])
    oracle = Oracle([shoppers[user_id] for user_id in bundle.splits["train"]], random.Random(0))
    figures: dict[str, object] = {}
    for task in TASKS:
        references = [n for n in bundle.store.narratives() if n.task == task and n.user_id in test]
        references = random.Random(0).sample(references, min(asked.n, len(references)))
        told: dict[str, list[str]] = defaultdict(list)
        for each in references:
            shopper = shoppers[each.user_id]
            for name, guess in oracle.guesses(shopper.purchases[each.n_history]).items():
                told[name].append(oracle.tell(shopper, each, guess))
        scored = {
            name: score(texts, [each.text for each in references], encoder) for name, texts in told.items()
        }
        people = [each.user_id for each in references]
        causes = [shoppers[each.user_id].purchases[each.n_history].cause for each in references]
        n_circles = sum(cause.circle is not None for cause in causes)
        figures[task] = {
            "texts": {"n": len(references), "for a circle": n_circles},
            **_figures(scored, people),
        }
        print(task, figures[task], sep="\t")
    write_record(asked.out, {"n": asked.n, "samples": N_SAMPLES, "seed": 0, **scorer_config()}, figures)


def _shoppers(n_shoppers: int) -> dict[str, Shopper]:
    """The embedded store's shoppers, with the causes that their purchases had."""
    words = load_words()
    catalogue = make_catalogue(words, random.Random(f"{STORE_SEED} catalogue"))
    circles = make_circles(words, catalogue, random.Random(f"{STORE_SEED} circles"))
    everyone = (
        make_shopper(number, words, catalogue, circles, random.Random(f"{STORE_SEED} shopper {number}"))
        for number in range(1, n_shoppers + 1)
    )
    return {shopper.user_id: shopper for shopper in everyone}


def _figures(scored: dict[str, Scored], people: Sequence[str]) -> dict[str, object]:
    """What each narrator scores, and by how many per cent the better informed are above the others."""
    scores = {
        name: {metric: round(each.figures()[metric], 3) for metric in METRICS}
        for name, each in scored.items()
    }
    gains = {}
    for better, worse in ((KNOWN, CIRCLE_GUESSED), (BY_PRODUCT, BY_KIND), (KNOWN, BY_KIND)):
        apart = differences(scored[better], scored[worse], people)
        gains[f"{better} over {worse}"] = {
            name: value
            for metric in METRICS
            for name, value in (
                (f"{metric} %", round(100 * (scores[better][metric] / scores[worse][metric] - 1), 2)),
                (f"{metric} 95%", [round(apart[metric][end], 3) for end in ("low", "high")]),
            )
        }
    return {"scores": scores, "gains": gains}


if __name__ == "__main__":
    main()
