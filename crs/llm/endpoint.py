"""A language model behind an OpenAI-compatible endpoint: vLLM, llama.cpp's server, or a paid service.

Wire format: OpenAI's API reference, "Create chat completion". The key is read from RACONTEUR_LLM_KEY.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from crs.llm.chat import Completion, Message, Price, Schema
from knowledge.errors import BusyError, ModelError

if TYPE_CHECKING:
    import httpx

KEY_VARIABLE = "RACONTEUR_LLM_KEY"

_PATH = "/chat/completions"
_BUSY = frozenset({408, 409, 429, 500, 502, 503, 504, 529})  # worth another try
_REFUSED = frozenset({400, 404, 415, 422})  # of what was asked: perhaps of how, so another form is tried
_N_TRIES = 6
_LONGEST_WAIT_S = 60.0


class EndpointChat:
    """A model of an OpenAI-compatible endpoint, as a ``ChatModel`` (chat.py).

    JSON is asked for by schema; an endpoint that refuses that is asked for a JSON object, and then in words
    alone. What it took last is asked for first. A busy endpoint is asked again, later each time.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        price: Price | None = None,
        timeout_s: float = 300.0,
        first_wait_s: float = 1.0,
    ) -> None:
        """``url``: what stands before ``/chat/completions``. ``first_wait_s``: doubled with every retry.

        Raises ModelError when ``url`` is not one.
        """
        import httpx

        self.name = model
        self._url = url.rstrip("/").removesuffix(_PATH) + _PATH
        try:
            httpx.URL(self._url)
        except httpx.InvalidURL as exc:
            raise ModelError(f"{url}: not a URL ({exc}); give one as in http://127.0.0.1:8080/v1") from exc
        self._price, self._first_wait_s = price, first_wait_s
        key = os.environ.get(KEY_VARIABLE, "").strip()
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(timeout_s, connect=10.0),
            limits=httpx.Limits(max_connections=None),  # the caller's threads are the limit
        )
        self._form = 0  # index into _forms of what the endpoint took last
        self._length_field = "max_tokens"
        self._closed = threading.Event()

    def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Schema | None = None,
        temperature: float,
        seed: int,
        max_tokens: int,
    ) -> Completion:
        """See ``ChatModel.complete``; a prompt longer than the context is a reply cut at once."""
        told = [{"role": message.role, "content": message.content} for message in messages]
        settings = {"model": self.name, "temperature": temperature, "seed": seed}
        forms = _forms(told, schema)
        form = min(self._form, len(forms) - 1)
        while True:
            status, text = self._post({**settings, self._length_field: max_tokens, **forms[form]})
            if status < 400:
                if schema is not None:
                    self._form = form
                return self._read(text)
            problem = _problem(text)
            if _is_too_long(problem):
                return Completion("", ended="length")
            if status in _REFUSED and "max_completion_tokens" in problem and self._length_field in problem:
                self._length_field = "max_completion_tokens"  # what newer models call it
            elif status in _REFUSED - {404} and form + 1 < len(forms):
                form += 1
            else:
                raise ModelError(f"{self._url}: {_advice(status)} (HTTP {status}: {problem})")

    def close(self) -> None:
        """See ``ChatModel.close``."""
        self._closed.set()
        self._client.close()

    def _post(self, body: Mapping[str, Any]) -> tuple[int, str]:
        """Status and text of the answer, once it is not that the endpoint is busy."""
        import httpx

        for n_waits in range(_N_TRIES):
            if self._closed.is_set():
                raise ModelError("the chat model is closed; open it again")
            wait_s = self._first_wait_s * 2**n_waits * random.uniform(0.5, 1.0)  # so that callers part ways
            try:
                response = self._client.post(self._url, json=body)
            except (httpx.TransportError, RuntimeError) as exc:  # RuntimeError: closed by another thread
                problem: Exception | str = exc
                error: type[BusyError | ModelError] = ModelError
            else:
                if response.status_code not in _BUSY:
                    return response.status_code, response.text
                problem = f"HTTP {response.status_code}: {_problem(response.text)}"
                error = BusyError
                wait_s = max(wait_s, _retry_after_s(response))
            if n_waits + 1 < _N_TRIES:
                self._closed.wait(min(wait_s, _LONGEST_WAIT_S))
        raise error(
            f"{self._url}: no answer in {_N_TRIES} tries ({problem or repr(problem)}); try again later"
        )

    def _read(self, text: str) -> Completion:
        try:
            answer = json.loads(text)
            choice = answer["choices"][0]
            said, refusal = (
                _whole_characters(choice["message"].get(part)) for part in ("content", "refusal")
            )
            finish = choice.get("finish_reason")
            usage = answer.get("usage") or {}
            n_read, n_written = int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
        except (ValueError, LookupError, TypeError, AttributeError) as exc:
            raise ModelError(
                f"{self._url}: its answer is not a chat completion ({exc!r}); check the URL"
            ) from exc
        cost = self._price.of(n_read, n_written) if self._price else None
        if refusal or finish == "content_filter":
            return Completion(refusal or said, n_read, n_written, cost, ended="refused")
        return Completion(said, n_read, n_written, cost, ended="length" if finish == "length" else "stop")


def _forms(messages: list[dict[str, str]], schema: Schema | None) -> list[dict[str, Any]]:
    """Ways to ask for JSON of ``schema``, the strictest first."""
    if schema is None:
        return [{"messages": messages}]
    in_words = "\n\nAnswer with one JSON object of this JSON schema and nothing else:\n" + json.dumps(schema)
    spelt_out = [*messages[:-1], {**messages[-1], "content": messages[-1]["content"] + in_words}]
    return [
        {"messages": messages, "response_format": _by_schema(schema)},
        {"messages": messages, "response_format": _by_schema(_without_lengths(schema))},
        {"messages": spelt_out, "response_format": {"type": "json_object"}},
        {"messages": spelt_out},
    ]


def _by_schema(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def _without_lengths(schema: Any) -> Any:
    """``schema`` without the bounds that some endpoints do not know."""
    if isinstance(schema, Mapping):
        bounds = {"minLength", "maxLength"}
        return {key: _without_lengths(part) for key, part in schema.items() if key not in bounds}
    return [_without_lengths(part) for part in schema] if isinstance(schema, list | tuple) else schema


def _whole_characters(text: str | None) -> str:
    """JSON can spell half a character, which no file takes."""
    return (text or "").encode(errors="replace").decode()


def _problem(text: str) -> str:
    """What an error says, in one line."""
    try:
        error = json.loads(text)
        while isinstance(error, dict) and ("error" in error or "message" in error):
            error = error.get("error") or error.get("message")
    except ValueError:
        error = text
    return " ".join(str(error).split())[:300]


def _is_too_long(problem: str) -> bool:
    lowered = problem.lower()
    return "context length" in lowered or "context_length" in lowered or "context size" in lowered


def _advice(status: int) -> str:
    if status in (401, 403):
        return f"it does not let us in; set {KEY_VARIABLE}"
    if status == 404:
        return "no such path or model; check --llm, which names both"
    return "it refused what it was asked"


def _retry_after_s(response: httpx.Response) -> float:
    """What its Retry-After header asks for: seconds, or a date; 0 without one."""
    wish = response.headers.get("Retry-After", "")
    try:
        return max(0.0, float(wish))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(wish).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0
