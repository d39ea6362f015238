"""What `python -m crs --help` costs over bare Python, in seconds of CPU (promised: under 0.3)."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

RUNS = 15


def cpu_s(*arguments: str) -> float:
    """Median CPU seconds (user and system) of a Python started with ``arguments``."""
    spent = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return statistics.median(spent)


if __name__ == "__main__":
    bare, help_ = cpu_s("-c", "pass"), cpu_s("-m", "crs", "--help")
    print(
        f"CPU, median of {RUNS}: bare Python {bare:.3f} s, help {help_:.3f} s, over it {help_ - bare:.3f} s"
    )
