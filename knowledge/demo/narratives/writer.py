"""Writes the narratives: one grammar a task, texts of the right length, hardly any twice."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from functools import cache

from knowledge.demo.grammar import Draft, Fact, Grammar, Phrase, load_grammar
from knowledge.demo.narratives.facts import profile_facts, purchase_facts, shopper_facts
from knowledge.demo.shoppers import Purchase, Shopper
from knowledge.demo.words import WORDS_DIR
from knowledge.types import Narrative, Task

# Least and most words of a text, pointers not counted; after the examples of REGEN, appendix F.
WORDS: dict[Task, tuple[int, int]] = {
    "purchase_reason": (8, 24),
    "purchase_reason_explanation": (35, 65),
    "user_summary_brief": (22, 55),
    "user_summary_long": (70, 130),
    "user_profile": (2, 6),
    "product_endorsement": (60, 110),
}
# Fewest pointers of a text: a summary without purchases could be anyone's.
POINTERS: dict[Task, int] = {"user_summary_brief": 2, "user_summary_long": 5, "product_endorsement": 3}
ATTEMPTS = 12
MIN_BEFORE_REASON = 2  # a reason needs at least two earlier purchases to lean on
OTHER_REASONS = 2  # purchases besides the last whose reason is told
_FILES: dict[Task, str] = {
    "purchase_reason": "reason",
    "purchase_reason_explanation": "explanation",
    "user_summary_brief": "summary_brief",
    "user_summary_long": "summary_long",
    "user_profile": "profile",
    "product_endorsement": "endorsement",
}
_POINTER = re.compile(r"\[\w+\] ?")


@cache
def grammar(task: Task) -> Grammar:
    """The grammar of ``task``, with the forms of causes that all share."""
    phrases = WORDS_DIR / "phrases"
    return load_grammar(phrases / f"{_FILES[task]}.toml", phrases / "causes.toml")


def count_words(text: str) -> int:
    """Words of ``text``, pointers not counted."""
    return len(_POINTER.sub("", text).split())


class NarrativeWriter:
    """Writes the narratives of one store; remembers its texts so as not to repeat one."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._told: set[str] = set()

    def write(self, shopper: Shopper) -> Iterator[Narrative]:
        """All narratives of ``shopper``: three of the person, an endorsement, reasons of three purchases."""
        n = len(shopper.purchases)
        for task in ("user_summary_brief", "user_summary_long", "user_profile"):
            text = self.text(task, "", lambda task=task: self._person_facts(task, shopper))  # type: ignore[misc]
            yield Narrative(shopper.user_id, task, text, n)
        if shopper.next_purchase is not None:
            yield self._about(shopper, "product_endorsement", n, shopper.next_purchase)
        for position in self._worth_telling(shopper):
            purchase = shopper.purchases[position - 1]
            yield self._about(shopper, "purchase_reason", position - 1, purchase)
            yield self._about(shopper, "purchase_reason_explanation", position - 1, purchase)

    def _about(self, shopper: Shopper, task: Task, n_history: int, purchase: Purchase) -> Narrative:
        owner = "your" if task == "product_endorsement" else "their"
        history = shopper.purchases[:n_history]
        text = self.text(
            task, purchase.cause.name, lambda: purchase_facts(shopper, history, purchase, owner, self._rng)
        )
        return Narrative(
            shopper.user_id, task, text, n_history, purchase.product.item.item_id, purchase.cause.name
        )

    def _person_facts(self, task: Task, shopper: Shopper) -> dict[str, Fact]:
        facts = shopper_facts(shopper, self._rng)
        return profile_facts(shopper, facts) if task == "user_profile" else facts

    def text(
        self, task: Task, cause: str, facts: Callable[[], dict[str, Fact]], plans: tuple[Phrase, ...] = ()
    ) -> str:
        """A text of the right length that was not told before, or what came nearest in some attempts.

        ``plans``: in the place of the task's own.
        """
        low, high = WORDS[task]
        task_grammar = grammar(task)
        phrases = task_grammar.for_cause(cause)
        best, best_miss = "", 10_000
        for _ in range(ATTEMPTS):
            text = Draft(self._rng, phrases, facts()).write(plans or task_grammar.plans)
            if text is None:
                continue
            n_words = count_words(text)
            miss = max(low - n_words, n_words - high, 0)
            miss += 5 * max(0, POINTERS.get(task, 0) - len(set(_POINTER.findall(text))))
            miss += 10 * (text in self._told and task != "user_profile")
            if miss < best_miss:
                best, best_miss = text, miss
            if miss == 0:
                break
        self._told.add(best)
        return best

    def _worth_telling(self, shopper: Shopper) -> list[int]:
        """Positions whose reason is told: the last purchase and up to two before, rarer causes first."""
        history = shopper.purchases
        before = range(MIN_BEFORE_REASON + 1, len(history))
        order = self._rng.sample(before, len(before))
        order.sort(
            key=lambda position: history[position - 1].cause.name == "need"
        )  # needs are the commonest cause
        return [*sorted(order[:OTHER_REASONS]), len(history)]
