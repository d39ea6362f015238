"""LlamaCppModel: threads, stopping, what the KV cache keeps, and files that are not models."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from narrator_folders import CONTEXT_LENGTH, GREEDY, soft_prompt, write_narrator

from crs.narrator.engine import LlamaCppModel, default_threads
from crs.narrator.gguf_export import export_gguf
from crs.narrator.sampling import Constraints, Sampling
from knowledge.errors import ModelError, NotFoundError

LONG = replace(GREEDY, max_tokens=600)


@pytest.fixture(scope="module")
def gguf_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_narrator(tmp_path_factory.mktemp("engine"))
    export_gguf(folder, folder / "narrator.gguf", "f32")
    return folder / "narrator.gguf"


@pytest.fixture(scope="module")
def model(gguf_path: Path) -> Iterator[LlamaCppModel]:
    model = LlamaCppModel(gguf_path, n_ctx=CONTEXT_LENGTH, kv_dtype="f32", flash_attn=False)
    yield model
    model.close()


def fresh_logits(gguf_path: Path, prompt: list[np.ndarray]) -> np.ndarray:
    """What an engine that has served nothing before answers."""
    model = LlamaCppModel(gguf_path, n_ctx=CONTEXT_LENGTH, kv_dtype="f32", flash_attn=False)
    logits = model.logits(prompt)
    model.close()
    return logits


def endless(model: LlamaCppModel, seed: int = 0) -> Iterator[int]:
    return model.generate(soft_prompt(seed), LONG, constraints=Constraints(frozenset({model.eos_id})))


class TestWhatTheCacheKeeps:
    def test_a_shared_prefix_changes_no_bit(self, model: LlamaCppModel, gguf_path: Path) -> None:
        prompt = soft_prompt(1)
        list(model.generate(prompt, GREEDY))  # leaves prompt and answer in the cache
        for text in (prompt[2][:4], np.array([7, 8, 9], dtype=np.int32)):
            other = [prompt[0], prompt[1], text]
            np.testing.assert_array_equal(model.logits(other), fresh_logits(gguf_path, other))

    def test_the_same_request_again_changes_no_bit(self, model: LlamaCppModel) -> None:
        prompt = soft_prompt(2)
        np.testing.assert_array_equal(model.logits(prompt), model.logits(prompt))

    def test_only_what_differs_is_decoded_again(
        self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import llama_cpp

        decoded: list[int] = []
        decode = llama_cpp.llama_decode
        monkeypatch.setattr(
            llama_cpp, "llama_decode", lambda ctx, batch: decoded.append(batch.n_tokens) or decode(ctx, batch)
        )
        prompt = soft_prompt(3)
        model.logits([prompt[2]])
        model.logits(prompt)
        model.logits([*prompt[:2], np.array([5, 6], dtype=np.int32)])
        assert decoded == [9, 1, 7, 9, 2]

    def test_a_changed_soft_row_is_not_taken_for_the_old_one(
        self, model: LlamaCppModel, gguf_path: Path
    ) -> None:
        prompt = soft_prompt(4)
        model.logits(prompt)
        changed = [prompt[0], prompt[1].copy(), prompt[2]]
        changed[1][-1, -1] = np.nextafter(changed[1][-1, -1], np.float32(9))
        np.testing.assert_array_equal(model.logits(changed), fresh_logits(gguf_path, changed))

    def test_ids_are_not_taken_for_soft_rows_of_the_same_bytes(
        self, model: LlamaCppModel, gguf_path: Path
    ) -> None:
        rows = np.zeros((1, model.embedding_dim), dtype=np.float32)
        ids = np.zeros(model.embedding_dim, dtype=np.int32)
        text = np.array([5, 6], dtype=np.int32)
        model.logits([rows, text])
        np.testing.assert_array_equal(model.logits([ids, text]), fresh_logits(gguf_path, [ids, text]))

    def test_a_prompt_longer_than_one_decode_is_read_whole(self, model: LlamaCppModel) -> None:
        ids = np.random.default_rng(0).integers(2, 300, size=600).astype(np.int32)
        in_two = model.logits([ids[:512], ids[512:]])
        np.testing.assert_array_equal(model.logits([ids]), in_two)
        ids[0] += 1  # a first token that is forgotten would make no difference
        assert np.abs(model.logits([ids]) - in_two).max() > 1e-4


class TestWhoeverStopsListeningFreesTheEngine:
    def test_a_closed_generator(self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch) -> None:
        import llama_cpp

        n_decodes = 0
        listener_gone = threading.Event()
        decode = llama_cpp.llama_decode

        def gated_decode(context: object, batch: object) -> int:
            """Counts, and holds the second token's decode back until the listener has gone."""
            nonlocal n_decodes
            n_decodes += 1
            if n_decodes > 4:
                listener_gone.wait(10)
            return int(decode(context, batch))

        monkeypatch.setattr(llama_cpp, "llama_decode", gated_decode)
        tokens = endless(model, seed=5)
        next(tokens)
        tokens.close()  # type: ignore[attr-defined]
        listener_gone.set()
        model.logits(soft_prompt(6))  # served only once the engine is free
        # three segments and at most two tokens of the abandoned text, three segments of the next
        assert n_decodes <= 3 + 2 + 3

    def test_a_stop_need_not_wait_for_the_engine(
        self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import llama_cpp

        decode, decoding, may_go_on = llama_cpp.llama_decode, threading.Event(), threading.Event()

        def held_decode(context: object, batch: object) -> int:
            decoding.set()
            may_go_on.wait(10)
            return int(decode(context, batch))

        monkeypatch.setattr(llama_cpp, "llama_decode", held_decode)
        stop = threading.Event()
        texts: list[list[int]] = []
        listeners = [
            threading.Thread(
                target=lambda seed=seed: texts.append(
                    list(model.generate(soft_prompt(seed), LONG, stop=stop))
                )
            )
            for seed in (7, 8)  # one is being served, the other waits in line
        ]
        for listener in listeners:
            listener.start()
        assert decoding.wait(10)
        stop.set()
        for listener in listeners:
            listener.join(5)
        assert texts == [[], []]  # both have returned, and the engine is still held
        may_go_on.set()
        assert model.logits(soft_prompt(9)).shape == (model.n_vocab,)

    def test_a_stop_from_another_thread(self, model: LlamaCppModel) -> None:
        stop = threading.Event()
        tokens: list[int] = []
        seen_some = threading.Event()

        def listen() -> None:
            ban_end = Constraints(frozenset({model.eos_id}))
            for token in model.generate(soft_prompt(9), LONG, constraints=ban_end, stop=stop):
                tokens.append(token)
                seen_some.set()
                stop.wait(0.05)

        listener = threading.Thread(target=listen)
        listener.start()
        assert seen_some.wait(10)
        stop.set()
        listener.join(10)
        assert not listener.is_alive()
        assert len(tokens) < LONG.max_tokens // 2
        assert model.logits(soft_prompt(9)).shape == (model.n_vocab,)


def test_callers_of_several_threads_each_get_their_own_text(model: LlamaCppModel) -> None:
    alone = [list(model.generate(soft_prompt(seed), GREEDY)) for seed in range(4)]
    together: dict[int, list[int]] = {}

    def ask(seed: int) -> None:
        together[seed] = list(model.generate(soft_prompt(seed), GREEDY))

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[seed] for seed in range(4)] == alone


