"""VllmModel beyond the contract: odd answers, refusals, and that leaving frees the server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from narrator_folders import GREEDY, soft_prompt, write_narrator
from vllm_server import serving

from crs.narrator.foreign import ForeignModel
from crs.narrator.hf_model import HfModel
from crs.narrator.language_model import Caller
from crs.narrator.narrator_folder import open_language_model
from crs.narrator.sampling import Constraints
from crs.narrator.vllm_model import VllmModel
from knowledge.errors import ModelError
from tests.crs.foreign_folders import write_llm


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_narrator(tmp_path_factory.mktemp("vllm"))


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[tuple[str, list[int]]]:
    with serving(folder, "narrator", 400) as found:
        yield found


@pytest.fixture
def model(server: tuple[str, list[int]], folder: Path) -> Iterator[VllmModel]:
    model = VllmModel(server[0], "narrator", folder)
    yield model
    model.close()


def test_the_server_tells_what_transformers_would(model: VllmModel, folder: Path) -> None:
    prompt = soft_prompt(3)
    assert list(model.generate(prompt, GREEDY)) == list(HfModel(folder).generate(prompt, GREEDY))


def test_leaving_frees_the_server(model: VllmModel, server: tuple[str, list[int]]) -> None:
    told = server[1]
    text = model.generate(
        soft_prompt(1), replace(GREEDY, max_tokens=380), constraints=Constraints(frozenset({model.eos_id}))
    )
    next(text)
    before = len(told)
    text.close()
    while True:
        n_told = len(told)
        time.sleep(0.5)
        if len(told) == n_told:
            break
    assert len(told) - before < 300  # it did not go on to the end


def test_whoever_waits_too_long_is_told(model: VllmModel) -> None:
    with pytest.raises(ModelError, match="no time left"):
        list(model.generate(soft_prompt(1), GREEDY, caller=Caller(patience_s=0.0)))


def test_constraints_that_it_cannot_keep_are_refused(model: VllmModel) -> None:
    with pytest.raises(ModelError, match="banned ids alone"):
        model.generate(soft_prompt(1), GREEDY, constraints=Constraints(after={1: frozenset({2})}))


def test_a_model_that_is_not_served(server: tuple[str, list[int]], folder: Path) -> None:
    with pytest.raises(ModelError, match="serves narrator, not another"):
        VllmModel(server[0], "another", folder)


def test_no_server(folder: Path) -> None:
    with pytest.raises(ModelError, match="is the server running"):
        VllmModel("http://127.0.0.1:9/v1", "narrator", folder)


def test_no_model_folder(server: tuple[str, list[int]], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="config.json"):
        VllmModel(server[0], "narrator", tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="embedding table"):
        VllmModel(server[0], "narrator", tmp_path)


def test_a_gemma_reads_its_table_louder_and_soft_rows_as_they_are(tmp_path: Path) -> None:
    folder = write_llm(tmp_path / "gemma", arch="gemma3")
    prompt = soft_prompt(3)
    prompt[1] *= 8  # as large as its scaled embeddings
    with serving(folder, "gemma", 1000) as (url, _):
        model = VllmModel(url, "gemma", folder)
        told = model.logits(prompt)
        model.close()
    expected = HfModel(folder).logits(prompt)
    np.testing.assert_allclose(told - told.max(), expected - expected.max(), atol=1e-3)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (httpx.Response(500, text="out of memory"), "HTTP 500: out of memory"),
        (httpx.Response(200, text="data: {}\n\n"), "not what vLLM gives"),
        (httpx.Response(200, text='data: {"choices": [{"logprobs": {"tokens": ["tea"]}}]}\n\n'), "by its id"),
    ],
)
def test_odd_answers(model: VllmModel, answer: httpx.Response, problem: str) -> None:
    model._client = httpx.Client(transport=httpx.MockTransport(lambda _: answer))
    with pytest.raises(ModelError, match=problem):
        list(model.generate(soft_prompt(1), GREEDY))


def test_a_foreign_narrator_is_served_by_the_server_that_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ForeignModel(str(folder), 128, (1,)).write(tmp_path)
    with serving(folder, str(folder), 100) as (url, _):
        monkeypatch.setenv("RACONTEUR_VLLM", url)
        model = open_language_model(tmp_path, tmp_path)
        assert isinstance(model, VllmModel) and model.context_length == 100
        model.close()
