"""The adapter: shapes, what a row may see, and the file it is kept in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from crs.adapter import AdapterKind, SoftTokens, build_adapter, save_adapter
from knowledge.errors import ModelError

KINDS = get_args(AdapterKind)
DIM = 96
POSITIONS = np.asarray([1, 2, 3, 0])


def rows(seed: int = 0, n: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 512)).astype(np.float32)


def soft_tokens(kind: AdapterKind) -> SoftTokens:
    torch.manual_seed(0)
    return SoftTokens(build_adapter(kind, DIM, n_hidden=64), np.zeros((51, DIM), np.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_becomes_a_soft_token(kind: AdapterKind) -> None:
    soft = soft_tokens(kind)
    out = soft(rows(), POSITIONS)
    assert soft.llm_dim == DIM
    assert out.shape == (4, DIM) and out.dtype == np.float32 and out.flags.c_contiguous
    # Unit variance times the learned scale, which starts at 0.06.
    np.testing.assert_allclose(out.std(axis=1), 0.06, rtol=1e-3)
    assert soft(rows(n=0), POSITIONS[:0]).shape == (0, DIM)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_told_apart(kind: AdapterKind) -> None:
    adapter = build_adapter(kind, DIM, n_hidden=64).eval()
    batch = torch.from_numpy(np.stack([rows(0), rows(1)]))
    with torch.inference_mode():
        together, alone = adapter(batch), adapter(batch[1:])
    assert together.shape == (2, 4, DIM)
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-4)


def test_the_place_is_added() -> None:
    places = np.random.default_rng(2).standard_normal((51, DIM)).astype(np.float32)
    module = build_adapter("mlp", DIM, n_hidden=64)
    plain = SoftTokens(module, np.zeros_like(places))(rows(), POSITIONS)
    np.testing.assert_allclose(SoftTokens(module, places)(rows(), POSITIONS), plain + places[POSITIONS])


@pytest.mark.parametrize(("kind", "later_sees_earlier"), [("mlp", False), ("causal", True)])
def test_no_row_sees_a_later_one(kind: AdapterKind, later_sees_earlier: bool) -> None:
    soft, before, after = soft_tokens(kind), rows(), rows()
    after[1] += 1.0
    changed = np.abs(soft(after, POSITIONS) - soft(before, POSITIONS)).max(axis=1) > 1e-4
    assert changed.tolist() == [False, True, later_sees_earlier, later_sees_earlier]


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_it_is_the_same(kind: AdapterKind, tmp_path: Path) -> None:
    torch.manual_seed(1)
    module, places = build_adapter(kind, DIM, n_hidden=64), torch.randn(51, DIM)
    path = tmp_path / "adapter.safetensors"
    save_adapter(path, module, places, {"kind": kind, "n_hidden": 64})
    loaded = SoftTokens.load(path)
    expected = SoftTokens(module, places.numpy())(rows(), POSITIONS)
    np.testing.assert_allclose(loaded(rows(), POSITIONS), expected, atol=5e-3)
    # What was half precision once loses nothing more.
    places = torch.from_numpy(loaded.pointer_rows)
    save_adapter(tmp_path / "again", loaded.module, places, {"kind": kind, "n_hidden": 64})
    again = SoftTokens.load(tmp_path / "again")
    np.testing.assert_array_equal(again(rows(), POSITIONS), loaded(rows(), POSITIONS))


def write(path: Path, tensors: dict[str, torch.Tensor], config: object) -> None:
    from safetensors.torch import save_file

    save_file(tensors, str(path), metadata=None if config is None else {"config": json.dumps(config)})


PLACES = {"pointer_rows": torch.zeros(51, DIM)}


@pytest.mark.parametrize(
    ("tensors", "config"),
    [
        (PLACES, None),
        (PLACES, {"kind": "mlp"}),
        (PLACES, ["mlp", 64]),
        (PLACES, {"kind": "mlp", "n_hidden": 64}),
        (PLACES, {"kind": "mlp", "n_hidden": "wide"}),
        ({"enter.weight": torch.zeros(64, 512)}, {"kind": "mlp", "n_hidden": 64}),
        ({"pointer_rows": torch.zeros(51)}, {"kind": "mlp", "n_hidden": 64}),
    ],
    ids=["no config", "half a config", "not a config", "no weights", "no width", "no places", "flat places"],
)
def test_a_file_that_is_no_adapter_is_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor], config: object
) -> None:
    path = tmp_path / "adapter.safetensors"
    write(path, tensors, config)
    with pytest.raises(ModelError, match="adapter.safetensors: not a readable adapter") as error:
        SoftTokens.load(path)
    assert "\n" not in str(error.value)


def test_a_missing_or_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    with pytest.raises(ModelError, match="train the narrator again"):
        SoftTokens.load(path)
    save_adapter(path, build_adapter("mlp", DIM, 64), PLACES["pointer_rows"], {"kind": "mlp", "n_hidden": 64})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="adapter.safetensors: not a readable adapter"):
        SoftTokens.load(path)
