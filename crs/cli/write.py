"""The command that has narratives written by a language model: write-narratives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crs.cli.options import Llm, LlmParallelOpt, asks_llm
from crs.cli.output import Stages, note, say
from knowledge.types import TASKS, Task

StoreArg = Annotated[Path, typer.Argument(help="The folder of a store with reviews.")]
OutArg = Annotated[Path | None, typer.Argument(help="The folder of the new store. [STORE-narrated]")]
TasksOpt = Annotated[
    str | None, typer.Option(metavar="TASK,TASK", help="Only these, as in purchase_reason,user_profile.")
]
MaxUsersOpt = Annotated[int | None, typer.Option(min=1, help="At most so many shoppers.")]
SeedOpt = Annotated[int, typer.Option(help="Of the sampling; another seed tells it otherwise.")]
CallsOpt = Annotated[
    Path | None,
    typer.Option(
        help="Where finished calls are kept: a run that was stopped goes on there. [OUT.calls.jsonl]"
    ),
]


@asks_llm
def write_narratives(
    store: StoreArg,
    llm: Llm,
    out: OutArg = None,
    tasks: TasksOpt = None,
    max_users: MaxUsersOpt = None,
    seed: SeedOpt = 0,
    calls: CallsOpt = None,
    parallel: LlmParallelOpt = 8,
) -> None:
    """Have a language model write narratives for a store with reviews; the result is a store to train on.

    Each shopper with reviews gets up to six texts. One that names a product instead of pointing at it, points
    nowhere, quotes a review or is too long or too short is mended, asked for again, or left out and counted.
    """
    from crs.writing.write import write_narratives

    chosen = _tasks(tasks) if tasks else TASKS
    out = out or store.with_name(f"{store.name}-narrated")
    with llm.opened() as model, Stages() as stages:
        report = write_narratives(
            store,
            out,
            model,
            calls or out.with_name(f"{out.name}.calls.jsonl"),
            tasks=chosen,
            max_users=max_users,
            parallel=parallel,
            seed=seed,
            progress=lambda done, total, usage: stages("questions", done, total, detail=str(usage)),
        )
    for line in report.lines():
        say(line)
    note(f"{out}: build it with `python -m crs build`, then train with `train-narrator`")


def _tasks(option: str) -> tuple[Task, ...]:
    named = {name.strip() for name in option.split(",")}
    if unknown := named - set(TASKS):
        problem = f"no task is called '{min(unknown)}'; there are {', '.join(TASKS)}"
        raise typer.BadParameter(problem, param_hint="--tasks")
    return tuple(task for task in TASKS if task in named)
