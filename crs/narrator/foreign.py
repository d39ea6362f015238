"""Somebody else's language model behind our adapter: which one it is, and how it is spoken to.

A narrator's folder holds, in place of weights, ``foreign.json`` and the model's own tokenizer. Pointers
are plain text to such a model: none can be masked, so the gate looks at them once they are written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crs.narrator.evidence import Evidence
from crs.narrator.gate import POINTER
from crs.narrator.sampling import Constraints
from crs.narrator.tokenizer import DESCRIBE, LIST, POINTERS
from knowledge.errors import BundleError, ModelError
from knowledge.types import TARGET_POINTER, Task, pointer

FOREIGN, TOKENIZER = "foreign.json", "tokenizer"
_MAX_LISTING_TOKENS = 120
PARTS = (FOREIGN, f"{TOKENIZER}/tokenizer_config.json", "adapter.safetensors")

_PREFACE = (
    "You write for a shop about one of its shoppers. These are the shopper's purchases, one vector each, the "
    "oldest first, and last the product in question, if there is one:\n"
)
_RULE = (
    'Never write the name of a product. Write its place among the purchases, as in "the [1] kettle", or '
    f"{TARGET_POINTER} for the product in question, and after it what kind of product it is."
)
_ASKED: dict[str, str] = {
    "purchase_reason": f"Say in one sentence why the shopper bought {TARGET_POINTER}.",
    "purchase_reason_explanation": f"Explain in a few sentences why the shopper bought {TARGET_POINTER}.",
    "user_summary_brief": "Describe the shopper in a few sentences.",
    "user_summary_long": "Describe the shopper in a long paragraph: needs, tastes and habits.",
    "user_profile": "Name the kind of shopper in about five words.",
    "product_endorsement": f"Recommend {TARGET_POINTER} to the shopper in one paragraph.",
    LIST: "Name in turn what was bought, beginning with purchase",
    DESCRIBE: "Say what is known of purchase",
}


@dataclass(frozen=True)
class ForeignModel:
    """``foreign.json``: the language model that an adapter was trained for.

    ``llm``: a folder in Hugging Face's layout, or the repository it is downloaded from. ``gguf``: the same
    model as llama.cpp reads it. ``end_ids``: the tokens that end a reply.
    """

    llm: str
    embedding_dim: int
    end_ids: tuple[int, ...]
    gguf: str | None = None

    @classmethod
    def read(cls, narrator_dir: Path) -> ForeignModel:
        """Raises BundleError when the file is missing or damaged."""
        path = narrator_dir / FOREIGN
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**fields, "end_ids": tuple(fields["end_ids"])})
        except (OSError, ValueError, LookupError, TypeError) as exc:
            raise BundleError(f"{path}: cannot be read ({exc}); train the narrator again") from exc

    def write(self, narrator_dir: Path) -> None:
        """Write ``foreign.json`` into the folder."""
        (narrator_dir / FOREIGN).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def is_foreign(narrator_dir: Path) -> bool:
    """Whether the narrator in this folder is an adapter for a foreign language model."""
    return (narrator_dir / FOREIGN).is_file()


def local_folder(llm: str) -> Path:
    """The folder of ``llm``, a path or the name of a repository that was downloaded; nothing is fetched.

    Raises ModelError when it is not on this machine.
    """
    if Path(llm).is_dir():
        return Path(llm)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(llm, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as exc:
        raise ModelError(
            f"{llm}: neither a folder nor a downloaded repository; get it with `hf download {llm}` first"
        ) from exc


class ForeignTokenizer:
    """A `PromptTokenizer` (prompt.py) around one of transformers; a chat model is asked as in a chat."""

    def __init__(self, tokenizer: Any, end_ids: Sequence[int]) -> None:
        """``end_ids``: what ends a reply, besides the tokenizer's own token. ModelError when nothing does."""
        self._tokenizer = tokenizer
        own = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        self.end_ids: tuple[int, ...] = tuple(dict.fromkeys([*own, *end_ids]))
        if not self.end_ids:
            raise ModelError(
                f"{tokenizer.name_or_path}: no end token is named; set eos_token_id in config.json"
            )
        self.eos_id = self.end_ids[0]
        self.pad_id: int = self.eos_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self._control_ids = frozenset(tokenizer.all_special_ids) - set(self.end_ids)
        opening, closing = _frame(tokenizer)
        self._closing = self._with_control(closing)
        self.head = np.asarray([*self._with_control(opening), *self.encode(_PREFACE)], dtype=np.int32)
        spelt = [self.encode(space + text) for text in POINTERS for space in ("", " ")]
        self.repeatable = frozenset(token_id for ids in spelt for token_id in ids)
        self.pointer_ends = frozenset(ids[-1] for ids in spelt)
        # Some tokenizers drop a space at the very front of what they decode; behind this it is not the front.
        self._anchor = self.encode(":")
        self._anchor_length = len(self._text(self._anchor))

    @classmethod
    def load(cls, folder: Path, end_ids: Sequence[int]) -> ForeignTokenizer:
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
        self._tokenizer.save_pretrained(folder)

    def ask(self, task: Task, listing: Mapping[str, str], note: str = "") -> list[int]:
        """The task and the rule for pointers as text, what else is known, and the target's listing."""
        asked = f"\n{_ASKED[task]} {_RULE}"
        if note:
            asked += f" What is known of the shopper: {note}."
        if not listing:
            return [*self.encode(asked), *self._closing]
        told = self.encode(POINTER.sub("", "; ".join(listing.values())))[:_MAX_LISTING_TOKENS]
        return [*self.encode(f"{asked} {TARGET_POINTER} is: "), *told, *self._closing]

    def reply(self, text: str, evidence: Evidence) -> list[int]:
        """Ids of a reply with its end token; a foreign model has no tokens for markup: it learns words."""
        return [*self.encode(text), self.eos_id]

    def exercise(self, kind: str, position: int) -> list[int]:
        """An exercise as text."""
        return [*self.encode(f"\n{_ASKED[kind]} {pointer(position)}. {_RULE}"), *self._closing]

    def constraints(self, evidence: Evidence) -> Constraints:
        """No control tokens but the end; a pointer is many tokens and none of them its own."""
        return Constraints(banned=self._control_ids)

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``; a control token spelt out in it stays plain text."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, control tokens left out."""
        return self._text([*self._anchor, *ids])[self._anchor_length :]

    def _with_control(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _text(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


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
