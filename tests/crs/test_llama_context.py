"""What llama.cpp makes of things it should not be given, and that it is not given them here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from narrator_folders import CONTEXT_LENGTH, DIM, GREEDY, soft_prompt, write_narrator

from crs.narrator.engine import LlamaCppModel
from crs.narrator.gguf_export import export_gguf
from crs.narrator.llama_context import N_BATCH, LlamaContext
from crs.narrator.sampling import Constraints
from knowledge.errors import ModelError

IDS = np.arange(10, 20, dtype=np.int32)


@pytest.fixture(scope="module")
def gguf_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_narrator(tmp_path_factory.mktemp("context"))
    export_gguf(folder, folder / "narrator.gguf", "f32")
    return folder / "narrator.gguf"


def open_context(gguf_path: Path, n_ctx: int = 64) -> LlamaContext:
    return LlamaContext(
        gguf_path, n_ctx=n_ctx, n_seqs=2, n_threads=1, n_gpu_layers=None, kv_dtype="f32", flash_attn=False
    )


@pytest.fixture
def context(gguf_path: Path) -> Iterator[LlamaContext]:
    context = open_context(gguf_path)
    yield context
    context.free()


def test_a_batch_holds_ids_or_soft_rows_and_has_no_place_for_the_other(context: LlamaContext) -> None:
    """With both, llama.cpp would read the ids and say nothing of the soft rows."""
    assert not context._token_batch.raw.embd and context._token_batch.raw.token
    assert not context._soft_batch.raw.token and context._soft_batch.raw.embd


def test_a_row_that_is_not_finite_stays_in_its_own_room(context: LlamaContext) -> None:
    """It would be refused before; even decoded it reaches no neighbour, as it would in a unified cache."""
    expected = context.read(1, IDS, 0).copy()
    context.empty(1)
    context.read(0, np.full((3, DIM), np.nan, dtype=np.float32), 0)
    np.testing.assert_array_equal(context.read(1, IDS, 0), expected)
    context.empty(0)
    context.empty(1)
    np.testing.assert_array_equal(context.read(1, IDS, 0), expected)


def test_no_decode_is_larger_than_llama_cpp_was_told(context: LlamaContext) -> None:
    with pytest.raises(AssertionError):  # llama.cpp would end the process
        context.read(0, np.zeros(N_BATCH + 1, dtype=np.int32), 0)


def test_a_gap_between_positions_is_an_error(context: LlamaContext) -> None:
    context.read(0, IDS, 0)
    with pytest.raises(ModelError, match="could not decode 10 positions after 12"):
        context.read(0, IDS, len(IDS) + 2)


def test_a_full_room_is_an_error_and_its_neighbour_is_unharmed(context: LlamaContext) -> None:
    expected = context.read(1, IDS, 0).copy()
    context.empty(1)
    n_cells = 256  # llama.cpp rounds 64 up to what it computes at once
    for start in range(0, n_cells, 64):
        context.read(0, np.full(64, 11, dtype=np.int32), start)
    with pytest.raises(ModelError, match="could not decode"):
        context.read(0, IDS, n_cells)
    np.testing.assert_array_equal(context.read(1, IDS, 0), expected)


def test_every_room_has_the_whole_context(gguf_path: Path) -> None:
    """llama.cpp shares its cells out among the rooms; each still holds a text as long as promised."""
    model = LlamaCppModel(gguf_path, n_ctx=CONTEXT_LENGTH, n_seqs=3, n_threads=1)
    prompt, never = soft_prompt(), Constraints(frozenset({model.eos_id}))
    room = model.context_length - sum(map(len, prompt))
    assert model.context_length == CONTEXT_LENGTH
    sampling = replace(GREEDY, max_tokens=2 * CONTEXT_LENGTH)
    texts = [model.generate(prompt, sampling, constraints=never) for _ in range(3)]
    assert [len(list(text)) for text in texts] == [room] * 3
    model.close()


def test_the_logits_are_those_of_the_last_row(context: LlamaContext) -> None:
    """A row that was not asked for has none: llama.cpp would hand out a null pointer."""
    together = context.read(0, IDS, 0).copy()
    for position, token in enumerate(IDS):
        alone = context.step([(1, position, int(token))])[0].copy()
    np.testing.assert_allclose(alone, together, atol=1e-4)


def test_a_state_that_does_not_fit_leaves_the_room_empty(context: LlamaContext) -> None:
    expected = context.read(1, IDS, 0).copy()
    state = context.state(1)
    assert context.restore(0, state)
    assert not context.restore(1, b"") and not context.restore(1, state[: len(state) // 2])
    np.testing.assert_array_equal(context.read(1, IDS, 0), expected)
