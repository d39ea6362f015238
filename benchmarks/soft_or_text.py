"""The first token after fifty purchases, told as soft tokens or as text.

python -m benchmarks.soft_or_text      (promised: at 60M at least 100 times sooner as soft tokens)

Soft tokens: fused rows through an adapter, then one position a purchase. Text: what listing and review
of each purchase take, as in the embedded store (the shopper with the longest history, over again up to
fifty), and at 150 tokens a purchase, as reviews of real shops run.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measuring import told
from benchmarks.models import N_VOCAB, SIZES, random_gguf
from crs.adapter import SoftTokens, build_adapter
from crs.bundle import Bundle
from crs.content import purchase_text
from crs.evaluation.record import write_record
from crs.fusion import FUSED_DIM
from crs.narrator.engine import LlamaCppModel
from crs.narrator.language_model import Segment
from crs.narrator.tokenizer import NarratorTokenizer
from knowledge.types import MAX_HISTORY

OUT = Path("benchmarks/results/soft_or_text.json")
SIZE, N_CTX, N_QUESTION, N_ROUNDS = "60M", 8192, 10, 2
LONG_TEXT = 150  # tokens a purchase


def main() -> None:
    """Measure in turns and write the record."""
    import torch

    torch.set_num_threads(1)
    ids = _store_text()
    texts = {"text of the embedded store": ids, f"text, {LONG_TEXT} tokens each": _long_text()}
    waits: dict[str, list[float]] = {"soft tokens": [], **{name: [] for name in texts}}
    hidden = SIZES[SIZE][0]
    adapter = SoftTokens(build_adapter("mlp", hidden, 512), np.zeros((MAX_HISTORY + 1, hidden), np.float32))
    with tempfile.TemporaryDirectory() as folder:
        gguf = random_gguf(Path(folder), SIZE, n_ctx=N_CTX)
        model = LlamaCppModel(gguf, n_ctx=N_CTX, n_seqs=1, n_threads=1, parking_bytes=0)
        for round_ in range(-1, N_ROUNDS):
            random = np.random.default_rng(round_ + 1)
            rows = random.normal(size=(MAX_HISTORY, FUSED_DIM)).astype(np.float32)
            question = random.integers(10, N_VOCAB, size=N_QUESTION).astype(np.int32)
            started = time.perf_counter()
            soft = adapter(rows, np.arange(1, MAX_HISTORY + 1))
            found = {"soft tokens": _ms(model, [soft, question], started)}
            for name, text in texts.items():
                # Another beginning each time, or the engine would remember it.
                found[name] = _ms(model, [question[:1], text, question], time.perf_counter())
            if round_ >= 0:
                for name, wait in found.items():
                    waits[name].append(wait)
        model.close()
    figures = {
        name: {
            "positions": float(MAX_HISTORY if name not in texts else len(texts[name])),
            **told("first_token_ms", values),
            **told("times_the_wait", [a / b for a, b in zip(values, waits["soft tokens"], strict=True)]),
        }
        for name, values in waits.items()
    }
    config = {"model": f"random {SIZE}, f16", "threads": 1, "purchases": MAX_HISTORY, "rounds": N_ROUNDS}
    write_record(OUT, config, {"fifty purchases as": figures})
    for name, values in figures.items():
        print(name, *(f"{key} {value}" for key, value in values.items()), sep="\t")


def _store_text() -> np.ndarray:
    """Ids (n,) of what fifty purchases of the embedded store say, in the narrator's own vocabulary."""
    bundle = Bundle.open(None)
    tokenizer = NarratorTokenizer.load(bundle.narrator_dir / "tokenizer.json")
    user_id = max(bundle.store.user_ids, key=lambda each: len(bundle.store.history(each)))
    history = bundle.store.history(user_id)
    told_ = [purchase_text(bundle.store.items[each.item_id], each) for each in history]
    text = " ".join((told_ * MAX_HISTORY)[:MAX_HISTORY])
    return np.asarray([i % N_VOCAB for i in tokenizer.encode(text)], dtype=np.int32)


def _long_text() -> np.ndarray:
    size = MAX_HISTORY * LONG_TEXT
    return np.random.default_rng(0).integers(10, N_VOCAB, size=size).astype(np.int32)


def _ms(model: LlamaCppModel, segments: list[Segment], started: float) -> float:
    model.logits(segments)
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    main()
