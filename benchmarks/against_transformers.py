"""llama.cpp against transformers on one thread each: reading a prompt, writing an answer, memory.

python -m benchmarks.against_transformers      (promised: 3.5 times transformers' speed of writing)

The embedded narrator and random models of 60M and 135M; llama.cpp runs f16 weights, transformers f32 and
bf16, of which the better counts. Engines take turns, so that what else the machine does meets all alike.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import told
from benchmarks.models import SIZES, random_gguf
from crs.bundle import Bundle
from crs.evaluation.record import write_record
from crs.narrator.engine import LlamaCppModel
from crs.narrator.gguf_export import cached_gguf
from crs.narrator.hf_model import HfModel
from crs.narrator.language_model import LanguageModel
from crs.narrator.sampling import Constraints, Sampling

OUT = Path("benchmarks/results/against_transformers.json")
N_PROMPT, N_WRITTEN, N_ROUNDS = 256, 48, 7
ENGINES = ("llama.cpp f16", "transformers float32", "transformers bfloat16")


def main() -> None:
    """Measure all models, each engine's memory in a process of its own, and write the record."""
    import torch

    torch.set_num_threads(1)
    reading: dict[str, Any] = {}
    writing: dict[str, Any] = {}
    memory: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (gguf, weights) in _models(Path(folder)).items():
            memory[name] = {engine: _memory_mb(engine, gguf, weights) for engine in ENGINES}
            engines = {engine: _open(engine, gguf, weights) for engine in ENGINES}
            speeds: dict[str, list[tuple[float, float]]] = {engine: [] for engine in ENGINES}
            for round_ in range(-1, N_ROUNDS):  # the first is to warm up
                for engine, model in engines.items():
                    measured = _speed(model, round_)
                    if round_ >= 0:
                        speeds[engine].append(measured)
            reading[name] = _compared({engine: [each[0] for each in s] for engine, s in speeds.items()})
            writing[name] = _compared({engine: [each[1] for each in s] for engine, s in speeds.items()})
            for model in engines.values():
                model.close()
    figures = {"reading, tokens/s": reading, "writing, tokens/s": writing, "memory, MB": memory}
    config = {"threads": 1, "prompt": N_PROMPT, "written": N_WRITTEN, "rounds": N_ROUNDS}
    write_record(OUT, config, figures)
    for part, table in figures.items():
        for name, values in table.items():
            print(part, name, *(f"{key} {value}" for key, value in values.items()), sep="\t")


def _models(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Name -> the GGUF and the folder in Hugging Face's layout that it was made of."""
    narrator = Bundle.open(None).narrator_dir
    models = {"embedded narrator": (cached_gguf(narrator, folder), narrator)}
    return models | {f"random {size}": (random_gguf(folder, size), folder / size) for size in SIZES}


def _open(engine: str, gguf: Path, weights: Path) -> LanguageModel:
    if engine.startswith("llama"):
        return LlamaCppModel(gguf, n_seqs=1, n_threads=1)
    return HfModel(weights, dtype=engine.split()[-1], end_ids=[0])


def _speed(model: LanguageModel, seed: int) -> tuple[float, float]:
    """Tokens a second of a prompt that was not read before, and of a text that has begun."""
    random = np.random.default_rng(seed + 1)
    unread = random.integers(10, 8000, size=N_PROMPT).astype(np.int32)
    started = time.perf_counter()
    model.logits([unread])
    read = N_PROMPT / (time.perf_counter() - started)
    sampling = Sampling(temperature=0, repeat_penalty=1, max_tokens=N_WRITTEN + 1)
    never = Constraints(frozenset({model.eos_id, 0}))
    text = model.generate([unread[:32]], sampling, constraints=never)
    next(text)
    started = time.perf_counter()
    n_written = sum(1 for _ in text)
    return read, n_written / (time.perf_counter() - started)


def _compared(speeds: dict[str, list[float]]) -> dict[str, Any]:
    """Each engine's speed, and of each round llama.cpp's over the better of transformers'."""
    ours, *others = (speeds[engine] for engine in ENGINES)
    ratios = [a / max(rest) for a, *rest in zip(ours, *others, strict=True)]
    row: dict[str, Any] = {}
    for engine, values in speeds.items():
        row |= told(engine, values)
    return row | told("ratio", ratios)


def _memory_mb(engine: str, gguf: Path, weights: Path) -> float:
    """What a process of its own holds once the model has written a little, beyond what it held before."""
    code = (
        "import sys, pathlib, json\n"
        "from benchmarks import against_transformers as bench\n"
        "from benchmarks.measuring import resident_mb\n"
        "import torch\n"
        "before = resident_mb()\n"
        "model = bench._open(sys.argv[1], *map(pathlib.Path, sys.argv[2:]))\n"
        "bench._speed(model, 0)\n"
        "print(json.dumps(resident_mb() - before))\n"
    )
    command = [sys.executable, "-c", code, engine, str(gguf), str(weights)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(f"{json.loads(found.stdout.splitlines()[-1]):.4g}")


if __name__ == "__main__":
    main()
