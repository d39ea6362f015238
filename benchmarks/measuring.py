"""What benchmarks share: how repeated measurements are told, and the memory of a process."""

from __future__ import annotations

import resource
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def told(name: str, values: Sequence[float]) -> dict[str, float | list[float]]:
    """The median under ``name`` and the 10th and 90th percentile beside it, to four digits."""
    low, high = np.quantile(values, [0.1, 0.9])
    return {name: _rounded(statistics.median(values)), f"{name}_p10_p90": [_rounded(low), _rounded(high)]}


def resident_mb() -> int:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
