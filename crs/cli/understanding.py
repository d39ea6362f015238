"""`evaluate understanding`: what is read from messages in people's words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crs.cli.options import JsonOpt
from crs.cli.output import Stages, say, say_json


def understanding(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Utterances as JSON lines; the embedded sets by default."),
    ] = None,
    user: Annotated[str, typer.Option(help="Who says them (see `users`).")] = "s0042",
    out: Annotated[Path | None, typer.Option(help="A JSON file to write as well.")] = None,
    as_json: JsonOpt = False,
) -> None:
    """Intents, constraints and products meant, read from utterances on the demo store, against what is right.

    Every utterance goes the whole way of a chat, only without the narrator. What was missed is listed.
    """
    from agents.scoring import UTTERANCES, read_utterances, score
    from crs.bundle import Bundle
    from crs.content import Encoder
    from crs.evaluation.record import write_record
    from crs.quiet_shop import QuietShop

    paths = files or sorted(UTTERANCES.glob("*.jsonl"))
    sets = {path.stem: read_utterances(path) for path in paths}
    shop = QuietShop(Bundle.open(), Encoder())
    figures = {}
    with Stages() as stages:
        scores = {name: score(shop, asked, shopper=user, progress=stages) for name, asked in sets.items()}
    for name, scored in scores.items():
        figures[name] = scored.figures()
        for miss in scored.misses:
            found = {"set": name, "part": miss.part, "text": miss.text}
            found |= {"expected": miss.expected, "found": miss.found}
            if as_json:
                say_json(found)
            else:
                say(f"{name}\t{miss.part}\t{miss.text}\n\texpected {miss.expected}\n\tfound    {miss.found}")
    if as_json:
        say_json(figures)
    else:
        for name, parts in figures.items():
            for part, figure in parts.items():
                say(f"{name}\t{part}\t{figure['right']} of {figure['asked']}\t{figure['share']:.1%}")
    if out is not None:
        write_record(out, {"user": user, "sets": sorted(sets)}, figures)
