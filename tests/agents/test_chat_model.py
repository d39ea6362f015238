"""LlamaChatModel: LangChain's ways in, our engine's ways out."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from agents.chat_model import LlamaChatModel, _until
from crs.narrator.engine import LlamaCppModel
from crs.narrator.gguf_export import export_gguf
from knowledge.errors import InputError, ModelError
from tests.crs.narrator_folders import DIM, write_narrator

TALK = [SystemMessage("Be kind."), HumanMessage("A kettle?"), AIMessage("It boils."), HumanMessage("Tea?")]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCppModel]:
    folder = write_narrator(tmp_path_factory.mktemp("chat-model"))
    export_gguf(folder, folder / "chat.gguf", "f32")
    engine = LlamaCppModel(folder / "chat.gguf", n_seqs=2, kv_dtype="f32", flash_attn=False)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def chat(engine: LlamaCppModel) -> LlamaChatModel:
    return LlamaChatModel(engine=engine, max_tokens=30)


def test_streamed_and_whole_answers_are_the_same(chat: LlamaChatModel) -> None:
    whole = chat.invoke(TALK)
    assert isinstance(whole, AIMessage) and whole.content
    assert "".join(str(chunk.content) for chunk in chat.stream(TALK)) == whole.content


def test_what_is_bound_is_used(chat: LlamaChatModel) -> None:
    texts = {chat.bind(seed=seed, temperature=1.2).invoke(TALK).content for seed in range(3)}
    assert len(texts) == 3
    assert len(str(chat.bind(max_tokens=2).invoke(TALK).content)) < min(map(len, map(str, texts)))


def test_soft_rows_are_read_before_the_messages(chat: LlamaChatModel) -> None:
    rows = np.random.default_rng(0).normal(scale=0.5, size=(4, DIM)).astype(np.float32)
    cold = chat.bind(temperature=0.0)
    assert cold.bind(soft=rows).invoke(TALK).content != cold.invoke(TALK).content
    assert cold.bind(soft=rows).invoke(TALK).content == cold.bind(soft=rows).invoke(TALK).content
    with pytest.raises(ModelError, match="soft rows"):
        cold.bind(soft=rows[:, :5]).invoke(TALK)


def test_closing_the_stream_frees_the_engine(
    chat: LlamaChatModel, engine: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    import llama_cpp

    streams = [chat.bind(max_tokens=400, seed=seed).stream(TALK) for seed in range(2)]
    for stream in streams:
        next(stream)
    for stream in streams:
        stream.close()  # type: ignore[attr-defined]
    decodes: list[int] = []
    decode = llama_cpp.llama_decode
    monkeypatch.setattr(
        llama_cpp, "llama_decode", lambda ctx, batch: decodes.append(batch.n_tokens) or decode(ctx, batch)
    )
    assert str(chat.bind(max_tokens=3).invoke(TALK).content)
    assert len(decodes) < 50  # both rooms were taken by some 400 tokens each
    assert engine.load.n_waiting == 0


def test_an_event_stops_it(chat: LlamaChatModel) -> None:
    stop = threading.Event()
    stop.set()
    assert chat.bind(stop_event=stop).invoke(TALK).content == ""


def test_text_ends_before_a_stop_word(chat: LlamaChatModel) -> None:
    whole = str(chat.invoke(TALK).content)
    word = whole[8:11]
    assert str(chat.invoke(TALK, stop=[word]).content) == whole[: whole.index(word)]


@pytest.mark.parametrize(
    ("pieces", "stops", "text"),
    [
        (["one ", "two"], [], "one two"),
        (["one E", "ND two"], ["END"], "one "),
        (["one E", "N two"], ["END"], "one EN two"),
        (["E", "N", "D"], ["END"], ""),
        (["one E"], ["END"], "one E"),
        (["a b c"], ["c", "b"], "a "),
    ],
)
def test_stop_words_across_pieces(pieces: list[str], stops: list[str], text: str) -> None:
    assert "".join(_until(iter(pieces), stops)) == text


def test_what_it_cannot_read_is_refused(chat: LlamaChatModel) -> None:
    with pytest.raises(InputError, match="message 0"):
        chat.invoke([ToolMessage("a result", tool_call_id="1")])
    with pytest.raises(InputError, match="beam"):
        chat.bind(beam=3).invoke(TALK)
