"""`evaluate faithfulness`: does what the narrator says hold up, on shoppers it has not learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from crs.cli.options import BundleArg, JsonOpt
from crs.cli.output import Stages, say, say_json


def faithfulness(
    bundle: BundleArg = None,
    n: Annotated[int, typer.Option("-n", min=2, help="Narratives of each task.")] = 1000,
    n_ungated: Annotated[int, typer.Option(min=1, help="Of these, told with the gate open too.")] = 200,
    split: Annotated[Literal["valid", "test"], typer.Option(help="Of which users.")] = "test",
    seed: Annotated[int, typer.Option(min=0, help="Of the shoppers, the sampling and the strangers.")] = 0,
    items_file: Annotated[
        Path | None,
        typer.Option(help="Item ids, one a line: only shoppers all of whose items are among them."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where narratives are kept as they come; var/cache by default.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A JSON file to write as well.")] = None,
    as_json: JsonOpt = False,
) -> None:
    """Claims right before and after the gate, who and what texts are about, how varied they are.

    Where training.json of the narrator names `held_out_items` of this store, only shoppers all of whose
    items are among them are asked for. A run that was stopped goes on where it was.
    """
    from crs.bundle import Bundle
    from crs.content import Encoder
    from crs.evaluation.faithfulness import faithfulness as measure
    from crs.evaluation.occasions import held_out_items, occasions
    from crs.evaluation.record import write_record
    from crs.evaluation.telling import tell_all
    from crs.versions import default_data_dir

    opened, encoder = Bundle.open(bundle), Encoder()
    only_items = held_out_items(opened, items_file)
    asked = occasions(opened, opened.splits[split], n, seed=seed, only_items=only_items)
    with Stages() as stages:
        told = tell_all(
            opened, encoder, asked, cache or default_data_dir() / "cache", stages, n_ungated=n_ungated
        )
        figures = measure(opened, encoder, told, seed=seed, progress=stages)
    if as_json:
        say_json(figures)
    else:
        _print(figures)
    if out is not None:
        config = {
            "bundle": opened.name,
            "version": opened.version,
            "split": split,
            "shoppers": "all" if only_items is None else "all items held out of the narrator's training",
            "per task": n,
            "with the gate open": min(n, n_ungated),
            "seed": seed,
        }
        write_record(out, config, figures)


def _print(figures: Any, path: str = "") -> None:
    """A line for what holds figures: its path, then the figures by name."""
    values = {name: value for name, value in figures.items() if not isinstance(value, dict)}
    if values:
        say(f"{path}\t" + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))
    for name, part in figures.items():
        if isinstance(part, dict):
            _print(part, f"{path} / {name}" if path else name)
