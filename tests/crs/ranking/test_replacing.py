from __future__ import annotations

import numpy as np
import pytest

from crs.ranking.kinds import kind_of, kind_ties
from crs.ranking.replacing import disappointed, lift, replacement_rate
from knowledge.types import Interaction, Item

ITEMS = {
    name: Item(name, name, kind=kind)
    for name, kind in (("a", "kettle"), ("b", "Kettle"), ("c", "mug"), ("d", None), ("e", None))
}


def bought(*told: tuple[str, float | None]) -> list[Interaction]:
    return [Interaction("u", name, when, stars) for when, (name, stars) in enumerate(told)]


def test_only_the_latest_purchase_disappoints() -> None:
    assert disappointed(bought(("a", 5), ("c", 2)))
    assert not disappointed(bought(("a", 1), ("c", 3)))
    assert not disappointed(bought(("a", None))) and not disappointed([])


def test_the_rate_counts_another_of_the_same_kind() -> None:
    histories = [
        bought(("a", 1), ("b", 5)),  # replaced
        bought(("a", 2), ("c", 1), ("a", 5)),  # neither is
        bought(("a", 1), ("a", 1)),  # the very same again
        bought(("d", 1), ("e", 1)),  # kinds unknown
        bought(("a", 5), ("b", 1)),
        bought(("a", 1), ("gone", 1)),
    ]
    assert replacement_rate(histories, ITEMS) == pytest.approx(1 / (5 + 20))
    assert kind_of(Item("x", "x", noun="Mug")) == "mug"


def test_the_lift_gives_the_chosen_the_rate() -> None:
    scores = np.array([1.0, 0.5, 2.0, 0.0], np.float32)
    chosen = np.array([True, False, False, True])
    raised = np.exp(scores + chosen * lift(scores, chosen, 0.6))
    assert raised[chosen].sum() / raised.sum() == pytest.approx(0.6, abs=1e-5)
    assert lift(scores, chosen, 0.1) == 0.0  # likelier already
    assert lift(scores, ~chosen | chosen, 0.6) == 0.0 and lift(scores, chosen, 0.0) == 0.0


def test_ties_of_kinds_are_lent_to_their_items() -> None:
    items = [Item(str(row), "thing", kind=kind) for row, kind in enumerate(("pen", "pen", "ink", None))]
    sequences = [np.array(rows) for rows in ([0, 2], [0, 3], [1, 2])]
    ties = kind_ties(sequences, items, back=0.5, power=0.0)
    assert ties is not None
    # Three pens were bought: ink twice after a pen, 2 / 4; of the pens, one has three of five buyers.
    assert ties.toarray()[0] == pytest.approx([0, 0, 2 / 4, 0])
    assert ties.toarray()[2] == pytest.approx([0.5 * 2 / 3 * 3 / 5, 0.5 * 2 / 3 * 2 / 5, 0, 0])
    assert not ties.toarray()[3].any() and kind_ties(sequences, items[3:] * 4, back=0.5, power=0.0) is None
