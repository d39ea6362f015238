"""How soon a narrative begins: first token and first sentence, median of 50, one user at a time.

python -m benchmarks.first_words [BUNDLE]      (promised: first sentence within 400 ms)
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

from crs.bundle import Bundle
from crs.content import Encoder
from crs.storyteller import Storyteller
from knowledge.types import TARGET_TASKS, TASKS

RUNS = 50


def main(path: str | None) -> None:
    """Tell ``RUNS`` narratives of test users, each once: nothing of them is cached before."""
    bundle, encoder = Bundle.open(path), Encoder()
    encoder.encode(["warm up"])
    token_ms, sentence_ms = [], []
    with tempfile.TemporaryDirectory() as cache:
        storyteller = Storyteller.open(bundle, encoder, Path(cache))
        for run in range(RUNS):
            task = TASKS[run % len(TASKS)]
            history = bundle.store.history(bundle.splits["test"][run % len(bundle.splits["test"])])
            item_id = history[-1].item_id if task in TARGET_TASKS else None
            stream = storyteller.narrate(history, task, item_id, seed=run)
            for _ in stream:
                pass
            token_ms.append(stream.result.first_token_ms)
            sentence_ms.append(stream.result.first_sentence_ms)
        storyteller.close()
    token, sentence = statistics.median(token_ms), statistics.median(sentence_ms)
    print(
        f"{storyteller.model.name} on {storyteller.model.device}, {os.cpu_count()} cores, median of {RUNS}:"
    )
    print(f"first token {token:.0f} ms, first sentence {sentence:.0f} ms")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
