"""`evaluate narratives`: Table 1 of the REGEN paper, on a store of ours or on a public data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crs.cli.options import JsonOpt
from crs.cli.output import Stages, note, say, say_json


def narratives(
    data: Annotated[
        Path | None,
        typer.Option(help="A bundle, a store or a data set with reference texts; [the embedded bundle]"),
    ] = None,
    positions: Annotated[
        int | None, typer.Option(min=1, help="How long each model is trained; the data set's own by default.")
    ] = None,
    n_per_task: Annotated[
        int | None, typer.Option("-n", min=1, help="Test texts of each task and fold. [all; of a store 150]")
    ] = None,
    n_samples: Annotated[
        int | None,
        typer.Option(
            "--samples", min=1, help="Samples that a text is chosen from; the data set's own by default."
        ),
    ] = None,
    max_people: Annotated[int, typer.Option(min=6, help="Of a store: people trained and tested on.")] = 1500,
    cache: Annotated[
        Path, typer.Option(help="Where runs are kept; what was done there is not done again.")
    ] = Path(".cache/narratives"),
    out: Annotated[Path | None, typer.Option(help="A JSON file to write as well.")] = None,
    as_json: JsonOpt = False,
) -> None:
    """CF, content and both: three models trained alike but for their signals, on people they never saw.

    Three folds by person; the fold's number is the seed of its models. A run that was stopped goes on.
    """
    from crs.bundle import default_path
    from crs.content import Encoder
    from crs.evaluation.narratives.contest import hold_contest
    from crs.evaluation.narratives.layouts import open_benchmark
    from crs.evaluation.narratives.plans import config_of, plan_for
    from crs.evaluation.narratives.report import figures, table
    from crs.evaluation.record import write_record

    path, encoder = data or default_path(), Encoder()
    benchmark = open_benchmark(path, cache / "stores" / path.resolve().name, max_people=max_people)
    training, telling = plan_for(benchmark, positions=positions, n_per_task=n_per_task, n_samples=n_samples)
    with Stages() as stages:
        outcome = hold_contest(benchmark, training, telling, encoder, cache, progress=stages, say=note)
    note("scoring")
    report = figures(benchmark.name, outcome, config_of(benchmark, training, telling), encoder)
    if as_json:
        say_json(report)
    else:
        for line in table(report):
            say(line)
    if out is not None:
        write_record(out, report["config"], {name: part for name, part in report.items() if name != "config"})
