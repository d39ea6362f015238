"""Calls that are paid for once: finished ones are kept on disk, so that a run that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from crs.llm.chat import ChatModel, Completion, Message, Schema
from knowledge.errors import InputError


@dataclass(slots=True)
class Usage:
    """What a run's calls came to. ``cost_usd`` is None as long as no price was named."""

    n_asked: int = 0
    n_kept: int = 0  # answered from an earlier run
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None

    def add(self, reply: Completion) -> None:
        """Count one call that was made just now."""
        self.n_asked += 1
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens
        if reply.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + reply.cost_usd

    def __str__(self) -> str:
        cost = "" if self.cost_usd is None else f", ${self.cost_usd:.4f}"
        return f"{self.prompt_tokens:,} + {self.completion_tokens:,} tokens{cost}"


class KeptChat:
    """A `ChatModel` (chat.py) in front of another that remembers every finished call; use it in a ``with``.

    ``path`` holds one JSON line a call, only ever appended to, found again by the fingerprint of model,
    messages, schema and settings. A last line torn by a crash is cut off; any other broken line is refused
    with InputError.
    """

    def __init__(self, model: ChatModel, path: Path) -> None:
        self.usage = Usage()
        self._model = model
        self._settled = threading.Condition()
        self._under_way: set[str] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._replies = _finished_calls(path) if path.exists() else {}
            self._file = path.open("ab")
        except OSError as exc:
            raise InputError(path, f"cannot be written ({exc.strerror}); name another file") from exc

    def __enter__(self) -> KeptChat:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The model's own."""
        return self._model.name

    def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Schema | None = None,
        temperature: float,
        seed: int,
        max_tokens: int,
    ) -> Completion:
        """See ``ChatModel.complete``; a call that was made before, or is under way, is not made again."""
        asked = [self.name, [asdict(m) for m in messages], schema, temperature, seed, max_tokens]
        key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        with self._settled:
            self._settled.wait_for(lambda: key not in self._under_way)
            if (kept := self._replies.get(key)) is not None:
                self.usage.n_kept += 1
                return kept
            self._under_way.add(key)
        try:
            reply = self._model.complete(
                messages, schema=schema, temperature=temperature, seed=seed, max_tokens=max_tokens
            )
            self._keep(key, reply)
        finally:
            with self._settled:
                self._under_way.discard(key)
                self._settled.notify_all()
        return reply

    def _keep(self, key: str, reply: Completion) -> None:
        line = json.dumps({"call": key, "model": self.name, **asdict(reply)}, ensure_ascii=False)
        with self._settled:
            self.usage.add(reply)
            if reply.text:  # else the prompt had no room, which a longer context mends
                self._file.write(line.encode() + b"\n")
                self._file.flush()
                self._replies[key] = reply

    def close(self) -> None:
        """Close the file; the model behind stays open, for it was opened by somebody else."""
        self._file.close()


def _finished_calls(path: Path) -> dict[str, Completion]:
    """Reply by fingerprint; what stands after the last line break is removed from the file."""
    replies: dict[str, Completion] = {}
    n_whole = 0  # bytes
    with path.open("rb+") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                file.truncate(n_whole)
                break
            n_whole += len(line)
            try:
                fields = json.loads(line)
                key = fields.pop("call")
                del fields["model"]
                replies[key] = Completion(**fields)
            except (ValueError, LookupError, TypeError, AttributeError) as exc:
                problem = "is no finished call; remove the line, or name another file"
                raise InputError(path, problem, line=number) from exc
    return replies
