"""Words in, words out for a GGUF that is not ours: its vocabulary, its chat template, JSON by grammar.

Used by the thread that owns the model (engine.py), which hands over the ``llama_cpp`` module.
"""

from __future__ import annotations

import ctypes
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from knowledge.errors import ModelError

# (role, content); roles are "system", "user" and "assistant"
Turn = tuple[str, str]

_PIECE_BYTES = 64  # most tokens are shorter
_REPLACEMENTS = re.compile("\ufffd+")
_REJECTED = np.float32(-1e30)  # no chance, yet finite: a sampler refuses logits that are not
# The converter's own rule for a character of a string lets control characters and half surrogates pass,
# which JSON does not have.
_CHARACTER = re.compile(r"^char ::= .*$", re.MULTILINE)
_JSON_CHARACTER = (
    r"char ::= [ !#-\x5B\x5D-~\u00A0-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]" r' | "\\" ["\\/bfnrt]'
)
# It spells "at most n characters" out in n nested brackets, which llama.cpp reads up to some hundred.
_OPTIONAL_CHARACTERS = re.compile(r"(?:\(char )*\(char\)\?(?:\)\?)*")
_MAX_REPETITIONS = 2000  # the most llama.cpp takes; a longer text is bounded by the tokens of the answer only
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data


class GgufText:
    """What a GGUF's vocabulary makes of text; for the use of one thread at a time."""

    def __init__(self, llama: ModuleType, model: Any) -> None:
        self._llama, self._model = llama, model
        self._vocab = llama.llama_model_get_vocab(model)
        self._n_vocab = int(llama.llama_vocab_n_tokens(self._vocab))

    def encode(self, text: str, *, control: bool = False) -> list[int]:
        """Token ids of ``text``; a control token spelt out in it stays plain text unless ``control``."""
        data = text.encode(errors="replace")
        room = len(data) + 16  # a token takes a byte at least, but for a space some vocabularies put first
        ids = (self._llama.llama_token * room)()
        n_ids = self._llama.llama_tokenize(self._vocab, data, len(data), ids, room, False, control)
        assert n_ids >= 0
        return list(ids[:n_ids])

    def decode(self, ids: Sequence[int], *, control: bool = False) -> str:
        """The text of ``ids``, control tokens left out unless ``control``.

        Bytes that are no character become one U+FFFD a run: a grammar has counted them as one character.
        """
        return spelt(self._piece(token, control) for token in ids)

    def chat_prompt(self, turns: Sequence[Turn]) -> np.ndarray:
        """Ids int32 (n,) that ask for the next answer, in the model's own layout where it has one.

        Only the layout may hold control tokens: what people wrote cannot end its own turn.
        """
        turns, (ids, *layout) = self._laid_out(turns)
        for (_role, content), after in zip(turns, layout, strict=True):
            ids += self.encode(content) + after
        return np.array(ids, dtype=np.int32)

    def chat_frame(self) -> tuple[list[int], list[int]]:
        """Ids that stand before and after what a user says, up to where the answer begins."""
        _, (opening, closing) = self._laid_out([("user", "")])
        return opening, closing

    def pieces(self) -> list[bytes]:
        """What each token of the vocabulary spells, by its id; nothing where it is a control token."""
        return [self._piece(token, False) for token in range(self._n_vocab)]

    def control_ids(self) -> tuple[list[int], list[int]]:
        """The control tokens that end an answer, the vocabulary's own end first, and the other ones."""
        own = self._llama.llama_vocab_eos(self._vocab)
        ends = [i for i in range(self._n_vocab) if self._llama.llama_vocab_is_eog(self._vocab, i)]
        ends.sort(key=lambda i: i != own)
        control = [i for i in range(self._n_vocab) if self._llama.llama_vocab_is_control(self._vocab, i)]
        return ends, [i for i in control if i not in ends]

    def json_grammar(self, schema: Mapping[str, Any]) -> Grammar:
        """Holds an answer to JSON of ``schema``. Raises ModelError when no grammar can be made of it."""
        try:
            gbnf = self._llama.llama_grammar.json_schema_to_gbnf(json.dumps(schema))
        except (AssertionError, LookupError, TypeError, ValueError, AttributeError) as exc:
            raise ModelError(f"no grammar can be made of this JSON schema ({exc}); simplify it") from exc
        gbnf = _OPTIONAL_CHARACTERS.sub(_at_most, gbnf)
        return Grammar(self._llama, self._vocab, _CHARACTER.sub(lambda _: _JSON_CHARACTER, gbnf))

    def _laid_out(self, turns: Sequence[Turn]) -> tuple[Sequence[Turn], list[list[int]]]:
        """The turns that can be told, then the ids before, between and after their contents."""
        merged = _without_system(turns)  # some templates know no system turn
        frame = self._frame(turns)
        if frame is None and (frame := self._frame(merged)) is not None:
            turns = merged
        if frame is None:
            frame = _plain_frame(turns)
        bos = self._llama.llama_vocab_bos(self._vocab)
        ids = [self.encode(text, control=True) for text in frame]
        if self._llama.llama_vocab_get_add_bos(self._vocab) and not frame[0].startswith(self._spelt(bos)):
            ids[0].insert(0, bos)
        return turns, ids

    def _frame(self, turns: Sequence[Turn]) -> list[str] | None:
        """What the chat template puts before, between and after the contents; None where it cannot."""
        template = self._llama.llama_model_chat_template(self._model, None)
        if not template:
            return None
        marks = [f"content-{place}-here" for place in range(len(turns))]
        messages = [{"role": role, "content": mark} for (role, _), mark in zip(turns, marks, strict=True)]
        formatter = self._llama.llama_chat_format.Jinja2ChatFormatter
        try:
            shown = formatter(
                template.decode(),
                eos_token=self._spelt(self._llama.llama_vocab_eos(self._vocab)),
                bos_token=self._spelt(self._llama.llama_vocab_bos(self._vocab)),
            )(messages=messages, enable_thinking=False).prompt
        except Exception:  # a template is a program of its own and fails in its own ways
            return None
        frame = []
        for mark in marks:
            before, found, shown = shown.partition(mark)
            if not found:
                return None
            frame.append(before)
        return [*frame, shown]

    def _spelt(self, token: int) -> str:
        return "" if token < 0 else self.decode([token], control=True)

    def _piece(self, token: int, control: bool) -> bytes:
        buffer = ctypes.create_string_buffer(_PIECE_BYTES)
        n_bytes = self._llama.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, control)
        if n_bytes < 0:  # longer than the buffer
            buffer = ctypes.create_string_buffer(-n_bytes)
            n_bytes = self._llama.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, control)
        return buffer.raw[:n_bytes]


