"""Many people at one narrator: together against one after the other, and taken up again in turn.

python -m benchmarks.many_shoppers [--size 60M] [--rounds 4]

Promised at 60M, f16, one thread: eight at once 1.5 times the tokens a second, p95 of the first token under a
quarter of that in line; whoever is taken up again waits 5 ms for it; and memory does not grow once parking is
full. Crowds come in several rounds, each to a model opened anew: told are the medians of the rounds and the
10th and 90th percentile. A run on a GPU has a record of its own.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import device_name, first_token_ms, record_path, resident_mb, told
from benchmarks.models import SIZES, made_up_prompt, random_gguf
from crs.evaluation.record import write_record
from crs.narrator.engine import LlamaCppModel
from crs.narrator.language_model import Caller, Segment
from crs.narrator.sampling import Constraints, Sampling

OUT = Path("benchmarks/results/many_shoppers.json")
N_QUESTION, N_TOKENS = 40, 64
AT_ONCE = (1, 2, 4, 8, 16)
N_IN_TURN = 200
N_ROUNDS = 4  # of each crowd
N_ROUNDS_IN_TURN = 3  # of all people in turn, with more of them than parking has room for
ROOMY_BYTES, TIGHT_BYTES = 4 * 2**30, 64 * 2**20  # of parking
SAMPLING = Sampling(temperature=0.8, max_tokens=N_TOKENS)


@dataclass(frozen=True)
class Heard:
    """When one person's tokens came, in seconds since they asked."""

    times: list[float]


def main() -> None:
    """Measure, write the record and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=list(SIZES), default="60M")
    parser.add_argument("--rounds", type=int, default=N_ROUNDS, help=f"of each crowd ({N_ROUNDS})")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = random_gguf(Path(folder), asked.size)
        device = _device(path)
        figures = {
            "together": _together(path, asked.rounds),
            "in turn": {"eight rooms": _in_turn(path)},
            "in turn, parking full": _parking_full(path),
        }
    config = {"model": f"random {asked.size}", "weights": "f16", "threads": 1, "rounds": asked.rounds}
    write_record(record_path(asked.out, device), config | {"device": device_name(device)}, figures)
    for part, table in figures.items():
        for name, values in table.items():
            print(part, name, *(f"{key} {value}" for key, value in values.items()), sep="\t")


def _device(path: Path) -> str:
    model = LlamaCppModel(path, n_seqs=1, n_threads=1)
    model.close()
    return model.device


def _prompt(model: LlamaCppModel, person: int, turn: int = 0, n_question: int = N_QUESTION) -> list[Segment]:
    """Fifty soft rows of a person and a question of a turn."""
    return made_up_prompt(model.embedding_dim, n_question, person, turn)


def _tell(model: LlamaCppModel, person: int) -> Heard:
    asked = time.perf_counter()
    unending = Constraints(frozenset({model.eos_id}))
    text = model.generate(
        _prompt(model, person),
        replace(SAMPLING, seed=person),
        constraints=unending,
        caller=Caller(str(person)),
    )
    return Heard([time.perf_counter() - asked for _ in text])


def _together(path: Path, n_rounds: int) -> dict[str, dict[str, Any]]:
    """For each number of people at once: in one batch, and in a line of one at a time, in turn."""
    found: dict[str, dict[str, Any]] = {}
    for n in AT_ONCE:
        rounds = [_round(path, n) for _ in range(n_rounds)]
        found[f"{n} at once"] = {}
        for name in rounds[0]:
            found[f"{n} at once"] |= told(name, [each[name] for each in rounds])
    return found


def _round(path: Path, n: int) -> dict[str, float]:
    batched, lined = _crowd(path, n, n_seqs=8), _crowd(path, n, n_seqs=1)
    return {
        **batched,
        **{f"in_line_{name}": value for name, value in lined.items()},
        "speed_ratio": batched["tokens_per_s"] / lined["tokens_per_s"],
        "first_p95_ratio": batched["first_p95_ms"] / lined["first_p95_ms"],
    }


def _crowd(path: Path, n: int, *, n_seqs: int) -> dict[str, float]:
    model = LlamaCppModel(path, n_seqs=n_seqs, n_threads=1)
    _tell(model, 10_000)  # warm
    heard: list[Heard] = []
    threads = [
        threading.Thread(target=lambda person=person: heard.append(_tell(model, person)))
        for person in range(n)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - started
    memory = resident_mb()
    model.close()
    firsts = sorted(each.times[0] * 1e3 for each in heard)
    gaps = sorted(gap * 1e3 for each in heard for gap in np.diff(each.times).tolist())
    return {
        "tokens_per_s": sum(len(each.times) for each in heard) / took,
        "first_median_ms": statistics.median(firsts),
        "first_p95_ms": firsts[min(len(firsts) - 1, int(0.95 * len(firsts)))],
        "gap_median_ms": statistics.median(gaps),
        "gap_p95_ms": gaps[int(0.95 * len(gaps))],
        "memory_mb": memory,
    }


def _in_turn(path: Path) -> dict[str, float]:
    """Many people in turn over eight rooms: what it costs to take each up again, and the memory.

    They come back with a question of one token, so that little else is in the time.
    """
    model = LlamaCppModel(path, n_seqs=8, n_threads=1, parking_bytes=ROOMY_BYTES)
    for person in range(N_IN_TURN):
        model.logits(_prompt(model, person))
    parked = model.load.n_parked
    memory_first = resident_mb()
    resumed = [first_token_ms(model, _prompt(model, person, 1, n_question=1)) for person in range(N_IN_TURN)]
    memory_then = resident_mb()
    resident = []
    for person in range(N_IN_TURN - 8, N_IN_TURN):  # these are still in their rooms
        resident.append(first_token_ms(model, _prompt(model, person, 2, n_question=1)))
    figures = {
        "people": float(N_IN_TURN),
        "parked": float(parked),
        "parked_mb": model.load.parked_bytes / 2**20,
        "resumed_median_ms": statistics.median(resumed),
        "in_room_median_ms": statistics.median(resident),
        "resume_cost_ms": statistics.median(resumed) - statistics.median(resident),
        "memory_mb_first_round": memory_first,
        "memory_mb_second_round": memory_then,
    }
    model.close()
    return figures


def _parking_full(path: Path) -> dict[str, dict[str, float]]:
    """The same people, round after round, where parking has room for some of them: what memory does."""
    model = LlamaCppModel(path, n_seqs=8, n_threads=1, parking_bytes=TIGHT_BYTES)
    found = {}
    for number in range(1, N_ROUNDS_IN_TURN + 1):
        for person in range(N_IN_TURN):
            model.logits(_prompt(model, person, number))
        load = model.load
        found[f"round {number}"] = {
            "people": N_IN_TURN,
            "budget_mb": TIGHT_BYTES / 2**20,
            "parked": load.n_parked,
            "parked_mb": round(load.parked_bytes / 2**20, 2),
            "memory_mb": resident_mb(),
        }
    model.close()
    return found


if __name__ == "__main__":
    main()
