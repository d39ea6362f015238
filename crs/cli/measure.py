"""`evaluate`: how well a bundle finds, reads and tells, on people it has not learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from crs.cli.conversation import conversation
from crs.cli.faithfulness import faithfulness
from crs.cli.narratives import narratives
from crs.cli.options import BundleArg, JsonOpt
from crs.cli.output import Stages, say, say_json
from crs.cli.ranking import ranking
from crs.cli.understanding import understanding

evaluate = typer.Typer(
    help="Measure a bundle on users it has not learned from.", no_args_is_help=True, rich_markup_mode=None
)
SplitOpt = Annotated[Literal["valid", "test"], typer.Option(help="On which users.")]
evaluate.command()(conversation)
evaluate.command()(faithfulness)
evaluate.command()(narratives)
evaluate.command()(ranking)
evaluate.command()(understanding)


@evaluate.command("bundle")
def evaluate_bundle(bundle: BundleArg = None, split: SplitOpt = "test", as_json: JsonOpt = False) -> None:
    """Hit rate and NDCG of the held-out purchase, and the narrator's loss on reference narratives."""
    from crs.bundle import Bundle
    from crs.content import Encoder
    from crs.measures import measure, ndcg
    from crs.rows import FusedRows

    opened, encoder = Bundle.open(bundle), Encoder()
    users = opened.splits[split]
    measured = measure(opened, encoder, FusedRows(opened, encoder), users)
    figures = {
        "users": float(len(users)),
        "hit_rate@10": measured.hit_rate,
        "ndcg@10": ndcg(opened, encoder, users),
    }
    if measured.loss is not None:
        figures["loss"] = measured.loss
    _print({"bundle": figures}, as_json)


@evaluate.command("reading")
def evaluate_reading(
    bundle: BundleArg = None,
    split: SplitOpt = "test",
    n: Annotated[int, typer.Option("-n", min=6, help="Narratives to generate.")] = 1000,
    n_shoppers: Annotated[int, typer.Option(min=20, help="Long summaries to identify.")] = 200,
    n_reasons: Annotated[int, typer.Option(min=2, help="Reasons to ask for that only CF can tell.")] = 60,
    seed: Annotated[int, typer.Option(help="Of the sampling.")] = 0,
    out: Annotated[Path | None, typer.Option(help="A JSON file to write as well.")] = None,
    as_json: JsonOpt = False,
) -> None:
    """Does the narrator read its soft tokens: swap gap, nouns after pointers, who a summary is about."""
    import tempfile

    from crs.bundle import Bundle
    from crs.content import Encoder
    from crs.evaluation.reading import identification, narrate_references, order_report, spread, swap_gap
    from crs.evaluation.reasons import reasons_heard
    from crs.evaluation.record import write_record
    from crs.rows import FusedRows
    from crs.storyteller import Storyteller

    opened, encoder = Bundle.open(bundle), Encoder()
    users = opened.splits[split]
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as cache, Stages() as stages:
        rows = FusedRows(opened, encoder)
        figures["reading"] = swap_gap(opened, rows, users, min(n, 400))
        if heard := reasons_heard(opened, rows, users, n_reasons, stages):
            figures["hidden reason first"] = heard
        told = spread(opened, users, n)
        for name, gated in (("before the gate", False), ("as shown", True)):
            storyteller = Storyteller.open(opened, encoder, Path(cache), gated=gated)
            said = narrate_references(opened, storyteller, told, seed=seed, progress=stages)
            figures[name] = order_report(said)
            if gated:
                figures["shopper among 20, names stripped"] = identification(
                    opened, storyteller, encoder, users, n=n_shoppers, seed=seed, progress=stages
                )
            storyteller.close()
    _print(figures, as_json)
    if out is not None:
        config = {"bundle": opened.name, "version": opened.version, "split": split, "n": n, "seed": seed}
        write_record(out, config, figures)


def _print(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(figures)
        return
    for part, measured in figures.items():
        say(part)
        for name, value in measured.items():
            say(f"  {name}\t{value:.4g}")
