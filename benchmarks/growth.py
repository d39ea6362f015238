"""What an answer costs as a history grows, and as a conversation does.

python -m benchmarks.growth

Histories of 1 to 50 purchases (the embedded store's longest, over again): rows, adapter and prompt up to the
first token of a summary, nothing remembered. A conversation of forty turns on the embedded store: when
its first words come, when it ends, and the memory held after it.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from agents.conversation import Assistant
from agents.events import Said
from benchmarks.measuring import resident_mb, told
from crs.bundle import Bundle
from crs.content import Encoder
from crs.evaluation.record import write_record
from crs.shop import Shop
from crs.storyteller import Storyteller
from knowledge.types import Interaction

OUT = Path("benchmarks/results/growth.json")
LENGTHS = (1, 5, 10, 20, 30, 40, 50)
N_ROUNDS = 15
MESSAGES = (
    "Recommend something for me",
    "Why did I buy my last purchase?",
    "Something cheaper",
    "Pitch me the second one",
    "Tell me about myself as a shopper",
)
N_TURNS, N_CONVERSATIONS = 40, 3
TOLD_AFTER = (5, 10, 20, 30, 40)  # the last five turns up to here are told together


def main() -> None:
    """Measure both and write the record."""
    figures = {"purchases in the history": _histories(), "turns of the conversation": _conversations()}
    write_record(OUT, {"bundle": Bundle.open(None).name, "threads": 1, "rounds": N_ROUNDS}, figures)
    for part, table in figures.items():
        for name, values in table.items():
            print(part, name, *(f"{key} {value}" for key, value in values.items()), sep="\t")


def _histories() -> dict[str, Any]:
    bundle, encoder = Bundle.open(None), Encoder()
    user_id = max(bundle.store.user_ids, key=lambda each: len(bundle.store.history(each)))
    longest: list[Interaction] = bundle.store.history(user_id)
    waits: dict[int, list[float]] = {n: [] for n in LENGTHS}
    with tempfile.TemporaryDirectory() as cache:
        storyteller = Storyteller.open(bundle, encoder, Path(cache))
        for round_ in range(-1, N_ROUNDS):
            for n in LENGTHS:
                # Begun at another purchase each time, or the engine would remember it.
                start = (round_ + n) % len(longest)
                history = (longest[start:] + longest * 10)[:n]
                stream = storyteller.tell(history, "user_summary_brief", None, seed=round_ + 1)
                for _ in stream:
                    pass
                if round_ >= 0:
                    waits[n].append(stream.result.first_token_ms)
        storyteller.close()
    return {str(n): told("first_token_ms", values) for n, values in waits.items()}


def _conversations() -> dict[str, Any]:
    first_s: list[list[float]] = [[] for _ in range(N_TURNS)]
    whole_s: list[list[float]] = [[] for _ in range(N_TURNS)]
    memory = [0.0] * N_TURNS
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop.open(data_dir=folder)
        assistant = Assistant(shop)
        for number, user_id in enumerate(shop.user_ids[:N_CONVERSATIONS]):
            assistant.open(str(number), user_id)
            for turn in range(N_TURNS):
                began = time.perf_counter()
                first = 0.0
                for event in assistant.reply(str(number), MESSAGES[turn % len(MESSAGES)]):
                    if isinstance(event, Said):
                        first = first or time.perf_counter() - began
                first_s[turn].append(first)
                whole_s[turn].append(time.perf_counter() - began)
                memory[turn] = resident_mb()
        shop.close()
    return {
        str(n): {
            **told("first_words_ms", [1e3 * each for turn in first_s[n - 5 : n] for each in turn]),
            **told("whole_ms", [1e3 * each for turn in whole_s[n - 5 : n] for each in turn]),
            "memory_mb": float(memory[n - 1]),
        }
        for n in TOLD_AFTER
    }


if __name__ == "__main__":
    main()
