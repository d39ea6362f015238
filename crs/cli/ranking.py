"""`evaluate ranking`: our ranker and its baselines over a whole catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crs.cli.options import JsonOpt
from crs.cli.output import Stages, say, say_json


def ranking(
    data: Annotated[
        Path | None,
        typer.Option(help="A data set, a store or a bundle; the embedded bundle by default."),
    ] = None,
    max_epochs: Annotated[
        int, typer.Option(min=1, help="Of both transformers; they stop sooner where it pays no more.")
    ] = 30,
    cache: Annotated[Path, typer.Option(help="Where encoded items are kept.")] = Path(".cache/ranking"),
    out: Annotated[Path | None, typer.Option(help="A JSON file to write as well.")] = None,
    as_json: JsonOpt = False,
) -> None:
    """Where the held-out items rank among all items: HR, NDCG, MRR, of our ranker and of seven baselines.

    All constants are learned on the data set's valid rows; then everything is fitted anew and asked once.
    """
    from dataclasses import asdict, replace

    from crs.bundle import default_path
    from crs.content import Encoder, KeptEncoder
    from crs.evaluation.record import write_record
    from crs.ranking.contest import ContestConfig, hold_contest
    from crs.ranking.layouts import open_ranking
    from crs.ranking.report import figures, table

    opened = open_ranking(data or default_path())
    config = ContestConfig()
    config = ContestConfig(
        replace(config.fused, max_epochs=max_epochs), replace(config.sasrec, max_epochs=max_epochs)
    )
    with Stages() as stages:
        encoder = KeptEncoder(Encoder(), cache / "content")
        outcome = hold_contest(opened, encoder, config, progress=stages)
    report = figures(opened, outcome)
    if as_json:
        say_json(report)
    else:
        for line in table(report):
            say(line)
    if out is not None:
        sizes = {"items": opened.n_items, "users": len(opened.test.sequences), "ordered": opened.ordered}
        write_record(out, {"data": opened.name, **sizes, **asdict(config)}, report)
