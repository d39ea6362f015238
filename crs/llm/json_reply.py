"""Reading a reply that should be one JSON object of a schema: the object, or what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from crs.llm.chat import Completion, Schema

Flaw = Literal["refused", "cut short", "not JSON", "field missing", "value not allowed"]


@dataclass(frozen=True, slots=True)
class BrokenReply:
    """A reply that cannot be used: which kind of flaw, for counting, and where, for reading."""

    flaw: Flaw
    detail: str


def read_json(reply: Completion, schema: Schema) -> dict[str, Any] | BrokenReply:
    """The reply's JSON object, checked against ``schema`` (type "object"); never mended, never guessed.

    Words around the object are let go: endpoints that know no schema tend to wrap it in a code block.
    """
    from jsonschema import Draft202012Validator

    if reply.ended == "refused":
        return BrokenReply("refused", _short(reply.text))
    value = _first_object(reply.text)
    if value is None:
        return BrokenReply("cut short" if reply.ended == "length" else "not JSON", _short(reply.text))
    error = next(Draft202012Validator(dict(schema)).iter_errors(value), None)
    if error is None:
        return value
    where = "/".join(map(str, error.path))
    flaw: Flaw = "field missing" if error.validator == "required" else "value not allowed"
    return BrokenReply(flaw, _short(f"{where}: {error.message}" if where else error.message))


def _first_object(text: str) -> dict[str, Any] | None:
    """The object that the reply opens with, after whatever a reasoning model thought aloud."""
    said = text.rpartition("</think>")[2]
    start = said.find("{")
    try:
        value, _end = json.JSONDecoder().raw_decode(said, max(start, 0))
        json.dumps(
            value, ensure_ascii=False
        ).encode()  # escapes may spell half a character, which no file takes
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _short(text: str, n_chars: int = 200) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= n_chars else flat[: n_chars - 1] + "…"
