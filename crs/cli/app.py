"""All commands in one application, and what its endings mean.

Exit codes: 0 done, 1 an error of ours (one line on standard error), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import sys

import typer

from crs.cli import analyze, data, learn, rate, talk, write
from crs.cli.llmrec import llmrec
from crs.cli.measure import evaluate
from crs.cli.study import study
from knowledge.errors import RaconteurError

# Without rich's markup and tracebacks, help answers in a tenth of a second.
app = typer.Typer(
    name="raconteur",
    help="Raconteur: a recommender that knows its shoppers and can say why.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
feedback = typer.Typer(help="What people said of the answers.", no_args_is_help=True, rich_markup_mode=None)

app.command("import")(data.import_)
app.command()(data.demo)
app.command()(data.build)
app.command()(data.users)
app.command()(talk.recommend)
app.command()(talk.narrate)
app.command()(talk.chat)
app.command()(analyze.analyze)
app.command()(rate.rate)
app.command()(write.write_narratives)
app.command()(learn.train_narrator)
app.command()(learn.retrain)
feedback.command("export")(learn.export_feedback)
app.add_typer(feedback, name="feedback")
app.add_typer(evaluate, name="evaluate")
app.add_typer(llmrec, name="llmrec")
app.add_typer(study, name="study")


def main() -> None:
    """Run the command line; an error of ours becomes one line on standard error and exit code 1."""
    try:
        app(prog_name="python -m crs")
    except RaconteurError as exc:
        sys.stderr.write("error: " + " ".join(str(exc).split()) + "\n")
        sys.exit(1)
