"""Whether CF is heard, asked of narrators whose ears are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from crs.bundle import Bundle
from crs.cf import N_FACTORS
from crs.evaluation import reasons
from crs.evaluation.narratives.hidden_reason import circle_in
from crs.rows import FusedRows
from crs.tuning import Lesson
from tests.conftest import WordEncoder


class Listener:
    """Finds likeliest the circle of which it has learned from the half of the target's row that it hears."""

    def __init__(self, hears: slice, learned: dict[bytes, str]) -> None:
        self.hears, self.learned = hears, learned

    def log_probs(self, lessons: Sequence[Lesson]) -> np.ndarray:
        return np.asarray([self._known(lesson) in lesson.text for lesson in lessons], np.float32)

    def _known(self, lesson: Lesson) -> str:
        return self.learned.get(lesson.rows[-1, self.hears].tobytes(), "nothing")


def heard_by(bundle: Bundle, hears: slice, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    rows = FusedRows(bundle, WordEncoder())
    learned = {}
    for each in bundle.store.narratives():
        if each.target_id and (circle := circle_in(each.text)):
            row = rows.of([], bundle.store.items[each.target_id])
            learned[row[-1, hears].tobytes()] = circle.word
    monkeypatch.setattr(reasons, "TunableNarrator", lambda folder: Listener(hears, learned))
    return reasons.reasons_heard(bundle, rows, bundle.store.user_ids, 12)


def test_who_hears_cf_follows_it_where_content_stays(
    demo_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = heard_by(demo_bundle, slice(None, N_FACTORS), monkeypatch)
    assert heard["n"] == 12 and heard["among"] > 20
    assert heard["both"] == heard["cf_alone"] == heard["follows_lent_cf"] > 0.8


def test_who_knows_products_by_content_does_not(demo_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = heard_by(demo_bundle, slice(N_FACTORS, None), monkeypatch)
    assert heard["both"] > 0.8
    assert heard["cf_alone"] == heard["follows_lent_cf"] == 0


def test_where_no_circle_is_told_of_nothing_is_asked(demo_bundle: Bundle) -> None:
    assert reasons.reasons_heard(demo_bundle, FusedRows(demo_bundle, WordEncoder()), [], 12) == {}