class Grammar:
    """Which tokens may come next, by llama.cpp's grammar sampler; ``free`` it when the answer ends."""

    def __init__(self, llama: ModuleType, vocab: Any, gbnf: str) -> None:
        """``gbnf``: rules in llama.cpp's notation, the first named "root". ModelError if it reads none."""
        self._llama = llama
        self._sampler = llama.llama_sampler_init_grammar(vocab, gbnf.encode(), b"root")
        if not self._sampler:
            raise ModelError("llama.cpp cannot read the grammar of this JSON schema; simplify it")

    def allows(self, token: int) -> bool:
        """Whether ``token`` may come next. Asking for one is far cheaper than ``masked``."""
        return bool(np.isfinite(self._filtered(np.array([token]), np.zeros(1, dtype=np.float32)))[0])

    def masked(self, logits: np.ndarray) -> np.ndarray:
        """``logits`` float32 (n_vocab,) with those that may not come next far below all others.

        Raises ModelError when none may.
        """
        filtered = self._filtered(np.arange(len(logits)), logits)
        rejected = ~np.isfinite(filtered)
        if rejected.all():
            raise ModelError("the model has no tokens for the JSON it is asked for; take another model")
        filtered[rejected] = _REJECTED
        return filtered

    def accept(self, token: int) -> None:
        """Go on after ``token``, which must be allowed: llama.cpp ends the process over any other."""
        self._llama.llama_sampler_accept(self._sampler, token)

    def free(self) -> None:
        """Give it back to llama.cpp."""
        self._llama.llama_sampler_free(self._sampler)

    def _filtered(self, ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """A copy of ``logits``, -inf where the id of the same place may not come next."""
        candidates = np.zeros(len(ids), dtype=_CANDIDATE)
        candidates["id"], candidates["logit"] = ids, logits
        data = candidates.ctypes.data_as(self._llama.llama_token_data_p)
        array = self._llama.llama_token_data_array(data, len(ids), -1, False)
        self._llama.llama_sampler_apply(self._sampler, ctypes.byref(array))
        return candidates["logit"].copy()


def spelt(pieces: Iterable[bytes]) -> str:
    """The text that ``pieces`` spell; bytes that are no character become one U+FFFD a run."""
    return _REPLACEMENTS.sub("\ufffd", b"".join(pieces).decode(errors="replace"))


def _at_most(optional_characters: re.Match[str]) -> str:
    n = optional_characters[0].count("char")
    return f"char{{0,{n}}}" if n <= _MAX_REPETITIONS else "char*"


def _without_system(turns: Sequence[Turn]) -> list[Turn]:
    """The system's words put before the first user's."""
    told = [content for role, content in turns if role == "system"]
    rest = [turn for turn in turns if turn[0] != "system"]
    if told and rest:
        rest[0] = (rest[0][0], "\n\n".join([*told, rest[0][1]]))
    return rest


def _plain_frame(turns: Sequence[Turn]) -> list[str]:
    """A layout for models that were taught none."""
    heads = [f"\n\n{role.upper()}:\n" for role in [*(role for role, _ in turns), "assistant"]]
    return [heads[0].lstrip(), *heads[1:]]
