"""A second question of the same person: how much sooner, where what was read for the first is remembered.

python -m benchmarks.second_turn [--size 60M]      (promised: four times sooner)

The first token after fifty soft tokens and a question of so many tokens; after the prompts that a downloaded
model is given, told through a random one of that size; and after those of the embedded narrator. What is
remembered is the preface and the purchases: the question is read either way, so a long one gains less.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import device_name, first_token_ms, record_path, resident_mb, told
from benchmarks.models import N_SOFT, N_VOCAB, SIZES, made_up_prompt, random_gguf
from crs.adapter import SoftTokens, build_adapter
from crs.bundle import Bundle
from crs.content import Encoder
from crs.evaluation.record import write_record
from crs.narrator.engine import LlamaCppModel
from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.foreign import ForeignTokenizer
from crs.narrator.gguf_export import cached_gguf
from crs.narrator.language_model import Segment
from crs.narrator.narrate import Narrator
from crs.narrator.narrator_folder import open_tokenizer
from crs.narrator.tokenizer import NarratorTokenizer
from crs.rows import FusedRows
from knowledge.types import MAX_HISTORY, TARGET_TASKS, Task

OUT = Path("benchmarks/results/second_turn.json")
N_QUESTIONS = (10, 40)  # tokens: a few words, or a target with its listing
N_TURNS = 20
# The task that is asked first, and the one whose first token is waited for.
TURNS: dict[str, tuple[Task, Task]] = {
    "another answer to the same": ("user_summary_brief", "user_summary_brief"),
    "brief summary, then long": ("user_summary_brief", "user_summary_long"),
    "summary, then endorsement": ("user_summary_brief", "product_endorsement"),
}
Prompt = Callable[[int, int], list[Segment]]  # of a person's first (0) or later turn


def main() -> None:
    """Measure, write the record and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=list(SIZES), default="60M")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    bundle = Bundle.open(None)
    shoppers = Shoppers(bundle)
    tokenizer = open_tokenizer(bundle.narrator_dir)
    figures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = LlamaCppModel(random_gguf(Path(folder), asked.size), n_seqs=1, n_threads=1, parking_bytes=0)
        device = model.device
        for n in N_QUESTIONS:
            made_up = functools.partial(made_up_prompt, model.embedding_dim, n)
            figures[f"{asked.size}, {N_SOFT} soft tokens, question of {n}"] = _compare(model, made_up)
        adapter = SoftTokens(
            build_adapter("mlp", model.embedding_dim),
            np.zeros((MAX_HISTORY + 1, model.embedding_dim), np.float32),
        )
        assert isinstance(tokenizer, NarratorTokenizer)
        downloaded = Narrator(
            model, ForeignTokenizer(BpeVocabulary(tokenizer)), adapter, words=shoppers.words
        )
        figures |= _turns(f"{asked.size}, as a downloaded model", model, downloaded, shoppers)
        model.close()
        model = LlamaCppModel(
            cached_gguf(bundle.narrator_dir, Path(folder)), n_seqs=1, n_threads=1, parking_bytes=0
        )
        embedded = Narrator(model, tokenizer, bundle.soft_tokens, words=shoppers.words)
        figures |= _turns("embedded narrator", model, embedded, shoppers)
        model.close()
    config = {"model": f"random {asked.size}", "weights": "f16", "threads": 1, "turns": N_TURNS}
    write_record(
        record_path(asked.out, device), config | {"device": device_name(device)}, {"second turn": figures}
    )
    for name, values in figures.items():
        print(name, *(f"{key} {value}" for key, value in values.items()), sep="\t")


class BpeVocabulary:
    """The embedded narrator's BPE in the place of a downloaded model's: as many tokens, or nearly so."""

    def __init__(self, tokenizer: NarratorTokenizer) -> None:
        self._tokenizer = tokenizer
        self.end_ids, self.pad_id = (tokenizer.eos_id,), tokenizer.pad_id
        self.control_ids: frozenset[int] = frozenset()
        self.opening, self.closing = [tokenizer.bos_id], [tokenizer.say_id]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids that the random model has, too."""
        return [[i % N_VOCAB for i in self._tokenizer.encode(text)] for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``."""
        return self._tokenizer.decode(ids)


class Shoppers:
    """People of a bundle with long histories, and a product to be endorsed for each."""

    def __init__(self, bundle: Bundle) -> None:
        self._store, self._rows = bundle.store, FusedRows(bundle, Encoder())
        longest = sorted(bundle.store.user_ids, key=lambda each: -len(bundle.store.history(each)))
        self._people = longest[: 2 * N_TURNS]
        self.words = StoreWords.of(bundle.store.items.values())

    def prompt(self, narrator: Narrator, tasks: tuple[Task, Task], person: int, turn: int) -> list[Segment]:
        """What ``narrator`` asks its model of a person, at first and later."""
        task, items = tasks[min(turn, 1)], self._store.items
        history = self._store.history(self._people[person])[-MAX_HISTORY:]
        target = list(items.values())[person] if task in TARGET_TASKS else None
        evidence = Evidence.of(history, items, task, target, self.words)
        return narrator.prompt(self._rows.of(history, target), evidence)


def _turns(
    whose: str, model: LlamaCppModel, narrator: Narrator, shoppers: Shoppers
) -> dict[str, dict[str, Any]]:
    return {
        f"{whose}: {name}": _compare(model, functools.partial(shoppers.prompt, narrator, tasks))
        for name, tasks in TURNS.items()
    }


def _compare(model: LlamaCppModel, prompt: Prompt) -> dict[str, Any]:
    """First token of a second question, with what was read of the person before and without it."""
    kept, anew = [], []
    for person in range(N_TURNS):
        model.logits(prompt(person, 0))
        kept.append(first_token_ms(model, prompt(person, 1)))
        model.logits(prompt(person + N_TURNS, 0))  # someone else takes the only room
        anew.append(first_token_ms(model, prompt(person, 2)))
    return {
        **told("remembered_median_ms", kept),
        **told("anew_median_ms", anew),
        "ratio": statistics.median(anew) / statistics.median(kept),
        "memory_mb": resident_mb(),
    }


if __name__ == "__main__":
    main()
