from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crs.bundle import Bundle
from crs.content import purchase_text
from crs.rows import FusedRows, purchase_rows
from knowledge.errors import NotFoundError
from knowledge.types import Interaction
from tests.conftest import WordEncoder


def test_rows_are_cf_over_norm_beside_content(small_bundle: Bundle) -> None:
    encoder = WordEncoder()
    store = small_bundle.store
    history = store.history("u00")
    target = store.items["tape"]
    rows = FusedRows(small_bundle, encoder).of(history, target)
    assert rows.shape == (len(history) + 1, 512) and rows.dtype == np.float32
    bought = [store.item_index[i.item_id] for i in history]
    np.testing.assert_allclose(
        rows[:-1, :128], small_bundle.item_factors[bought] / small_bundle.norm, rtol=1e-5
    )
    reviewed = encoder.encode([purchase_text(store.items[history[1].item_id], history[1])])
    np.testing.assert_allclose(rows[1, 128:], reviewed[0], atol=1e-6)
    np.testing.assert_allclose(rows[0, 128:], small_bundle.item_content[bought[0]])  # no review
    np.testing.assert_allclose(rows[-1, 128:], small_bundle.item_content[store.item_index["tape"]])


def test_reviews_are_encoded_once(small_bundle: Bundle) -> None:
    encoder = WordEncoder()
    rows = FusedRows(small_bundle, encoder)
    history = small_bundle.store.history("u00")
    first = rows.of(history)
    n_texts = encoder.n_texts
    assert n_texts == sum(bool(i.review) for i in history) > 0
    np.testing.assert_array_equal(rows.of(history), first)
    assert encoder.n_texts == n_texts


def test_the_review_cache_is_bounded(small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crs.rows.CACHED_ROWS", 2)
    rows = FusedRows(small_bundle, WordEncoder())
    rows.of(small_bundle.store.history("u00"))
    assert len(rows._reviews) == 2


def test_an_empty_history_and_an_unknown_item(small_bundle: Bundle) -> None:
    rows = FusedRows(small_bundle, WordEncoder())
    assert rows.of([]).shape == (0, 512)
    assert rows.of([], small_bundle.store.items["tape"]).shape == (1, 512)
    with pytest.raises(NotFoundError, match="item 'nothing' is not in"):
        rows.of([Interaction("u", "nothing", 0)])


def test_foreign_factors_are_muted(small_bundle: Bundle) -> None:
    manifest = small_bundle.manifest | {"narrator": {"trained_on": "another store"}}
    rows = FusedRows(replace(small_bundle, manifest=manifest), WordEncoder())
    out = rows.of(small_bundle.store.history("u01"))
    assert not out[:, :128].any() and out[:, 128:].any()


def test_purchase_rows_resume_where_they_stopped(small_bundle: Bundle, tmp_path: Path) -> None:
    store = small_bundle.store

    class Failing(WordEncoder):
        def encode(self, texts: object, progress: object = None) -> np.ndarray:
            if self.n_texts >= 60:
                raise KeyboardInterrupt
            return super().encode(texts)  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt):
        purchase_rows(store, Failing(), tmp_path, chunk=30)
    encoder = WordEncoder()
    seen: list[tuple[int, int]] = []
    rows = purchase_rows(store, encoder, tmp_path, lambda *at: seen.append(at), chunk=30)
    told = [purchase_text(store.items[i.item_id], i) for user in store.user_ids for i in store.history(user)]
    assert encoder.n_texts == len(set(told)) - 60 and seen[-1] == (len(told), len(told))
    history = store.history("u05")
    texts = [purchase_text(store.items[i.item_id], i) for i in history]
    np.testing.assert_allclose(rows["u05"], WordEncoder().encode(texts), atol=1e-3)


def test_what_is_not_to_be_heard_is_muted(small_bundle: Bundle) -> None:
    history = small_bundle.store.history("u01")
    factors = small_bundle.manifest["parts"]["item_factors.npy"]
    bundle = replace(small_bundle, manifest=small_bundle.manifest | {"narrator": {"trained_on": factors}})
    cf = FusedRows(bundle, WordEncoder(), "cf").of(history)
    content = FusedRows(bundle, WordEncoder(), "content").of(history)
    assert cf[:, :128].any() and not cf[:, 128:].any()
    assert content[:, 128:].any() and not content[:, :128].any()
