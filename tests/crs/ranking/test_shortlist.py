from __future__ import annotations

import numpy as np
import pytest

from crs.ranking import shortlist
from crs.ranking.blend import even_blend
from crs.ranking.links import links_of
from crs.ranking.pairs import ItemTies
from crs.ranking.ranker import Ranker
from crs.ranking.shortlist import Shortlist
from crs.ranking.signals import Nearness, Prior, Signal

N = 300
NONE = np.empty((0, 384), np.float32)


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Unit rows in ten dimensions of 384, so that sixteen components tell all."""
    monkeypatch.setattr(shortlist, "FEW", 30)
    monkeypatch.setattr(shortlist, "PER_SIGNAL", 5)
    rng = np.random.default_rng(0)
    vectors = (rng.standard_normal((N, 10)) @ rng.standard_normal((10, 384))).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def listing(content: np.ndarray) -> Shortlist:
    ties = np.roll(np.eye(N, dtype=np.float32), 7, axis=1)
    signals = [
        Signal("popular", "popularity", Prior(np.arange(N, dtype=np.float32))),
        Signal("ties", "cf", links_of(ItemTies(ties), N, k=1)),
        Signal("content", "content", Nearness(content, 0.7)),
    ]
    return Shortlist(Ranker(signals, even_blend(signals)), content)


def test_the_best_of_each_signal_are_listed(listing: Shortlist, content: np.ndarray) -> None:
    everything = np.ones(N, dtype=bool)
    found = listing.rows(np.array([40]), content[[100]], everything, k=3)
    nearest = [set(np.argsort(-(content @ content[row]))[:5]) for row in (40, 100)]
    assert set(found) == {295, 296, 297, 298, 299} | {47} | nearest[0] | nearest[1]
    assert (np.diff(found) > 0).all()


def test_what_is_not_allowed_is_not_listed(listing: Shortlist, content: np.ndarray) -> None:
    allowed = np.arange(N) % 2 == 1
    found = listing.rows(np.array([40, 41]), content[[100]], allowed, k=3)
    assert allowed[found].all() and {299, 297, 47} <= set(found)


def test_as_many_are_listed_as_are_asked_for(listing: Shortlist) -> None:
    everything = np.ones(N, dtype=bool)
    assert len(listing.rows(np.array([], dtype=np.int64), NONE, everything, k=80)) >= 80
    only = np.zeros(N, dtype=bool)
    only[:40] = True  # none of the famous
    assert listing.rows(np.array([], dtype=np.int64), NONE, only, k=35).tolist() == list(range(5, 40))


def test_of_few_all_are_scored(listing: Shortlist) -> None:
    few = np.zeros(N, dtype=bool)
    few[[3, 30, 200]] = True
    assert listing.rows(np.array([40]), NONE, few, k=10).tolist() == [3, 30, 200]
