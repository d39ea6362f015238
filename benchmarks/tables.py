"""Writes docs/results.md from benchmarks/results/*.json: no figure in it is typed.

python -m benchmarks.tables
"""

from __future__ import annotations

import json
from pathlib import Path

RESULTS = Path("benchmarks/results")
OUT = Path("docs/results.md")
HEAD = """# Results

Written by `python -m benchmarks.tables` from `benchmarks/results/`.
`make eval` and `make bench` measure anew.
"""


def main() -> None:
    """One section a record, one table a part of it."""
    sections = [HEAD]
    for path in sorted(RESULTS.glob("*.json")):
        record = json.loads(path.read_text())
        hardware = record["hardware"]
        config = ", ".join(f"{name} {value}" for name, value in record["config"].items())
        sections.append(
            f"## {path.stem}\n\n{config}. Commit {record['commit']}, {record['day']}, "
            f"{hardware['cores']} cores of {hardware['cpu']}, {hardware['memory_gib']} GiB.\n"
        )
        for part, figures in record["figures"].items():
            rows = [f"| {part} | value |", "|---|---|"]
            rows += [f"| {name} | {value:.4g} |" for name, value in figures.items()]
            sections.append("\n".join(rows) + "\n")
    OUT.write_text("\n".join(sections), encoding="utf-8")


if __name__ == "__main__":
    main()
