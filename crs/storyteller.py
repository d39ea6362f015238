"""From a history and a task to a stream of narrative: fused rows, soft tokens or text, the language model."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crs.bundle import Bundle
from crs.content import TextEncoder
from crs.narrator.evidence import REASONS as REASONS
from crs.narrator.evidence import StoreWords
from crs.narrator.language_model import ANYONE, Caller
from crs.rows import FusedRows
from knowledge.errors import BundleError, InputError, NotFoundError, RaconteurError
from knowledge.types import MAX_HISTORY, TARGET_TASKS, TASKS, Interaction, Item, Task

if TYPE_CHECKING:
    from crs.narrator.engine import Load
    from crs.narrator.foreign import ForeignTokenizer
    from crs.narrator.language_model import LanguageModel
    from crs.narrator.narrate import NarrationStream
    from crs.narrator.prompt import HistoryReader, PromptTokenizer


class Storyteller:
    """One bundle's narrator over one language model; safe to share between conversations."""

    def __init__(
        self,
        bundle: Bundle,
        encoder: TextEncoder,
        model: LanguageModel,
        *,
        gated: bool = True,
        rows: FusedRows | None = None,
        as_text: ForeignTokenizer | None = None,
    ) -> None:
        """``as_text``: how ``model`` is asked where no adapter is trained for it; it is given text then."""
        from crs.narrator.narrate import Narrator
        from crs.narrator.narrator_folder import open_tokenizer
        from crs.narrator.text_history import TextHistory

        self.model = model
        self.reads_text = as_text is not None
        self._bundle_path = bundle.path
        self._items = bundle.store.items
        self._rows = rows or FusedRows(bundle, encoder)
        tokenizer: PromptTokenizer
        history: HistoryReader
        if as_text is not None:
            tokenizer, history = as_text, TextHistory(as_text)
        else:
            tokenizer = open_tokenizer(bundle.narrator_dir)
            history = bundle.soft_tokens
        words = StoreWords.of(self._items.values())
        self._narrator = Narrator(model, tokenizer, history, words=words, gated=gated)

    @classmethod
    def open(
        cls,
        bundle: Bundle,
        encoder: TextEncoder,
        cache_dir: Path,
        *,
        gated: bool = True,
        rows: FusedRows | None = None,
    ) -> Storyteller:
        """Open the bundle's narrator, or the model that RACONTEUR_LLM names and none was trained for.

        The GGUF of a narrator of ours is written to ``cache_dir`` at the first use.

        ``gated`` False lets every sentence pass, to measure what the narrator says by itself. ``rows``:
        the bundle's, where another storyteller has encoded reviews already.
        Raises BundleError when the bundle has no narrator, ModelError when it cannot be loaded.
        """
        from crs.narrator.narrator_folder import open_language_model, open_text_model, text_model

        as_text = None
        if llm := text_model(bundle.narrator_dir):
            model, as_text = open_text_model(llm)
        elif bundle.has_narrator:
            model = open_language_model(bundle.narrator_dir, cache_dir)
        else:
            raise BundleError(
                f"{bundle.path}: no narrator in it; run `python -m crs train-narrator {bundle.path}`, "
                "or name a language model in RACONTEUR_LLM"
            )
        try:
            return cls(bundle, encoder, model, gated=gated, rows=rows, as_text=as_text)
        except RaconteurError:
            model.close()
            raise

    @property
    def notes(self) -> list[str]:
        """What people should know of the narrator, one sentence each."""
        from crs.narrator.hf_model import HfModel

        device = self.model.device.replace("cpu", "CPU").replace("gpu", "GPU")
        notes = [f"The narrator runs on this machine's {device}."]
        if isinstance(self.model, HfModel):
            variable = "RACONTEUR_LLM" if self.reads_text else "RACONTEUR_GGUF"
            notes.append(
                f"{self.model.name} is run by transformers, slower than llama.cpp would: "
                f"name its GGUF in {variable}."
            )
        if self.reads_text:
            notes.append(
                f"{self.model.name} reads the purchases as text, for no adapter is trained for it: "
                f"`python -m crs train-narrator {self._bundle_path} --llm FOLDER` trains one."
            )
        return notes

    @property
    def load(self) -> Load | None:
        """What the narrator is busy with just now; None where it keeps no line of its own."""
        from crs.narrator.engine import LlamaCppModel

        return self.model.load if isinstance(self.model, LlamaCppModel) else None

    def read_ahead(self, history: Sequence[Interaction]) -> None:
        """Encode what was written of these purchases, which takes longest of all before the first word."""
        self._rows.of(history[-MAX_HISTORY:])

    def narrate(
        self,
        history: Sequence[Interaction],
        task: Task,
        target_id: str | None = None,
        *,
        seed: int = 0,
        stop: threading.Event | None = None,
        caller: Caller = ANYONE,
    ) -> NarrationStream:
        """Pieces of the narrative as they come; the stream's ``result`` is set once it ends.

        A reason for an owned product is told from what was bought before it. Raises InputError for a
        task without the target it needs, NotFoundError for an item that the store or the history lacks.
        """
        target = self._target(task, target_id)
        if target is not None and task in REASONS:
            history = before_purchase(history, target.item_id)
        return self.tell(history[-MAX_HISTORY:], task, target, seed=seed, stop=stop, caller=caller)

    def tell(
        self,
        history: Sequence[Interaction],
        task: Task,
        target: Item | None,
        *,
        seed: int = 0,
        stop: threading.Event | None = None,
        caller: Caller = ANYONE,
    ) -> NarrationStream:
        """`narrate` from exactly this history (at most 50 purchases) and target."""
        rows = self._rows.of(history, target)
        items = [self._items[purchase.item_id] for purchase in history]
        stars = [purchase.rating for purchase in history]
        reviews = [". ".join(filter(None, (said.review_title, said.review))) for said in history]
        return self._narrator.narrate(
            rows, task, history=items, target=target, stars=stars, reviews=reviews,
            seed=seed, stop=stop, caller=caller,
        )  # fmt: skip

    def _target(self, task: Task, target_id: str | None) -> Item | None:
        if task not in TASKS:
            raise InputError("--task", f"'{task}' is none of {', '.join(TASKS)}")
        if task not in TARGET_TASKS:
            return None
        if target_id is None:
            raise InputError("--item", f"the task {task} is about one product; name it")
        if target_id not in self._items:
            raise NotFoundError(f"item '{target_id}' is not in this store; name one that is")
        return self._items[target_id]

    def close(self) -> None:
        """Free the language model."""
        self.model.close()


def before_purchase(history: Sequence[Interaction], item_id: str) -> list[Interaction]:
    """What was bought before the latest purchase of the item: a reason may not use what came after."""
    for position in range(len(history) - 1, -1, -1):
        if history[position].item_id == item_id:
            return list(history[:position])
    raise NotFoundError(f"item '{item_id}' is not among the purchases; a reason is told of an owned item")
