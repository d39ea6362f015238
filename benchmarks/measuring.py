"""What benchmarks share: how repeated measurements are told, and the memory of a process."""

from __future__ import annotations

import resource
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from crs.narrator.language_model import LanguageModel, Segment


def told(name: str, values: Sequence[float]) -> dict[str, float | list[float]]:
    """The median under ``name`` and the 10th and 90th percentile beside it, to four digits."""
    low, high = np.quantile(values, [0.1, 0.9])
    return {name: _rounded(statistics.median(values)), f"{name}_p10_p90": [_rounded(low), _rounded(high)]}


def device_name(device: str) -> str:
    """A model's device, with the name of the GPU that its layers lie on, as far as the driver tells."""
    if not device.startswith("gpu"):
        return device
    asked = ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    try:
        found = (
            subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split("\n")[0].strip()
        )
    except (OSError, subprocess.CalledProcessError):
        return device
    return f"{device}, {found}"


def record_path(path: Path, device: str) -> Path:
    """Where a record goes: what a GPU does takes no processor's place."""
    return path.with_stem(f"{path.stem}_gpu") if device.startswith("gpu") else path


def first_token_ms(model: LanguageModel, prompt: Sequence[Segment]) -> float:
    """How long until the logits after ``prompt`` are there."""
    started = time.perf_counter()
    model.logits(prompt)
    return (time.perf_counter() - started) * 1e3


def resident_mb() -> int:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
