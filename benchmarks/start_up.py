"""How long until Raconteur is there: the command line's help, and the first token after a start.

python -m benchmarks.start_up      (promised: `--help` costs under 0.3 s of CPU over bare Python)
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from crs.evaluation.record import write_record

OUT = Path("benchmarks/results/start_up.json")
RUNS, STARTS = 15, 3


def main() -> None:
    """Measure both in processes of their own and write the record."""
    bare, help_ = cpu_s("-c", "pass"), cpu_s("-m", "crs", "--help")
    measured = {"bare_python_s": bare, "help_s": help_, "over_it_s": help_ - bare}
    with tempfile.TemporaryDirectory() as folder:
        first = started(folder)
        later = [started(folder) for _ in range(STARTS)]
    again = {name: statistics.median(each[name] for each in later) for name in first}
    figures = {
        "CPU of --help": {name: round(value, 3) for name, value in measured.items()},
        "start": {"first, memory filled": first, f"later, median of {STARTS}": again},
    }
    write_record(OUT, {"runs": RUNS}, figures)
    print(json.dumps(figures, indent=2))


def cpu_s(*arguments: str) -> float:
    """Median CPU seconds (user and system) of a Python started with ``arguments``."""
    spent = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return statistics.median(spent)


def started(data_dir: str) -> dict[str, float]:
    """Wall seconds from the start of a process to an open shop and to its first token; memory then."""
    began = time.time()
    command = [sys.executable, "-m", "benchmarks.start_up", data_dir, repr(began)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return figures


def start(data_dir: str, began: float) -> None:
    """In a process of its own: open the embedded shop, tell one narrative, print when."""
    from benchmarks.measuring import resident_mb
    from crs.shop import Shop

    shop = Shop.open(data_dir=data_dir)
    opened = time.time()
    stream = shop.narrate(shop.person(shop.user_ids[0]), "user_summary_brief")
    asked = time.time()
    for _ in stream:
        pass
    first_token = asked + stream.result.first_token_ms / 1e3
    figures = {
        "open_s": round(opened - began, 2),
        "first_token_s": round(first_token - began, 2),
        "memory_mb": resident_mb(),
    }
    shop.close()
    print(json.dumps(figures))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        start(sys.argv[1], float(sys.argv[2]))
    else:
        main()
