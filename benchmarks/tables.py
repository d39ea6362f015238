"""Writes docs/results.md from benchmarks/results/*.json: no figure in it is typed.

python -m benchmarks.tables

A record's figures may be nested to any depth: what holds only values is a row, its path names it, and rows of
one shape are one table. A list of two numbers is an interval. Records of `evaluate narratives` have a
table of their own, laid out as Table 1 of the REGEN paper, and so have those of `evaluate ranking`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crs.evaluation.narratives.report import table_rows

RESULTS = Path("benchmarks/results")
ANALYSIS = Path("docs/analysis")  # what `analyze` drew and measured
ANALYSED = ("norms", "separation", "item_neighbours", "token_nearest_token")
OUT = Path("docs/results.md")
HEAD = """# Results

Written by `python -m benchmarks.tables` from `benchmarks/results/`.
`make eval` and `make bench` measure anew.
"""


def main() -> None:
    """One section a record."""
    records = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))
    }
    sections = [section(name, record) for name, record in records.items()]
    if (ANALYSIS / "analysis.json").exists():
        sections.append(analysis_section(ANALYSIS))
    OUT.write_text("\n".join([HEAD, *sections]), encoding="utf-8")


def section(name: str, record: Mapping[str, Any]) -> str:
    """Heading, what it was measured with, and the tables of one record."""
    hardware, figures = record["hardware"], record["figures"]
    config = ", ".join(f"{key} {_cell(value)}" for key, value in _flat(record["config"]))
    measured = (
        f"{config}. Commit {record['commit']}, {record['day']}, "
        f"{hardware['cores']} cores of {hardware['cpu']}, {hardware['memory_gib']} GiB."
    )
    if {"dataset", "tasks", "gains"} <= figures.keys():
        body = narratives_tables(figures)
    elif {"dataset", "systems", "differences"} <= figures.keys():
        body = ranking_tables(figures)
    else:
        body = tables(figures)
    return "\n\n".join([f"## {name}", measured, *body]) + "\n"


def analysis_section(folder: Path) -> str:
    """The pictures that `analyze` drew into ``folder``, and the figures that are not drawn."""
    record = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    record["figures"] = {name: record["figures"][name] for name in ANALYSED if name in record["figures"]}
    pictures = [
        f"![{path.stem.partition('_')[2].replace('_', ' ')}]({folder.name}/{path.name})"
        for path in sorted(folder.glob("*.png"))
    ]
    return "\n\n".join([section("What is in a soft token", record).rstrip(), *pictures]) + "\n"


def narratives_tables(figures: Mapping[str, Any]) -> Iterator[str]:
    """What `evaluate narratives` measured: the paper's table, of unseen targets too, and the rest."""
    head, *rows = table_rows(figures)
    yield _table(head, rows)
    if "unseen_items" in figures:
        head, *rows = table_rows(figures["unseen_items"])
        yield "Of these, targets that nothing in training named:"
        yield _table(head, rows)
    shown = ("dataset", "tasks", "gains", "unseen_items")
    yield from tables({name: part for name, part in figures.items() if name not in shown})


def ranking_tables(figures: Mapping[str, Any]) -> Iterator[str]:
    """What `evaluate ranking` measured: a system a row, how far ours is ahead, and what it was made of."""
    metrics = (
        "HR@5",
        "HR@10",
        "HR@20",
        "NDCG@5",
        "NDCG@10",
        "NDCG@20",
        "MRR@10",
        "coverage@10",
        "novelty@10",
    )
    rows = [
        [name, *(f"{system[metric]:.4f}" for metric in metrics), _cell(system["NDCG@10 95%"])]
        for name, system in figures["systems"].items()
    ]
    yield _table([f"{figures['n']} test rows", *metrics, "NDCG@10, 95 %"], rows)
    gains = [
        [
            name,
            *(_cell(each[metric][part]) for metric in ("HR@10", "NDCG@10") for part in ("difference", "95%")),
        ]
        for name, each in figures["differences"].items()
    ]
    yield _table(["fused less", "HR@10", "95 %", "NDCG@10", "95 %"], gains)
    shown = ("dataset", "n", "systems", "differences")
    yield from tables({name: part for name, part in figures.items() if name not in shown})


def tables(figures: Mapping[str, Any], title: str = "") -> Iterator[str]:
    """A table for the values that stand at the top, then one for each part."""
    single = {name: value for name, value in figures.items() if not _is_nested(value)}
    if single:
        yield _table([title or "figure", "value"], [[name, _cell(value)] for name, value in single.items()])
    for name, part in figures.items():
        if not _is_nested(part):
            continue
        rows = list(_rows(part))
        depths = {len(path) for path, _ in rows}
        for depth in sorted(depths):
            yield _part_table(name, [row for row in rows if len(row[0]) == depth])


def _part_table(name: str, rows: Sequence[tuple[tuple[str, ...], Mapping[str, Any]]]) -> str:
    if rows[0][0] == ():
        return _table([name, "value"], [[key, _cell(value)] for key, value in rows[0][1].items()])
    columns = list(dict.fromkeys(key for _, values in rows for key in values))
    head = [name, *[""] * (len(rows[0][0]) - 1), *columns]
    body = [[*path, *(_cell(values.get(key, "")) for key in columns)] for path, values in rows]
    return _table(head, body)


def _rows(part: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every mapping's own values with the path to it, the outer before the inner."""
    named = part if isinstance(part, Mapping) else {str(i): each for i, each in enumerate(part, start=1)}
    values = {name: value for name, value in named.items() if not _is_nested(value)}
    if values:
        yield path, values
    for name, value in named.items():
        if _is_nested(value):
            yield from _rows(value, (*path, name))


def _is_nested(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    return isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value)


def _flat(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from ((f"{name} {inner}", each) for inner, each in _flat(value))
        else:
            yield name, value


def _cell(value: Any) -> str:
    if isinstance(value, list):
        numbers = len(value) == 2 and all(isinstance(each, int | float) for each in value)
        return (" to " if numbers else ", ").join(_cell(each) for each in value)
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value == int(value) else f"{value:.4g}"
    return str(value).replace("|", "\\|")


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
