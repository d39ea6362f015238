"""The contract of a LanguageModel, held against the fake, llama.cpp, transformers and a vLLM server alike."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from narrator_folders import soft_prompt, write_narrator
from vllm_server import serving

from crs.narrator.engine import LlamaCppModel
from crs.narrator.gguf_export import export_gguf
from crs.narrator.hf_model import HfModel
from crs.narrator.language_model import Caller, FakeLanguageModel, LanguageModel, check_segments
from crs.narrator.sampling import Constraints, Sampler, Sampling
from crs.narrator.vllm_model import VllmModel
from knowledge.errors import ModelError

NO_END = 10_000  # more tokens than any context here holds
SERVERS = contextlib.ExitStack()


def open_fake(folder: Path) -> LanguageModel:
    return FakeLanguageModel(context_length=80)


def open_llama_cpp(folder: Path) -> LanguageModel:
    if not (folder / "narrator.gguf").exists():
        export_gguf(folder, folder / "narrator.gguf", "f32")
    return LlamaCppModel(folder / "narrator.gguf", n_ctx=80, kv_dtype="f32")


def open_hf(folder: Path) -> LanguageModel:
    model = HfModel(folder)
    model.context_length = 80
    return model


def open_vllm(folder: Path) -> LanguageModel:
    url, _ = SERVERS.enter_context(serving(folder, "narrator", 80))
    return VllmModel(url, "narrator", folder)


@pytest.fixture(scope="module", autouse=True)
def servers() -> Iterator[None]:
    with SERVERS:
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_narrator(tmp_path_factory.mktemp("narrator"))


@pytest.fixture(scope="module", params=[open_fake, open_llama_cpp, open_hf, open_vllm])
def opener(request: pytest.FixtureRequest) -> Callable[[Path], LanguageModel]:
    opener: Callable[[Path], LanguageModel] = request.param
    return opener


@pytest.fixture(scope="module")
def model(opener: Callable[[Path], LanguageModel], folder: Path) -> Iterator[LanguageModel]:
    model = opener(folder)
    yield model
    model.close()


def no_end(model: LanguageModel) -> Constraints:
    """The end token is banned."""
    return Constraints(banned=frozenset({model.eos_id}))


def prompt_for(model: LanguageModel, seed: int = 0) -> list[np.ndarray]:
    return soft_prompt(seed, dim=model.embedding_dim, n_vocab=min(300, model.n_vocab))


def sampled(**changes: object) -> Sampling:
    return replace(Sampling(temperature=1.0, top_p=1.0, repeat_penalty=1.0, max_tokens=20), **changes)  # type: ignore[arg-type]


def test_says_what_it_is(model: LanguageModel) -> None:
    assert model.name
    assert model.device == "cpu" or model.device.startswith("gpu ")
    assert model.context_length == 80
    assert 0 <= model.eos_id < model.n_vocab


def test_same_seed_gives_the_same_tokens_and_other_seeds_others(model: LanguageModel) -> None:
    texts = [tuple(model.generate(prompt_for(model), sampled(seed=seed))) for seed in (1, 1, 2, 3)]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


def test_another_soft_row_gives_other_logits(model: LanguageModel) -> None:
    prompt = prompt_for(model)
    logits = model.logits(prompt)
    prompt[1] = prompt[1].copy()
    prompt[1][0] += 1
    assert logits.shape == (model.n_vocab,) and logits.dtype == np.float32
    assert np.abs(model.logits(prompt) - logits).max() > 1e-3


def test_logits_are_those_that_the_next_token_is_chosen_by(model: LanguageModel) -> None:
    greedy = Sampling(temperature=0, repeat_penalty=1, max_tokens=4)
    prompt = prompt_for(model)
    tokens = list(model.generate(prompt, greedy, constraints=no_end(model)))
    logits = model.logits(prompt)
    logits[model.eos_id] = -np.inf
    assert tokens[0] == logits.argmax() and len(tokens) == 4


def test_banned_ids_are_never_drawn(model: LanguageModel) -> None:
    hot = sampled(temperature=3.0, max_tokens=50)
    free = {t for seed in range(4) for t in model.generate(prompt_for(model), replace(hot, seed=seed))}
    banned = frozenset(sorted(free)[::2]) | {model.eos_id}
    drawn = [
        token
        for seed in range(4)
        for token in model.generate(
            prompt_for(model), replace(hot, seed=seed), constraints=Constraints(banned)
        )
    ]
    assert len(drawn) == 200
    assert not banned & set(drawn)


def test_ends_at_the_end_token_without_saying_it(model: LanguageModel) -> None:
    all_but_end = frozenset(range(model.n_vocab)) - {model.eos_id}
    assert list(model.generate(prompt_for(model), sampled(), constraints=Constraints(all_but_end))) == []


def test_ends_where_the_context_is_full(model: LanguageModel) -> None:
    prompt = prompt_for(model)
    endless = sampled(max_tokens=NO_END)
    tokens = list(model.generate(prompt, endless, constraints=no_end(model)))
    assert len(tokens) == model.context_length - sum(map(len, prompt))


def test_stop_ends_the_text_within_one_token(model: LanguageModel) -> None:
    stop = threading.Event()
    tokens = []
    for token in model.generate(
        prompt_for(model),
        sampled(max_tokens=60),
        constraints=no_end(model),
        stop=stop,
    ):
        tokens.append(token)
        if len(tokens) == 3:
            stop.set()
    assert 3 <= len(tokens) <= 4


def test_stopped_before_it_began_says_nothing(model: LanguageModel) -> None:
    stop = threading.Event()
    stop.set()
    assert list(model.generate(prompt_for(model), sampled(), stop=stop)) == []


def test_an_empty_segment_changes_nothing(model: LanguageModel) -> None:
    prompt = prompt_for(model)
    no_rows = np.zeros((0, model.embedding_dim), dtype=np.float32)
    np.testing.assert_array_equal(model.logits([prompt[0], no_rows, *prompt[1:]]), model.logits(prompt))


@pytest.mark.parametrize(
    ("segment", "problem"),
    [
        (np.array([[1, 2]], dtype=np.int32), "one-dimensional"),
        (np.array([3, -1], dtype=np.int32), "token id -1"),
        (np.array([3, 10**6], dtype=np.int32), "token id 1000000"),
        (np.zeros((2, 5), dtype=np.float32), r"shape \(2, 5\)"),
        (np.zeros(8, dtype=np.float32), r"shape \(8,\)"),
        (np.zeros((2, 8), dtype=np.float64), "float64"),
        (np.zeros(100, dtype=np.int32), "positions"),
    ],
)
def test_refuses_what_would_do_harm_and_serves_on(
    model: LanguageModel, segment: np.ndarray, problem: str
) -> None:
    before = model.logits(prompt_for(model))
    with pytest.raises(ModelError, match=problem):
        model.generate([segment], sampled())
    with pytest.raises(ModelError, match=problem):
        model.logits([segment])
    np.testing.assert_array_equal(model.logits(prompt_for(model)), before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_a_soft_row_that_is_not_finite_by_its_place(model: LanguageModel, bad: float) -> None:
    before = model.logits(prompt_for(model))
    prompt = prompt_for(model)
    prompt[1][4, 2] = bad
    with pytest.raises(ModelError, match="segment 1: soft row 4"):
        model.generate(prompt, sampled())
    np.testing.assert_array_equal(model.logits(prompt_for(model)), before)


def test_refuses_an_empty_prompt(model: LanguageModel) -> None:
    with pytest.raises(ModelError, match="empty"):
        model.logits([])


def test_a_closed_model_says_so(opener: Callable[[Path], LanguageModel], folder: Path) -> None:
    model = opener(folder)
    prompt = prompt_for(model)
    begun = model.generate(prompt, sampled())
    model.close()
    model.close()
    with pytest.raises(ModelError, match="closed"):
        model.logits(prompt)
    if not isinstance(model, FakeLanguageModel):
        with pytest.raises(ModelError, match="closed"):
            next(begun)


class TestFakeLanguageModel:
    def test_tells_its_replies_in_order_then_improvises(self) -> None:
        model = FakeLanguageModel(replies=[[5, 6, 5], [], [7]])
        prompt = prompt_for(model)
        assert [list(model.generate(prompt, Sampling())) for _ in range(3)] == [[5, 6, 5], [], [7]]
        assert list(model.generate(prompt, sampled(), constraints=no_end(model)))

    def test_a_reply_keeps_to_bans_and_length(self) -> None:
        model = FakeLanguageModel(replies=[[5, 6, 7]])
        tokens = list(
            model.generate(prompt_for(model), Sampling(max_tokens=2), constraints=Constraints(frozenset({5})))
        )
        assert len(tokens) == 2 and tokens[0] != 5 and tokens[1] == 6

    def test_keeps_the_prompts(self) -> None:
        model = FakeLanguageModel()
        prompt = prompt_for(model)
        list(model.generate(prompt, Sampling()))
        assert [segment.tolist() for segment in model.prompts[0]] == [s.tolist() for s in prompt]


class TestSampler:
    def test_greedy_takes_the_highest(self) -> None:
        assert Sampler(Sampling(temperature=0)).pick(np.array([0.0, 3.0, 2.0], dtype=np.float32)) == 1

    @pytest.mark.parametrize("n_vocab", [10, 3000])
    def test_draws_follow_the_softmax(self, n_vocab: int) -> None:
        logits = np.full(n_vocab, -40.0, dtype=np.float32)
        logits[:3] = np.log([0.6, 0.3, 0.1])
        sampler = Sampler(Sampling(temperature=1.0, top_p=1.0, repeat_penalty=1.0))
        counts = np.bincount([sampler.pick(logits) for _ in range(3000)], minlength=n_vocab)
        # four standard deviations of 3000 draws at p = 0.6
        np.testing.assert_allclose(counts[:3] / 3000, [0.6, 0.3, 0.1], atol=0.036)
        assert counts[3:].sum() == 0

    def test_temperature_sharpens(self) -> None:
        logits = np.log(np.array([0.6, 0.4], dtype=np.float32))
        sampler = Sampler(Sampling(temperature=0.25, top_p=1.0, repeat_penalty=1.0))
        share = np.mean([sampler.pick(logits) == 0 for _ in range(2000)])
        assert share == pytest.approx(0.6**4 / (0.6**4 + 0.4**4), abs=0.04)

    def test_top_p_keeps_the_fewest_tokens_that_hold_it(self) -> None:
        logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
        sampler = Sampler(Sampling(temperature=1.0, top_p=0.7, repeat_penalty=1.0))
        assert {sampler.pick(logits) for _ in range(300)} == {0, 1}

    def test_a_flat_row_beyond_the_first_candidates_is_drawn_whole(self) -> None:
        sampler = Sampler(Sampling(temperature=1.0, top_p=0.999, repeat_penalty=1.0))
        drawn = {sampler.pick(np.zeros(400, dtype=np.float32)) for _ in range(4000)}
        assert len(drawn) > 390

    def test_repeats_cost_and_exempt_ids_do_not(self) -> None:
        logits = np.array([2.0, 1.9, -1.0], dtype=np.float32)
        greedy = Sampling(temperature=0, repeat_penalty=1.1)
        sampler = Sampler(greedy)
        assert [sampler.pick(logits) for _ in range(2)] == [0, 1]
        exempt = Sampler(replace(greedy, penalty_exempt=frozenset({0})))
        assert [exempt.pick(logits) for _ in range(2)] == [0, 0]

    def test_a_negative_logit_is_pushed_further_down(self) -> None:
        logits = np.array([-1.0, -1.05], dtype=np.float32)
        sampler = Sampler(Sampling(temperature=0, repeat_penalty=1.1))
        assert [sampler.pick(logits) for _ in range(2)] == [0, 1]

    def test_the_penalty_forgets_after_its_window(self) -> None:
        sampler = Sampler(Sampling(temperature=0, repeat_penalty=1.5))
        first = np.zeros(100, dtype=np.float32)
        first[0] = 1.2
        assert sampler.pick(first) == 0
        for other in range(1, 65):
            row = np.zeros(100, dtype=np.float32)
            row[other] = 9
            sampler.pick(row)
        first[99] = 1.0  # it would win if 0 were still penalised
        assert sampler.pick(first) == 0

    def test_leaves_the_logits_as_they_are(self) -> None:
        logits = np.arange(5, dtype=np.float32)
        sampler = Sampler(Sampling(), Constraints(banned=frozenset({4})))
        for _ in range(3):
            sampler.pick(logits)
        np.testing.assert_array_equal(logits, np.arange(5))

    def test_everything_banned_is_an_error(self) -> None:
        with pytest.raises(ModelError, match="every token is banned"):
            Sampler(Sampling(), Constraints(banned=frozenset(range(3)))).pick(np.zeros(3, dtype=np.float32))

    def test_logits_that_are_not_finite_are_an_error(self) -> None:
        with pytest.raises(ModelError, match="not finite"):
            Sampler(Sampling()).pick(np.array([0.0, np.nan], dtype=np.float32))


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1},
        {"top_p": 0},
        {"top_p": 1.5},
        {"repeat_penalty": 0},
        {"seed": -1},
        {"max_tokens": 0},
    ],
)
def test_sampling_out_of_range_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ModelError, match=next(iter(wrong))):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_segments_are_copied_in_the_layout_that_is_decoded() -> None:
    ids = np.array([1, 2, 3, 4], dtype=np.int64)[::2]
    rows = np.asfortranarray(np.ones((3, 4), dtype=np.float32))
    checked = check_segments([ids, rows], embedding_dim=4, n_vocab=9, context_length=99)
    assert [segment.dtype for segment in checked] == [np.int32, np.float32]
    assert all(segment.flags.c_contiguous for segment in checked)
    rows[:] = np.nan  # whoever asked may reuse the array at once
    assert np.isfinite(checked[1]).all()


def test_who_comes_back_for_the_same_text_has_waited_since_they_came() -> None:
    assert Caller(patience_s=5.0, since_s=100.0).deadline() == 105.0
    assert Caller(since_s=100.0).deadline() is None
