"""A GGUF file as a chat model: its own vocabulary and chat template, JSON forced by a grammar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crs.llm.chat import Completion, Message, Schema
from crs.narrator.engine import LlamaCppModel
from crs.narrator.sampling import Sampling

N_SEQS = 2  # the long context of a judge, times two, is what small machines hold


class GgufChat:
    """A language model run on this machine by llama.cpp, as a ``ChatModel`` (chat.py).

    Two callers are served at a time, the same prompt is read once; others wait in line.
    """

    def __init__(self, gguf_path: str | Path, *, n_ctx: int = 8192) -> None:
        """``n_ctx`` positions for prompt and reply, at most as many as the model was trained for.

        Raises NotFoundError when there is no such file, ModelError when it cannot be opened.
        """
        self._model = LlamaCppModel(gguf_path, n_ctx=n_ctx, n_seqs=N_SEQS)
        self.name = self._model.name

    def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Schema | None = None,
        temperature: float,
        seed: int,
        max_tokens: int,
    ) -> Completion:
        """See ``ChatModel.complete``; a prompt that leaves no room for a reply is a reply cut at once."""
        prompt = self._model.chat_prompt([(message.role, message.content) for message in messages])
        room = self._model.context_length - len(prompt)
        if room < 1:
            return Completion("", len(prompt), 0, ended="length")
        # Without a penalty: JSON repeats its quotes and braces by right.
        sampling = Sampling(temperature, repeat_penalty=1.0, seed=seed, max_tokens=max_tokens)
        ids = list(self._model.generate([prompt], sampling, json_schema=schema))
        cut = len(ids) == min(max_tokens, room)
        text = self._model.decode(ids)
        return Completion(text, len(prompt), len(ids), ended="length" if cut else "stop")

    def close(self) -> None:
        """See ``ChatModel.close``."""
        self._model.close()
