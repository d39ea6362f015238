"""A large language model that is spoken to in messages: what a caller may ask, and what comes back.

``GgufChat`` (gguf.py) runs one on this machine, ``EndpointChat`` (endpoint.py) asks one over HTTP,
``FakeChat`` (here) keeps the same contract without any weights. ``open_chat_model`` (open.py) picks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from knowledge.errors import InputError, ModelError

Role = Literal["system", "user", "assistant"]
# JSON Schema. Bound every text (maxLength) and list (maxItems) in it, so that a reply must end.
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation that a model is asked to continue."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Completion:
    """One reply. ``ended``: by itself ("stop"), cut at a limit ("length"), or declined ("refused").

    ``cost_usd`` is None where no price was named.
    """

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    ended: Literal["stop", "length", "refused"] = "stop"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens read and a million tokens written."""

    prompt: float
    completion: float

    @classmethod
    def parse(cls, text: str) -> Price:
        """From "IN:OUT", as in "0.15:0.60". Raises InputError."""
        try:
            prompt, completion = map(float, text.split(":"))
        except ValueError as exc:
            raise InputError(
                "--llm-price", f"'{text}' is not two prices; write them as in 0.15:0.60"
            ) from exc
        if not (0 <= prompt < float("inf") and 0 <= completion < float("inf")):
            raise InputError("--llm-price", f"'{text}': prices are 0 or more")
        return cls(prompt, completion)

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost, in US dollars."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


class ChatModel(Protocol):
    """A language model that answers messages; safe to call from several threads."""

    @property
    def name(self) -> str:
        """Which model it is, as records and fingerprints name it."""
        ...

    def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Schema | None = None,
        temperature: float,
        seed: int,
        max_tokens: int,
    ) -> Completion:
        """The reply to ``messages``. With ``schema`` the model is held to JSON of that schema.

        Being held is not a promise (a reply may be cut short, an endpoint may not know schemas): read it
        with ``crs.llm.json_reply.read_json``. Raises BusyError when the model stays busy, else ModelError.
        """
        ...

    def close(self) -> None:
        """Free what is held; calls under way and later ones raise ModelError. May be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """What a ``FakeChat`` was asked."""

    messages: tuple[Message, ...]
    schema: Schema | None
    temperature: float
    seed: int
    max_tokens: int


Reply = str | Completion | Exception


class FakeChat:
    """A chat model without weights, for tests and dry runs; ``calls`` keeps what it was asked.

    ``replies`` are given in order, an exception among them is raised; or a function makes each from its
    call. ModelError when they are used up.
    """

    def __init__(
        self,
        replies: Iterable[Reply] | Callable[[Call], Reply],
        *,
        name: str = "fake",
        price: Price | None = None,
    ) -> None:
        self.name = name
        self.calls: list[Call] = []
        self._answer = replies if callable(replies) else None
        self._replies = iter(()) if callable(replies) else iter(replies)
        self._price = price
        self._lock = threading.Lock()
        self._closed = False

    def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Schema | None = None,
        temperature: float,
        seed: int,
        max_tokens: int,
    ) -> Completion:
        """See ``ChatModel.complete``; a plain text counts its words as tokens."""
        call = Call(tuple(messages), schema, temperature, seed, max_tokens)
        with self._lock:
            if self._closed:
                raise ModelError("the chat model is closed; open it again")
            self.calls.append(call)
            reply = self._answer(call) if self._answer else next(self._replies, None)
        if reply is None:
            raise ModelError("the fake chat model has no reply left; give it more")
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Completion):
            return reply
        n_read = sum(len(message.content.split()) for message in messages)
        n_written = len(reply.split())
        cost = self._price.of(n_read, n_written) if self._price else None
        return Completion(reply, n_read, n_written, cost)

    def close(self) -> None:
        """See ``ChatModel.close``."""
        self._closed = True
