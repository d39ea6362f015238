"""A model of this machine as a LangChain chat model: streamed, stoppable, with soft tokens."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict

from crs.narrator.engine import LlamaCppModel
from crs.narrator.gguf_text import Turn
from crs.narrator.language_model import Caller
from crs.narrator.sampling import Sampling
from knowledge.errors import InputError

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}
_BROKEN = "\ufffd"  # a character of which only some bytes are there yet


class LlamaChatModel(BaseChatModel):
    """Chats with a GGUF by its own chat template, through an engine that others may use at the same time.

    ``bind`` takes ``soft`` (float32 (n, embedding_dim), read before the messages), ``temperature``,
    ``top_p``, ``seed``, ``max_tokens``, ``caller`` and ``stop_event``, a `threading.Event`. Closing the
    stream ends the text within one token. Errors are those of `LanguageModel.generate`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    engine: LlamaCppModel
    temperature: float = 0.7
    top_p: float = 0.95
    seed: int = 0
    max_tokens: int = 512

    @property
    def _llm_type(self) -> str:
        return "raconteur-llama-cpp"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.engine.name, "temperature": self.temperature, "seed": self.seed}

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        soft: np.ndarray | None = None,
        caller: Caller | None = None,
        stop_event: threading.Event | None = None,
        **sampling: Any,
    ) -> Iterator[ChatGenerationChunk]:
        prompt = self.engine.chat_prompt(_turns(messages))
        tokens = self.engine.generate(
            [*([] if soft is None else [soft]), prompt],
            self._sampling(sampling),
            stop=stop_event,
            caller=caller or Caller(),
        )
        try:
            for text in _until(_growing(self.engine, tokens), stop or []):
                if run_manager is not None:
                    run_manager.on_llm_new_token(text)
                yield ChatGenerationChunk(message=AIMessageChunk(content=text))
        finally:
            tokens.close()  # whoever stops listening frees the engine
        yield ChatGenerationChunk(message=AIMessageChunk(content="", chunk_position="last"))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chunks = self._stream(messages, stop, run_manager, **kwargs)
        text = "".join(str(chunk.message.content) for chunk in chunks)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])

    def _sampling(self, given: dict[str, Any]) -> Sampling:
        names = ("temperature", "top_p", "seed", "max_tokens")
        if odd := given.keys() - set(names):
            raise InputError("bind", f"unknown: {', '.join(sorted(odd))}; it takes {', '.join(names)}")
        chosen = {name: given.get(name, getattr(self, name)) for name in names}
        return Sampling(**chosen, repeat_penalty=1.0)


def _turns(messages: Sequence[BaseMessage]) -> list[Turn]:
    """The messages as a chat template takes them. Raises InputError for what it has no words for."""
    turns = []
    for place, message in enumerate(messages):
        if message.type not in _ROLES or not isinstance(message.content, str):
            raise InputError(
                f"message {place}",
                f"a {message.type} message of this content; give text of a person or model",
            )
        turns.append((_ROLES[message.type], message.content))
    return turns


def _growing(engine: LlamaCppModel, tokens: Iterator[int]) -> Iterator[str]:
    """The text piece by piece; a character waits until all of its bytes are there."""
    ids: list[int] = []
    told = ""
    for token in tokens:
        ids.append(token)
        text = engine.decode(ids)
        if text.endswith(_BROKEN):
            continue
        yield text[len(told) :]
        told = text
    if len(rest := engine.decode(ids)) > len(told):
        yield rest[len(told) :]


def _until(pieces: Iterator[str], stops: Sequence[str]) -> Iterator[str]:
    """The pieces up to the first of ``stops``; what may be the beginning of one is held back."""
    held = ""
    for piece in pieces:
        held += piece
        ends = [at for stop in stops if (at := held.find(stop)) >= 0]
        if ends:
            if min(ends):
                yield held[: min(ends)]
            return
        n_open = max((_overlap(held, stop) for stop in stops), default=0)
        if ready := held[: len(held) - n_open]:
            yield ready
        held = held[len(held) - n_open :]
    if held:
        yield held


def _overlap(text: str, stop: str) -> int:
    """How many last characters of ``text`` are the first of ``stop``."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
