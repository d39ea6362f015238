"""The map: alike lies together, people lie amid what they own, and places are kept."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from crs.bundle import Bundle
from crs.fusion import FUSED_DIM
from crs.taste_map import TasteMap, draw_taste_map, taste_row


def two_corners() -> TasteMap:
    """Six products that read one way in one corner, six that read another way in the other."""
    rows = np.zeros((12, FUSED_DIM), np.float32)
    rows[:6, 0] = rows[6:, 1] = 1.0
    places = np.repeat(np.asarray([[0.1, 0.1], [0.9, 0.9]], np.float32), 6, axis=0)
    return TasteMap(tuple(f"i{i}" for i in range(12)), places, np.zeros((0, 2), np.float32), rows)


def test_a_row_lies_amid_its_likes() -> None:
    row = np.zeros(FUSED_DIM, np.float32)
    assert two_corners().place(row) is None
    row[0] = 3.0
    assert two_corners().place(row) == pytest.approx((0.1, 0.1))
    row[1] = 0.5
    assert two_corners().place(row) == pytest.approx((0.1, 0.1))
    assert two_corners().place(row[::-1].copy()) is not None  # nothing is like it, yet it has a place


def test_the_map_of_a_bundle(small_bundle: Bundle, tmp_path: Path) -> None:
    drawn = draw_taste_map(small_bundle, tmp_path)
    assert drawn.places.shape == (len(drawn.item_ids), 2)
    assert set(drawn.item_ids) <= set(small_bundle.store.items)
    assert drawn.places.min() >= 0 and drawn.places.max() <= 1
    assert 0 < len(drawn.people) <= len(small_bundle.store.user_ids)
    history = small_bundle.store.history(small_bundle.store.user_ids[0])
    place = drawn.place(taste_row(small_bundle, history))
    assert place is not None and all(0 <= x <= 1 for x in place)
    assert not taste_row(small_bundle, []).any()


def test_places_are_kept_and_a_torn_file_is_drawn_anew(small_bundle: Bundle, tmp_path: Path) -> None:
    first = draw_taste_map(small_bundle, tmp_path)
    with patch("crs.taste_map.tsne", side_effect=AssertionError("drawn again")):
        assert np.array_equal(draw_taste_map(small_bundle, tmp_path).places, first.places)
    [kept] = tmp_path.glob("taste-map-*.npy")
    kept.write_bytes(kept.read_bytes()[:40])
    assert np.allclose(draw_taste_map(small_bundle, tmp_path).places, first.places)
