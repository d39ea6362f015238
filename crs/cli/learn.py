"""Commands that train and learn from ratings: train-narrator, fit-ranker, retrain, feedback export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from crs.cli.options import BundleArg, DataDirOpt
from crs.cli.output import Stages, note, say
from knowledge.errors import InputError

if TYPE_CHECKING:
    from crs.learning.report import Outcome

OutArg = Annotated[Path | None, typer.Argument(help="The file to write; standard output by default.")]


def train_narrator(
    bundle: BundleArg = None,
    llm: Annotated[
        str | None,
        typer.Option(
            "--llm", help="A foreign language model (folder or repository): train an adapter for it."
        ),
    ] = None,
    gguf: Annotated[
        Path | None, typer.Option("--gguf", help="With --llm: the same model as llama.cpp reads it.")
    ] = None,
    lora_rank: Annotated[
        int, typer.Option("--lora-rank", min=0, help="With --llm: train a LoRA of this rank too; 0: none.")
    ] = 0,
    work_dir: Annotated[
        Path | None,
        typer.Option(
            "--work-dir",
            help="Checkpoints and log; a run that was stopped goes on from there. [.cache/narrator]",
        ),
    ] = None,
    real: Annotated[
        Path | None, typer.Option("--real", help="A bundle of real products, for practice in reading them.")
    ] = None,
    real_source: Annotated[str, typer.Option(help="What --real is, and its licence, for the card.")] = "",
    adapter: Annotated[
        Literal["mlp", "causal"],
        typer.Option(help="How a purchase is read: by itself (mlp), or seeing the ones before it (causal)."),
    ] = "mlp",
    start: Annotated[
        Path | None, typer.Option("--from", help="A narrator's folder: go on from its weights.")
    ] = None,
    max_users: Annotated[int | None, typer.Option(min=20, help="Train on that many users only.")] = None,
    positions: Annotated[int | None, typer.Option(min=1, help="How long: positions to train on.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
) -> None:
    """Train the narrator and its adapter from scratch on a bundle's narratives, and put them into it.

    With --llm only the adapter is trained, in front of a foreign language model that stands still, and with
    --lora-rank a small addition to that model.
    """
    from dataclasses import replace

    from crs.bundle import default_path, install_narrator, install_ranker
    from crs.training.foreign import FOREIGN_SETTINGS, train_foreign_adapter
    from crs.training.loop import Settings
    from crs.training.train import train_narrator

    path = bundle or default_path()
    settings = replace(FOREIGN_SETTINGS if llm else Settings(), adapter=adapter, seed=seed)
    if positions is not None:
        settings = replace(settings, n_positions=positions)
    if llm and start:
        raise InputError("--from", "belongs to our own narrator; leave --llm out")
    if llm:
        work_dir = work_dir or Path(".cache") / f"narrator-{Path(llm).name}"
        narrator = train_foreign_adapter(
            path, work_dir, llm, settings=settings, gguf=gguf, lora_rank=lora_rank, real_bundle=real,
            max_users=max_users, say=note,
        )  # fmt: skip
    elif lora_rank:
        raise InputError("--lora-rank", "belongs to a foreign language model; name that with --llm")
    elif gguf:
        raise InputError("--gguf", "belongs to a foreign language model; name that with --llm")
    else:
        work_dir = work_dir or Path(".cache/narrator")
        narrator = train_narrator(
            path, work_dir, settings=settings, real_bundle=real, real_source=real_source, max_users=max_users,
            start=start, say=note,
        )  # fmt: skip
    install_narrator(path, narrator)
    with Stages() as stages:
        installed = install_ranker(path, stages)  # it reads the trunk of the new narrator
    say(f"{path}\tversion {installed.version}")


def fit_ranker(bundle: BundleArg = None) -> None:
    """Fit what ranks on a bundle's purchases and narrator, and put it into the bundle; all else stays."""
    from crs.bundle import default_path, install_ranker

    path = bundle or default_path()
    with Stages() as stages:
        installed = install_ranker(path, stages)
    say(f"{path}\tversion {installed.version}")


def retrain(
    bundle: BundleArg = None,
    data_dir: DataDirOpt = None,
    preferences: Annotated[
        list[Path] | None,
        typer.Option("--preferences", help="A rating study's export (JSON lines) to learn from as well."),
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Put the version before the one in use in its place instead.")
    ] = False,
    told: Annotated[
        int, typer.Option(min=0, help="Narratives of each task that both versions tell for the gate.")
    ] = 20,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: retrain whenever enough is new, or something deleted.")
    ] = False,
    at_least: Annotated[int, typer.Option(min=1, help="With --watch: so many new ratings are enough.")] = 20,
    every: Annotated[float, typer.Option(min=0.1, help="With --watch: seconds between two looks.")] = 60.0,
) -> None:
    """Learn from the ratings: build a new version beside the old, promote it only where it is not worse.

    A running app takes the new version up between two turns.
    """
    from crs.learning.watch import watch as keep_watch
    from crs.retrain import retrain
    from crs.versions import default_data_dir, roll_back

    files = preferences or []
    if rollback:
        say(f"version {roll_back(bundle, data_dir)} is now in use")
        return

    def learn() -> Outcome:
        with Stages() as stages:
            return retrain(
                bundle, data_dir=data_dir, preference_files=files, n_told_per_task=told, progress=stages
            )

    outcomes = (
        [learn()]
        if not watch
        else keep_watch(
            learn,
            bundle,
            data_dir or default_data_dir(),
            at_least=at_least,
            every_s=every,
            preference_files=files,
        )
    )
    for outcome in outcomes:
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