def test_two_texts_read_in_turns_do_not_mix(model: LlamaCppModel) -> None:
    expected = [list(model.generate(soft_prompt(seed), GREEDY)) for seed in (1, 2)]
    first, second = (model.generate(soft_prompt(seed), GREEDY) for seed in (1, 2))
    mixed = list(zip(first, second, strict=False))
    n = len(mixed)
    assert n > 5
    assert [list(text) for text in zip(*mixed, strict=True)] == [text[:n] for text in expected]


class TestFailures:
    def test_a_failed_decode_reaches_the_caller_and_the_next_request_is_unharmed(
        self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import llama_cpp

        before = model.logits(soft_prompt(0))
        with monkeypatch.context() as patch:
            patch.setattr(llama_cpp, "llama_decode", lambda *_: -1)
            with pytest.raises(ModelError, match="status -1"):
                model.logits(soft_prompt(1))
            with pytest.raises(ModelError, match="status -1"):
                list(model.generate(soft_prompt(1), GREEDY))
        np.testing.assert_array_equal(model.logits(soft_prompt(0)), before)

    def test_a_cache_gone_bad_leaves_no_trace(
        self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = model.logits(soft_prompt(0))
        prompt = soft_prompt(1)
        prompt[1][3] = np.nan
        with monkeypatch.context() as patch:  # as if the check at the door had let it pass
            patch.setattr("crs.narrator.engine.check_segments", lambda segments, **_: segments)
            with pytest.raises(ModelError, match="not finite"):
                list(model.generate(prompt, GREEDY))
            with pytest.raises(ModelError, match="not finite"):
                model.logits(prompt)
        np.testing.assert_array_equal(model.logits(soft_prompt(0)), before)

    def test_closing_ends_the_text_under_way(self, gguf_path: Path) -> None:
        model = LlamaCppModel(gguf_path, n_ctx=CONTEXT_LENGTH)
        tokens = endless(model)
        next(tokens)
        waiting = model.generate(soft_prompt(1), GREEDY)
        model.close()
        with pytest.raises(ModelError, match="closed"):
            list(tokens)
        with pytest.raises(ModelError, match="closed"):
            list(waiting)

    def test_a_forgotten_model_is_freed(self, gguf_path: Path) -> None:
        model = LlamaCppModel(gguf_path)
        owner = model._owner
        del model
        gc.collect()
        owner.join(10)
        assert not owner.is_alive()

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match="nowhere.gguf"):
            LlamaCppModel(tmp_path / "nowhere.gguf")

    @pytest.mark.parametrize("n_bytes", [0, 100, 200_000])
    def test_a_file_cut_short(self, gguf_path: Path, tmp_path: Path, n_bytes: int) -> None:
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(gguf_path.read_bytes()[:n_bytes])
        with pytest.raises(ModelError, match=r"cut\.gguf"):
            LlamaCppModel(cut)

    def test_no_memory_for_the_context(self, gguf_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import llama_cpp

        monkeypatch.setattr(llama_cpp, "llama_init_from_model", lambda *_: None)
        with pytest.raises(ModelError, match="context of 256"):
            LlamaCppModel(gguf_path, n_ctx=256)

    def test_a_model_without_a_cache_does_not_write(
        self, gguf_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import llama_cpp

        monkeypatch.setattr(llama_cpp, "llama_get_memory", lambda _: None)  # as of an encoder
        with pytest.raises(ModelError, match="causal language model"):
            LlamaCppModel(gguf_path)


def test_llama_cpp_keeps_quiet_unless_its_log_is_asked_for(
    gguf_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    LlamaCppModel(gguf_path).close()
    assert capfd.readouterr() == ("", "")
    with caplog.at_level(logging.DEBUG, logger="crs.narrator.llama_context"):
        LlamaCppModel(gguf_path).close()
    assert "llama.cpp: " in caplog.text


def test_the_context_is_never_longer_than_the_model_was_trained_for(gguf_path: Path) -> None:
    model = LlamaCppModel(gguf_path, n_ctx=100_000)
    assert model.context_length == CONTEXT_LENGTH
    model.close()


@pytest.mark.parametrize(
    ("environment", "n_threads"),
    [
        ({}, 1),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, 2),
        ({"OMP_WAIT_POLICY": "active"}, 1),
        ({"OMP_WAIT_POLICY": "passive", "RACONTEUR_THREADS": "4"}, 4),
    ],
)
def test_threads(environment: dict[str, str], n_threads: int) -> None:
    assert default_threads(environment) == n_threads


@pytest.mark.parametrize("wish", ["0", "-2", "many", "1.5"])
def test_threads_that_make_no_sense(wish: str) -> None:
    with pytest.raises(ModelError, match="RACONTEUR_THREADS"):
        default_threads({"RACONTEUR_THREADS": wish})


def test_sampled_text_is_the_same_whatever_was_served_before(model: LlamaCppModel) -> None:
    sampling = Sampling(seed=11, max_tokens=40)
    prompt = soft_prompt(12)
    first = list(model.generate(prompt, sampling))
    list(model.generate(soft_prompt(13), sampling))
    model.logits(prompt[:2])
    assert list(model.generate(prompt, sampling)) == first
