"""Rating studies: study new, study serve, study report, study export, study forget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crs.cli.options import JsonOpt
from crs.cli.output import Stages, note, say, say_json

study = typer.Typer(
    help="People rate narratives, blinded: make a study, serve it, see what it says, hand it on.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
StudyArg = Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")]


@study.command()
def new(
    file: Annotated[Path, typer.Argument(help="What to compare, TOML or JSON, as docs/study.toml.")],
    folder: Annotated[Path, typer.Argument(help="The folder to make.")],
    cache: Annotated[Path | None, typer.Option(help="Where model files are kept. [var/cache]")] = None,
) -> None:
    """Tell the narratives once, plant the checks, and freeze it all: every rater sees the same.

    Stopped, it goes on where it was when it is asked again.
    """
    from crs.content import Encoder
    from crs.studies.plan import read_plan
    from crs.studies.prepare import prepare
    from crs.studies.trials import read_frozen
    from crs.versions import default_data_dir

    plan = read_plan(file)
    with Stages() as stages:
        prepare(plan, folder, Encoder(), cache or default_data_dir() / "cache", stages)
    frozen = read_frozen(folder)
    n_checks = sum(trial.check is not None for trial in frozen.trials.values())
    say(f"items\t{len(frozen.trials) - n_checks}")
    say(f"checks\t{n_checks}")
    if frozen.manifest["n_identical_pairs"]:
        say(f"pairs left out as alike\t{frozen.manifest['n_identical_pairs']}")
    note(f"now: python -m crs study serve {folder}")


@study.command()
def serve(
    folder: StudyArg,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets others on the network in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=1, max=65535)] = 7861,
) -> None:
    """The page on which people rate, until it is interrupted."""
    import os
    from contextlib import closing

    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported: it asks at import
    from crs.studies.study import Study
    from ui.study_page import launch_study

    with closing(Study(folder)) as opened:
        page = launch_study(opened, host, port)
        say(f"{opened.name} is at http://{host}:{port}")
        page.block_thread()


@study.command()
def report(
    folder: StudyArg,
    auto: Annotated[
        Path | None,
        typer.Option(help="ratings.jsonl of `rate --narratives STUDY/narratives.jsonl`, to hold against."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write. [STUDY/report]")] = None,
    as_json: JsonOpt = False,
) -> None:
    """Agreement, scores, win rates, raters: report.json, report.md and a drawing."""
    from contextlib import closing

    from crs.evaluation.record import write_record
    from crs.studies.draw import draw
    from crs.studies.report import figures_of, markdown
    from crs.studies.study import Study
    from knowledge.errors import NotFoundError

    with closing(Study(folder)) as opened:
        figures = figures_of(opened, auto)
        if not figures["ratings"]:
            raise NotFoundError(f"{folder}: nobody has rated yet; `python -m crs study serve {folder}`")
        out = out or folder / "report"
        config = {"plan": opened.manifest["plan"], "versions": opened.manifest["versions"]}
        write_record(out / "report.json", config, figures)
    picture = None
    if figures.get("scores") or figures["wins"]:
        picture = "report.png"
        draw(figures, out / picture)
    text = markdown(figures, picture)
    (out / "report.md").write_text(text, encoding="utf-8")
    if as_json:
        say_json(figures)
    else:
        say(text)
    note(f"written to {out}")


@study.command()
def export(
    folder: StudyArg,
    out: Annotated[Path | None, typer.Option(help="Where to write. [STUDY/export]")] = None,
    margin: Annotated[
        float, typer.Option(min=0.0, help="Points by which a rated text must be better, or good, or bad.")
    ] = 1.0,
) -> None:
    """Ratings and preferences as JSON lines and parquet (docs/design.md names the columns)."""
    from contextlib import closing

    from crs.studies.export import export as write
    from crs.studies.study import Study

    with closing(Study(folder)) as opened:
        written = write(opened, out or folder / "export", margin=margin)
    for name, n_rows in written.items():
        say(f"{name}\t{n_rows}")


@study.command()
def forget(
    folder: StudyArg, code: Annotated[str, typer.Argument(help="The rater's code, as their page shows it.")]
) -> None:
    """Delete a rater and all their answers."""
    from contextlib import closing

    from crs.studies.study import Study

    with closing(Study(folder)) as opened:
        say(f"answers deleted\t{opened.forget(code)}")
