"""The encoder bench: what is exported is what torch computes, and engines that part are seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import encoding, fitting


class Letters:
    """A tokenizer of letters, laid out as those of transformers are."""

    def __call__(self, texts: Sequence[str], *, return_tensors: str, **_: object) -> dict[str, Any]:
        import torch

        ids = np.zeros((len(texts), max(map(len, texts))), dtype=np.int64)
        for row, text in zip(ids, texts, strict=True):
            row[: len(text)] = [ord(letter) % 50 + 1 for letter in text]
        given = {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}
        return {name: torch.from_numpy(v) for name, v in given.items()} if return_tensors == "pt" else given


def small_model() -> Any:
    """As a SentenceTransformer, but tiny: features to the masked mean of embedded letters."""
    import torch
    from torch import nn

    class Model(nn.Module):
        tokenizer = Letters()

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.letters = nn.Embedding(60, 8)
            self.mix = nn.Linear(8, 8)

        def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            mask = features["attention_mask"][..., None].float()
            hidden = torch.tanh(self.mix(self.letters(features["input_ids"]))) * mask
            return {"sentence_embedding": hidden.sum(dim=1) / mask.sum(dim=1)}

    return Model().eval()


def by_hand(model: Any, texts: Sequence[str]) -> np.ndarray:
    import torch

    with torch.inference_mode():
        rows = model(model.tokenizer(texts, return_tensors="pt"))["sentence_embedding"]
        return np.asarray(torch.nn.functional.normalize(rows, dim=-1))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
def test_what_is_exported_is_what_torch_computes(tmp_path: Path) -> None:
    model = small_model()
    encode = encoding.onnx_encode(model.tokenizer, encoding.export(model, tmp_path / "small.onnx"))
    for texts in (["one"], ["a kettle", "a much longer text", "x"], ["lamp"] * 9):
        np.testing.assert_allclose(encode(texts), by_hand(model, texts), atol=1e-5)


def test_engines_are_compared_by_batch_and_length() -> None:
    def rows(texts: Sequence[str]) -> np.ndarray:
        found = np.array([[len(text), 1.0] for text in texts])
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    found = encoding.compare(rows, lambda texts: rows(texts), n_rounds=2)
    assert found["agreement"]["least cosine"] == pytest.approx(1.0)
    assert len(found["encoding"]) == len(encoding.WORDS) * len(encoding.BATCHES)
    assert found["encoding"]["30 words, 8 at once"]["times as fast"] > 0
    with pytest.raises(AssertionError, match="onnxruntime and torch part: cosine"):
        encoding.compare(rows, lambda texts: rows(texts)[:, ::-1], n_rounds=1)


def test_growth_is_told_against_the_size_before() -> None:
    fits, factors = fitting.fitted((20, 40), 30, n_rounds=1)
    assert list(fits) == ["200 purchases", "400 purchases"] and factors.shape == (30, 128)
    assert fits["200 purchases"]["times the one before"] == ""
    assert fits["400 purchases"]["times the one before"] > 0
    assert list(fitting.folded((1, 5), factors, n_rounds=2)) == ["1 owned", "5 owned"]
