"""`rate`: a language model scores narratives on REGEN's seven attributes (section 3.3)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from crs.cli.options import JsonOpt, Llm, LlmParallelOpt, asks_llm
from crs.cli.output import Stages, note, say, say_json
from knowledge.errors import InputError

if TYPE_CHECKING:
    from crs.bundle import Bundle
    from crs.evaluation.rater.cases import Stage
    from knowledge.store import Store
    from knowledge.types import Narrative


@asks_llm
def rate(
    llm: Llm,
    source: Annotated[
        Path | None,
        typer.Argument(metavar="BUNDLE|STORE", help="Whose shoppers; the embedded bundle by default."),
    ] = None,
    n_shoppers: Annotated[int, typer.Option("-n", min=1, help="Shoppers to tell of, drawn by --seed.")] = 50,
    narratives: Annotated[
        Path | None,
        typer.Option(help="JSON lines of user_id, task, text, target_id to rate; else the narrator tells."),
    ] = None,
    references: Annotated[bool, typer.Option("--references", help="Rate the store's own texts.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for replies, ratings and figures. [var/ratings]")
    ] = None,
    stages: Annotated[
        str | None, typer.Option(metavar="STAGE,STAGE", help="Only these, as in reasons,summaries.")
    ] = None,
    split: Annotated[
        Literal["train", "valid", "test"], typer.Option(help="Of a bundle: its users.")
    ] = "test",
    runs: Annotated[int, typer.Option(min=1, max=100, help="Calls a case (the paper: 10 to 15).")] = 10,
    temperature: Annotated[float, typer.Option(min=0.0, help="What makes the calls differ.")] = 0.7,
    max_tokens: Annotated[int, typer.Option(min=64, help="Of one reply; more where a model reasons.")] = 1024,
    seed: Annotated[int, typer.Option(min=0, help="Of shoppers, narratives and calls.")] = 0,
    parallel: LlmParallelOpt = 4,
    as_json: JsonOpt = False,
) -> None:
    """Have a language model rate narratives: four stages, scores from 1 to 7, an ensemble of calls for each.

    Stopped, it goes on from its folder when it is asked the same again: no call is made, or paid for, twice.
    """
    from crs.evaluation.rater.cases import cases_of
    from crs.evaluation.rater.rate import Settings
    from crs.evaluation.rater.rate import rate as rate_cases
    from crs.evaluation.rater.report import draw, figures_of, write_ratings
    from crs.evaluation.record import write_record
    from crs.llm.kept import KeptChat
    from crs.versions import default_data_dir

    if narratives and references:
        raise InputError("--references", "rates other texts than --narratives; leave one of them out")
    asked = _stages(stages)
    folder = out or default_data_dir() / "ratings"
    settings = Settings(runs, temperature, seed, max_tokens, parallel)
    with llm.opened() as model, Stages() as progress, KeptChat(model, folder / "replies.jsonl") as kept:
        bundle, store = _open(source)
        if narratives:
            from crs.evaluation.rater.narratives import read_narratives

            found = read_narratives(narratives, store)
        else:
            found = _found(bundle, store, references, split, n_shoppers, seed, folder, progress)
        told = [each for each in found if each.text.strip()]
        cases = cases_of(told, store, asked)
        ratings = list(rate_cases(cases, store, kept, settings, progress))
    if not ratings:
        raise InputError("--stages", "none of the texts belongs to them; name others")
    figures = figures_of(ratings)
    config = {
        "source": store.manifest["name"],
        "version": None if bundle is None else bundle.version,
        "texts": str(narratives) if narratives else "references" if references else "narrator",
        "empty_texts": len(found) - len(told),
        "llm": model.name,
        "runs": runs,
        "temperature": temperature,
        "seed": seed,
        "max_tokens": max_tokens,
    }
    write_ratings(ratings, folder / "ratings.jsonl")
    write_record(folder / "figures.json", config, figures)
    draw(figures, folder / "ratings.png")
    note(f"{kept.usage.n_kept} of the replies were kept from an earlier run")
    if as_json:
        say_json({"config": config, **figures})
        return
    for line in _lines(figures):
        say(line)
    for name in ("ratings.jsonl", "figures.json", "ratings.png"):
        say(str(folder / name))


def _stages(option: str | None) -> tuple[Stage, ...]:
    from crs.evaluation.rater.cases import STAGES

    if option is None:
        return STAGES
    named = {name.strip() for name in option.split(",")}
    if unknown := named - set(STAGES):
        problem = f"no stage is called '{min(unknown)}'; there are {', '.join(STAGES)}"
        raise typer.BadParameter(problem, param_hint="--stages")
    return tuple(stage for stage in STAGES if stage in named)


def _open(source: Path | None) -> tuple[Bundle | None, Store]:
    from crs.bundle import STORE, Bundle
    from knowledge.store import Store

    if source is None or (source / STORE).is_dir():
        bundle = Bundle.open(source)
        return bundle, bundle.store
    return None, Store.open(source)


def _found(
    bundle: Bundle | None,
    store: Store,
    references: bool,
    split: str,
    n_shoppers: int,
    seed: int,
    folder: Path,
    progress: Stages,
) -> list[Narrative]:
    from crs.content import Encoder
    from crs.evaluation.rater.narratives import draw_users, tell
    from crs.evaluation.rater.narratives import references as references_of

    users = store.user_ids if bundle is None else bundle.splits[split]
    if references:
        written = {told.user_id for told in store.narratives()}
        found = references_of(store, draw_users([u for u in users if u in written], n_shoppers, seed))
        if not found:
            raise InputError(
                store.path, "has no texts of these shoppers; leave --references out, or name --narratives"
            )
        return found
    if bundle is None:
        raise InputError(
            store.path, "is a store, and has no narrator; name a bundle, --references or --narratives"
        )
    return tell(bundle, Encoder(), draw_users(users, n_shoppers, seed), folder, seed=seed, progress=progress)


def _lines(figures: dict[str, Any]) -> list[str]:
    lines = ["stage\tattribute\tmean\t1\t2\t3\t4\t5\t6\t7"]
    for stage, measured in figures["stages"].items():
        for name, found in (*measured["attributes"].items(), ("confidence", measured["confidence"])):
            average = "-" if found["mean"] is None else f"{found['mean']:.2f}"
            lines.append("\t".join((stage, name, average, *map(str, found["counts"]))))
        n_rated, n_cases, n_missing = (measured[name] for name in ("rated", "cases", "missing_runs"))
        lines.append(f"{stage}\t{n_rated} of {n_cases} rated, {n_missing} runs missing")
    replies = figures["replies"]
    broken = ", ".join(f"{n} {flaw}" for flaw, n in replies["broken"].items()) or "none"
    cost = "" if replies["cost_usd"] is None else f", ${replies['cost_usd']:.4f}"
    lines.append(
        f"{replies['n']} replies ({replies['prompt_tokens']} + {replies['completion_tokens']} tokens{cost})"
    )
    lines.append(f"broken: {broken}")
    return lines
