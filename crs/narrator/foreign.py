"""Somebody else's language model behind our adapter: which one it is, and how it is spoken to.

A narrator's folder holds, in place of weights, ``foreign.json`` and the model's own tokenizer. Pointers
are plain text to such a model: none can be masked, so the gate looks at them once they are written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from crs.adapter import ADAPTER
from crs.narrator.evidence import Evidence
from crs.narrator.gate import POINTER
from crs.narrator.sampling import Constraints
from crs.narrator.tokenizer import DESCRIBE, LIST, POINTERS
from crs.narrator.vocabulary import Vocabulary
from knowledge.errors import BundleError, ModelError
from knowledge.types import TARGET_POINTER, Task, pointer

FOREIGN, TOKENIZER = "foreign.json", "tokenizer"
_MAX_LISTING_TOKENS = 120
PARTS = (FOREIGN, f"{TOKENIZER}/tokenizer_config.json", ADAPTER)

# What holds for every task stands before the purchases: with them it is read once, whatever is asked then.
_WRITES = (
    "You write for a shop about one of its shoppers. Never write the name of a product. Write its place "
    f'among the purchases, as in "the [1] kettle", or {TARGET_POINTER} for the product in question, and '
    "after it what kind of product it is."
)
_SOFT_PREFACE = (
    f"{_WRITES} These are the shopper's purchases, one vector each, the "
    "oldest first, and last the product in question, if there is one:\n"
)
_TEXT_PREFACE = f"{_WRITES} These are the shopper's purchases, each behind its place, the oldest first:\n"
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


def spelt_out(task: Task, purchases: Sequence[str], listing: Mapping[str, str]) -> str:
    """The whole prompt as plain text: a line for each purchase, the task, and what the target is (slot ->
    text)."""
    told = f" {TARGET_POINTER} is: {POINTER.sub('', '; '.join(listing.values()))}" if listing else ""
    return f"{_TEXT_PREFACE}{''.join(purchases)}\n{_ASKED[task]}{told}"


@dataclass(frozen=True)
class ForeignModel:
    """``foreign.json``: the language model that an adapter was trained for.

    ``llm``: a folder in Hugging Face's layout, or the repository it is downloaded from. ``gguf``: the same
    model as llama.cpp reads it. ``end_ids``: the tokens that end a reply. ``lora``: a LoRA (lora.py) that was
    trained with the adapter, in the narrator's folder.
    """

    llm: str
    embedding_dim: int
    end_ids: tuple[int, ...]
    gguf: str | None = None
    lora: str | None = None

    @classmethod
    def read(cls, narrator_dir: Path) -> ForeignModel:
        """Raises BundleError when the file is missing or damaged."""
        path = narrator_dir / FOREIGN
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**fields, "end_ids": tuple(fields["end_ids"])})
        except (OSError, ValueError, LookupError, TypeError) as exc:
            raise BundleError(f"{path}: cannot be read ({exc}); train the narrator again") from exc

    def lora_path(self, narrator_dir: Path) -> Path | None:
        """Where its LoRA lies; None without one."""
        return narrator_dir / self.lora if self.lora else None

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
    """A `PromptTokenizer` (prompt.py) around a foreign vocabulary; a chat model is asked as in a chat."""

    def __init__(self, vocabulary: Vocabulary, *, reads_text: bool = False) -> None:
        """``reads_text``: purchases come as text, to a model that was not trained on anything of ours."""
        self.vocabulary = vocabulary
        self._reads_text = reads_text
        self.eos_id, self.pad_id = vocabulary.end_ids[0], vocabulary.pad_id
        preface = _TEXT_PREFACE if reads_text else _SOFT_PREFACE
        self.head = np.asarray([*vocabulary.opening, *self.encode(preface)], dtype=np.int32)
        spelt = vocabulary.encode([space + text for text in POINTERS for space in ("", " ")])
        self.repeatable = frozenset(token_id for ids in spelt for token_id in ids)
        self.pointer_ends = frozenset(ids[-1] for ids in spelt)

    def ask(self, task: Task, listing: Mapping[str, str], note: str = "") -> list[int]:
        """The task as text, what else is known, and the target's listing."""
        asked = f"\n{_ASKED[task]}"
        if note and not self._reads_text:  # it is in our markup, which only training teaches
            asked += f" What is known of the shopper: {note}."
        closing = self.vocabulary.closing
        if not listing:
            return [*self.encode(asked), *closing]
        told = self.encode(POINTER.sub("", "; ".join(listing.values())))[:_MAX_LISTING_TOKENS]
        return [*self.encode(f"{asked} {TARGET_POINTER} is: "), *told, *closing]

    def reply(self, text: str, evidence: Evidence) -> list[int]:
        """Ids of a reply with its end token; a foreign model has no tokens for markup: it learns words."""
        return [*self.encode(text), self.eos_id]

    def exercise(self, kind: str, position: int) -> list[int]:
        """An exercise as text."""
        asked = self.encode(f"\n{_ASKED[kind]} {pointer(position)}.")
        return [*asked, *self.vocabulary.closing]

    def constraints(self, evidence: Evidence) -> Constraints:
        """No control tokens but the end; a pointer is many tokens and none of them its own."""
        return Constraints(banned=self.vocabulary.control_ids)

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``; a control token spelt out in it stays plain text."""
        return self.vocabulary.encode([text])[0]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, control tokens left out."""
        return self.vocabulary.decode(ids)
