"""The soak, a few seconds of it on a tiny narrator: nothing is at fault, and what is would be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.soak import soak
from crs.narrator.engine import LlamaCppModel
from crs.narrator.gguf_export import export_gguf
from crs.narrator.llama_context import LlamaContext
from tests.crs.narrator_folders import CONTEXT_LENGTH, write_narrator


@pytest.fixture(scope="module")
def gguf_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_narrator(tmp_path_factory.mktemp("soak"))
    export_gguf(folder, folder / "narrator.gguf", "f32")
    return folder / "narrator.gguf"


def soaked(gguf_path: Path) -> dict[str, object]:
    model = LlamaCppModel(
        gguf_path, n_ctx=CONTEXT_LENGTH, n_seqs=4, kv_dtype="f32", flash_attn=False, parking_bytes=2**20
    )
    figures: dict[str, object] = soak(model, 4.0, 10, lambda share: None)
    model.close()
    return figures


def test_nothing_is_at_fault(gguf_path: Path) -> None:
    figures = soaked(gguf_path)
    assert figures["faults"] == 0, figures
    assert figures["rooms_lost"] == 0
    assert {"listened to the end", "left in mid-sentence"} <= figures.keys()


def test_a_fault_is_seen(gguf_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = LlamaContext.step

    def mixed_up(self: LlamaContext, tokens: list[tuple[int, int, int]]) -> list[np.ndarray]:
        """Everyone is given the logits of the last."""
        rows = step(self, tokens)
        return [rows[-1]] * len(rows)

    monkeypatch.setattr(LlamaContext, "step", mixed_up)
    figures = soaked(gguf_path)
    assert isinstance(figures["faults"], int) and figures["faults"] > 0
