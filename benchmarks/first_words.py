"""How soon a narrative begins: first token and first sentence, of 50 narratives, one user at a time.

python -m benchmarks.first_words [BUNDLE]      (promised: first sentence within 400 ms, median of 50)
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from crs.bundle import Bundle
from crs.content import Encoder
from crs.evaluation.record import write_record
from crs.storyteller import Storyteller
from knowledge.types import TARGET_TASKS, TASKS

RUNS = 50
OUT = Path("benchmarks/results/first_words.json")


def main(path: str | None) -> None:
    """Tell ``RUNS`` narratives to one test user, from the request to the first checked sentence."""
    bundle, encoder = Bundle.open(path), Encoder()
    encoder.encode(["warm up"])
    user_id = bundle.splits["test"][0]
    history = bundle.store.history(user_id)
    with tempfile.TemporaryDirectory() as cache:
        storyteller = Storyteller.open(bundle, encoder, Path(cache))
        first_ms = _wait_ms(storyteller, history, 0)  # this one also encodes the person's reviews
        waits = [_wait_ms(storyteller, history, run) for run in range(RUNS)]
        storyteller.close()
    ordered = sorted(waits)
    figures = {
        "first_narrative_of_a_person_ms": round(first_ms),
        "median_ms": round(statistics.median(waits)),
        "p95_ms": round(ordered[int(0.95 * RUNS)]),
        "runs": RUNS,
    }
    config = {"bundle": bundle.name, "version": bundle.version, "device": storyteller.model.device}
    write_record(OUT, config, {"first sentence": figures})
    print(*(f"{name}\t{value}" for name, value in figures.items()), sep="\n")


def _wait_ms(storyteller: Storyteller, history: list, run: int) -> float:
    task = TASKS[run % len(TASKS)]
    item_id = history[-1].item_id if task in TARGET_TASKS else None
    started = time.perf_counter()
    stream = iter(storyteller.narrate(history, task, item_id, seed=run))
    next(stream)
    waited = time.perf_counter() - started
    for _ in stream:
        pass
    return waited * 1e3


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
