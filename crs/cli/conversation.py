"""`evaluate conversation`: simulated shoppers talk to the assistant until they see what they want."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from crs.cli.options import BundleArg, DataDirOpt, JsonOpt
from crs.cli.output import Stages, say, say_json


def conversation(
    bundle: BundleArg = None,
    n: Annotated[int, typer.Option("-n", min=2, help="Shoppers.")] = 500,
    split: Annotated[Literal["valid", "test"], typer.Option(help="Of which users.")] = "test",
    seed: Annotated[int, typer.Option(min=0, help="Of the personas and their words.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Where conversations are kept as they come; var/cache by default.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A JSON file to write as well.")] = None,
    as_json: JsonOpt = False,
    data_dir: DataDirOpt = None,
) -> None:
    """How soon shoppers with a hidden product are shown it, with critiques and without.

    Each wants their held-out next purchase, tells what it is like in turns (never its title) and reacts to
    the cards; as controls, the same shoppers tell their needs without a look at the cards, or only ask
    for more. A run that was stopped goes on where it was.
    """
    import tempfile
    from contextlib import ExitStack, closing

    from agents.simulator.play import Stage, fingerprint, play_all
    from agents.simulator.report import figures
    from crs.bundle import Bundle
    from crs.content import Encoder, OnceEncoder
    from crs.evaluation.record import write_record
    from crs.shop import Shop
    from crs.versions import default_data_dir, in_use
    from knowledge.errors import InputError

    path = in_use(bundle, data_dir)
    opened = Bundle.open(path)
    users = [user_id for user_id in opened.splits[split] if user_id in opened.store.held_out][:n]
    if len(users) < n:
        raise InputError(
            "-n", f"only {len(users)} shoppers of {split} have a held-out purchase; ask for fewer"
        )
    kept_in = (
        cache or (data_dir or default_data_dir()) / "cache"
    ) / f"conversations-{fingerprint(opened.version)}.jsonl"
    with Stages() as stages, ExitStack() as stack:

        def open_stage() -> Stage:
            # a memory of its own: what simulated shoppers say must not stay with anybody
            memory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            encoder = OnceEncoder(Encoder())  # shoppers repeat each other
            shop = Shop.open(path, data_dir=memory, encoder=encoder, progress=stages)
            return Stage(stack.enter_context(closing(shop)))

        played = play_all(open_stage, users, kept_in, seed=seed, progress=stages)
    report = figures(played, seed=seed)
    if as_json:
        say_json(report)
    else:
        _print(report)
    if out is not None:
        config = {"bundle": opened.name, "version": opened.version, "split": split, "n": n, "seed": seed}
        write_record(out, config, report)


def _print(figures: dict[str, Any], path: str = "") -> None:
    """A line for what holds figures: its path, then the figures by name."""
    values = {name: value for name, value in figures.items() if not isinstance(value, dict)}
    if values:
        say(f"{path}\t" + ", ".join(f"{name} {_rounded(value)}" for name, value in values.items()))
    for name, part in figures.items():
        if isinstance(part, dict):
            _print(part, f"{path} / {name}" if path else name)


def _rounded(value: Any) -> str:
    if isinstance(value, list):
        return " to ".join(_rounded(each) for each in value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)
