"""What `python -m crs --help` costs over bare Python, in seconds of CPU (promised: under 0.3)."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

from crs.evaluation.record import write_record

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
    measured = {"bare_python_s": bare, "help_s": help_, "over_it_s": help_ - bare}
    figures = {name: round(value, 3) for name, value in measured.items()}
    write_record(Path("benchmarks/results/start_up.json"), {"runs": RUNS}, {"CPU of --help": figures})
    print(*(f"{name}\t{value}" for name, value in figures.items()), sep="\n")
