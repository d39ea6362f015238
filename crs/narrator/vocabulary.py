"""What a foreign model's own tokenizer makes of text: that of a Hugging Face folder, or a GGUF's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from crs.narrator.gguf_text import spelt
from knowledge.errors import ModelError

if TYPE_CHECKING:
    from crs.narrator.engine import LlamaCppModel


class Vocabulary(Protocol):
    """Text to token ids and back, and the ids of a chat around what its user says."""

    end_ids: tuple[int, ...]  # what ends a reply, the tokenizer's own end first
    pad_id: int
    control_ids: frozenset[int]  # the other tokens that stand for no text
    opening: list[int]  # before a user's words: the chat template's, else the start token
    closing: list[int]  # after them, up to where the reply begins

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text; a control token spelt out in it stays plain text."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, control tokens left out, a space at the front kept."""
        ...


class HfVocabulary:
    """A tokenizer of transformers as a `Vocabulary`."""

    def __init__(self, tokenizer: Any, end_ids: Sequence[int]) -> None:
        """``end_ids``: what ends a reply, besides the tokenizer's own token. ModelError when nothing does."""
        self.tokenizer = tokenizer
        own = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        self.end_ids: tuple[int, ...] = tuple(dict.fromkeys([*own, *end_ids]))
        if not self.end_ids:
            raise ModelError(
                f"{tokenizer.name_or_path}: no end token is named; set eos_token_id in config.json"
            )
        self.pad_id: int = self.end_ids[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self.control_ids = frozenset(tokenizer.all_special_ids) - set(self.end_ids)
        self.opening, self.closing = (
            tokenizer.encode(text, add_special_tokens=False) for text in _frame(tokenizer)
        )
        # Some tokenizers drop a space at the very front of what they decode; behind this it is not the front.
        self._anchor = self.encode([":"])[0]
        self._anchor_length = len(self._text(self._anchor))

    @classmethod
    def load(cls, folder: Path, end_ids: Sequence[int]) -> HfVocabulary:
        """From a folder that transformers can read a tokenizer from; ModelError when it cannot."""
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as exc:  # transformers raises whatever the broken part raised
            problem = (str(exc) or repr(exc)).splitlines()[0]
            raise ModelError(f"{folder}: no tokenizer that transformers can read ({problem})") from exc
        return cls(tokenizer, end_ids)

    def save(self, folder: Path) -> None:
        """Write the tokenizer's own files into ``folder``."""
        self.tokenizer.save_pretrained(folder)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """See `Vocabulary.encode`."""
        encode = self.tokenizer.encode
        return [encode(text, add_special_tokens=False, split_special_tokens=True) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """See `Vocabulary.decode`."""
        return self._text([*self._anchor, *ids])[self._anchor_length :]

    def _text(self, ids: list[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


class GgufVocabulary:
    """The vocabulary inside a GGUF as a `Vocabulary`; reading needs no word with the model."""

    def __init__(self, model: LlamaCppModel) -> None:
        """Raises ModelError when nothing ends a reply."""
        self._model = model
        ends, control = model.ask_text(lambda text: text.control_ids())
        if not ends:
            raise ModelError(f"{model.name}: its GGUF names no end token; convert the model again")
        self.end_ids, self.control_ids = tuple(ends), frozenset(control)
        self.pad_id = ends[0]
        self.opening, self.closing = model.ask_text(lambda text: text.chat_frame())
        # Kept, for every token that is drawn is looked at: the model's thread has other things to do.
        self._pieces = model.ask_text(lambda text: text.pieces())

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """See `Vocabulary.encode`."""
        return self._model.ask_text(lambda text: [text.encode(each) for each in texts])

    def decode(self, ids: Sequence[int]) -> str:
        """See `Vocabulary.decode`."""
        return spelt(self._pieces[i] for i in ids)


def _frame(tokenizer: Any) -> tuple[str, str]:
    """What stands before and after a user's words: the chat template's, else the start token and a break."""
    if not tokenizer.chat_template:
        return tokenizer.bos_token or "", "\n"
    words = "{words}"
    shown = tokenizer.apply_chat_template(
        [{"role": "user", "content": words}],
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=False,  # of the templates that know it
    )
    opening, _, closing = shown.partition(words)
    return opening, closing
