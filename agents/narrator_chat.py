"""The narrator as a LangChain chat model: a narrative for a person, streamed, gated and stoppable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict

from agents.render import Segment, plain, render
from crs.narrator.narrate import Narrated, NarrationStream, Piece
from knowledge.errors import InputError
from knowledge.memory import Person
from knowledge.types import TASKS, Task

if TYPE_CHECKING:
    from crs.shop import Shop

PIECES, NARRATED = "pieces", "narrated"  # keys of a message's additional_kwargs


class NarratorChatModel(BaseChatModel):
    """Tells of a person's purchases from their soft tokens; what is told follows from what is bound.

    ``bind`` takes ``person`` and ``task``, and may take ``target_id``, ``seed``, ``stop_event`` (a
    `threading.Event`), ``caller`` (whose turn it is, the person's by default) and ``on_wait``. The messages
    are what led here; the task says what is asked. Content is text with products by name.
    ``additional_kwargs`` hold ``pieces``, a list of dicts of `Piece`, and with
    the last chunk ``narrated``, a dict of `Narrated`. Closing the stream ends the text within one token.
    Raises InputError for what is missing or unknown in ``bind``, else as `Shop.narrate` does.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    shop: Any  # a Shop

    @property
    def _llm_type(self) -> str:
        return "raconteur-narrator"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.shop.storyteller.model.name, "bundle": self.shop.bundle.version}

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        person: Person | None = None,
        task: Task | None = None,
        target_id: str | None = None,
        seed: int = 0,
        stop_event: threading.Event | None = None,
        caller: str | None = None,
        on_wait: Callable[[int], None] | None = None,
        **unknown: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if unknown or stop:
            odd = ", ".join(sorted(unknown)) or "stop"
            raise InputError("bind", f"{odd} means nothing to the narrator; see NarratorChatModel")
        if person is None or task not in TASKS:
            raise InputError("bind", f"person and task are needed; a task is one of {', '.join(TASKS)}")
        shop = cast("Shop", self.shop)
        narration = shop.narrate(person, task, target_id, seed, stop_event, caller=caller, on_wait=on_wait)
        target = shop.items[target_id] if target_id else None
        said: list[Piece] = []
        told = ""

        def chunk(text: str, kept: dict[str, Any], **last: Any) -> ChatGenerationChunk:
            if run_manager is not None and text:
                run_manager.on_llm_new_token(text)
            return ChatGenerationChunk(message=AIMessageChunk(content=text, additional_kwargs=kept, **last))

        def named(pieces: Sequence[Piece]) -> list[Segment]:
            return render(pieces, person.history, target, shop.items)

        with closing(cast(Generator[Piece], iter(narration))) as pieces:
            for piece in pieces:
                said.append(piece)
                # How a pointer reads, and the space after it, depends on what follows.
                last = max((i for i, each in enumerate(said) if each.cite is not None), default=len(said))
                ready = named(said[:last])
                while ready and ready[-1].item_id:
                    ready.pop()
                sure = plain(ready)
                new, told = sure[len(told) :], sure
                yield chunk(new, {PIECES: [asdict(piece)]})
        end = {NARRATED: asdict(narration.result)}
        yield chunk(plain(named(said))[len(told) :], end, chunk_position="last")

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chunks = [chunk.message for chunk in self._stream(messages, stop, run_manager, **kwargs)]
        kept = {
            PIECES: [piece for chunk in chunks for piece in chunk.additional_kwargs.get(PIECES, ())],
            NARRATED: chunks[-1].additional_kwargs[NARRATED],
        }
        message = AIMessage("".join(str(chunk.content) for chunk in chunks), additional_kwargs=kept)
        return ChatResult(generations=[ChatGeneration(message=message)])


def narration_of(chunks: Iterator[BaseMessage]) -> NarrationStream:
    """The narrative that a `NarratorChatModel` streams, as the narrator made it."""
    result: list[Narrated] = []

    def pieces() -> Iterator[Piece]:
        with closing(cast(Generator[BaseMessage], chunks)):
            for chunk in chunks:
                kept = chunk.additional_kwargs
                yield from (Piece(**piece) for piece in kept.get(PIECES, ()))
                if NARRATED in kept:
                    result.append(Narrated(**kept[NARRATED]))

    return NarrationStream(pieces(), result)
