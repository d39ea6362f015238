"""`analyze`: what a bundle's soft tokens are made of, drawn and in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crs.cli.options import BundleArg, JsonOpt
from crs.cli.output import Stages, note, say, say_json

if TYPE_CHECKING:
    from crs.evaluation.embeddings import Analysis


def analyze(
    bundle: BundleArg = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the figures and analysis.json. [var/analysis]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the sampling and of t-SNE.")] = 0,
    as_json: JsonOpt = False,
) -> None:
    """Draw REGEN's figures 5 to 8: soft tokens among the words, and what is CF and content in them."""
    from dataclasses import asdict

    from crs.bundle import Bundle
    from crs.evaluation.embeddings import analyze
    from crs.evaluation.figures import draw_figures
    from crs.evaluation.record import write_record
    from crs.versions import default_data_dir

    opened = Bundle.open(bundle)
    folder = out or default_data_dir() / "analysis"
    with Stages() as stages:
        analysis = analyze(opened, seed=seed, progress=stages)
    paths = draw_figures(analysis, folder)
    config = {"bundle": opened.name, "version": opened.version, "seed": seed}
    figures = asdict(analysis)
    write_record(folder / "analysis.json", config, figures)
    for line in analysis.notes:
        note(line)
    if as_json:
        drawn = ("together", "apart", "item_ids", "token_ids")  # the coordinates are in the file
        say_json({**config, **{name: value for name, value in figures.items() if name not in drawn}})
        return
    for line in _lines(analysis):
        say(line)
    for path in (*paths, folder / "analysis.json"):
        say(str(path))


def _lines(analysis: Analysis) -> list[str]:
    """The main numbers, one a line."""
    lines = [f"length of {kind}\t{spread.mean:.3g}" for kind, spread in analysis.norms.items()]
    for kind, found in analysis.separation.items():
        among = f"{found.tokens_among_nearest:.3f} (mixed: {found.if_mixed:.3f})"
        lines.append(f"words among the nearest of {kind}\t{among}")
    if analysis.shares is not None:
        lines.append(f"share of CF\t{analysis.shares.cf.mean:.3f} (sd {analysis.shares.cf.sd:.3f})")
        lines.append(f"share of content\t{analysis.shares.content.mean:.3f}")
    lines.append(f"purchases an item\t{analysis.item_counts.purchases.median:g} (median)")
    return lines
