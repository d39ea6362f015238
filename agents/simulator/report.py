"""Success by turns of simulated shoppers, what critiques add to it, and where a message was lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agents.simulator.play import Played
from agents.simulator.shopper import HABITS, Habit

TURNS = (1, 2, 3, 4, 5)
N_RESAMPLES = 2000

Found: TypeAlias = NDArray[np.float64]


def figures(played: Sequence[Played], *, seed: int = 0) -> dict[str, Any]:
    """What ``evaluate conversation`` reports.

    ``habits``: success@k is the share of shoppers who were shown their product within k messages, with a
    95 % interval at the last k; ``turns to success`` the mean of those who were. ``critiques help``: their
    success over the other habits', as a ratio. Intervals draw shoppers with replacement, each with all
    habits (paired).
    """
    by_habit: dict[Habit, list[Played]] = {habit: [] for habit in HABITS}
    for each in played:
        by_habit[each.habit].append(each)
    rng = np.random.default_rng(seed)
    n_shoppers = len(by_habit["critiques"])
    drawn = rng.integers(n_shoppers, size=(N_RESAMPLES, n_shoppers))
    last = TURNS[-1]
    found = {habit: _within(each, last) for habit, each in by_habit.items()}
    with_critiques = by_habit["critiques"]
    return {
        "habits": {
            habit: {**_successes(each), f"success@{last} 95%": _quantiles(found[habit][drawn].mean(axis=1))}
            for habit, each in by_habit.items()
        },
        "critiques help": {
            f"over {habit}": _ratio(found["critiques"], found[habit], drawn)
            for habit in HABITS
            if habit != "critiques"
        },
        "by": {
            name: _grouped(by_habit, of)
            for name, of in (
                ("opening", lambda each: each.persona.opening),
                ("needs", lambda each: len(each.persona.needs)),
                ("patience", lambda each: each.persona.patience),
                ("style", lambda each: each.persona.style),
            )
        },
        "messages": _messages(with_critiques),
    }


def _successes(played: Sequence[Played]) -> dict[str, Any]:
    turns = [each.turns_to_success for each in played]
    needed = [turn for turn in turns if turn is not None]
    return {
        "shoppers": len(played),
        **{f"success@{k}": float(_within(played, k).mean()) for k in TURNS},
        "success": len(needed) / len(played),
        "turns to success": float(np.mean(needed)) if needed else None,
    }


def _within(played: Sequence[Played], k: int) -> Found:
    """1.0 for each shopper who was shown their product within ``k`` messages, float64 (n,)."""
    return np.array([(each.turns_to_success or k + 1) <= k for each in played], dtype=np.float64)


def _ratio(with_critiques: Found, without: Found, drawn: NDArray[np.int64]) -> dict[str, Any]:
    """How many times the success, with its paired 95 % interval; None where nobody succeeds without."""
    if not without.any():
        return {"times": None, "95%": None}
    ratios = with_critiques[drawn].sum(axis=1) / np.maximum(without[drawn].sum(axis=1), 1.0)
    return {"times": float(with_critiques.mean() / without.mean()), "95%": _quantiles(ratios)}


def _grouped(by_habit: dict[Habit, list[Played]], of: Callable[[Played], Any]) -> dict[str, dict[str, float]]:
    groups: dict[str, dict[str, float]] = defaultdict(dict)
    for habit, played in by_habit.items():
        for name in sorted({of(each) for each in played}):
            chosen = [each for each in played if of(each) == name]
            groups[str(name)]["shoppers"] = len(chosen)
            groups[str(name)][f"success@{TURNS[-1]}, {habit}"] = float(_within(chosen, TURNS[-1]).mean())
    return dict(groups)


def _messages(played: Sequence[Played]) -> dict[str, dict[str, Any]]:
    """By act: how often it was said, taken for something else than a wish, and first shut the goal out."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: {"said": 0, "not a wish": 0, "shut out": 0})
    for each in played:
        was_open = True
        for exchange in each.exchanges:
            count = counts[exchange.act]
            is_wish = exchange.intent in ("recommend", "critique")
            count["said"] += 1
            count["not a wish"] += not is_wish
            count["shut out"] += was_open and exchange.shut_out
            was_open = not exchange.shut_out
    return dict(sorted(counts.items()))


def _quantiles(values: Found) -> list[float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return [float(low), float(high)]
