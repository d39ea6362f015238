"""Commands that train, measure and learn from ratings: train-narrator, retrain, feedback export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crs.cli.options import BundleArg, DataDirOpt
from crs.cli.output import Stages, note, say

OutArg = Annotated[Path | None, typer.Argument(help="The file to write; standard output by default.")]


def train_narrator(
    bundle: BundleArg = None,
    work_dir: Annotated[
        Path,
        typer.Option("--work-dir", help="Checkpoints and log; a run that was stopped goes on from there."),
    ] = Path(".cache/narrator"),
    real: Annotated[
        Path | None, typer.Option("--real", help="A bundle of real products, for practice in reading them.")
    ] = None,
    positions: Annotated[int | None, typer.Option(min=1, help="How long: positions to train on.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
) -> None:
    """Train the narrator and its adapter from scratch on a bundle's narratives, and put them into it."""
    from crs.bundle import default_path, install_narrator
    from crs.training.train import Settings, train_narrator

    path = bundle or default_path()
    settings = Settings(seed=seed) if positions is None else Settings(seed=seed, n_positions=positions)
    narrator = train_narrator(path, work_dir, settings=settings, real_bundle=real, say=note)
    installed = install_narrator(path, narrator)
    say(f"{path}\tversion {installed.version}")


def retrain(bundle: BundleArg = None, data_dir: DataDirOpt = None) -> None:
    """Learn from the ratings: build a new version beside the old, promote it only where it is not worse."""
    from crs.retrain import retrain

    with Stages() as stages:
        outcome = retrain(bundle, data_dir=data_dir, progress=stages)
    for line in outcome.lines():
        say(line)


def export_feedback(out: OutArg = None, data_dir: DataDirOpt = None) -> None:
    """Write all ratings as JSON lines."""
    import sys

    from crs.versions import default_data_dir
    from knowledge.feedback import FeedbackLog

    with FeedbackLog((data_dir or default_data_dir()) / "feedback.sqlite") as log:
        n_ratings = log.export_jsonl(out or sys.stdout)
    note(f"{n_ratings} ratings")
