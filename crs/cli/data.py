"""Commands that make and look into stores and bundles: import, demo, build, users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from crs.cli.options import BundleArg
from crs.cli.output import Stages, note, say

SourceArg = Annotated[Path, typer.Argument(help="The data set's file or folder, as published.")]
StoreArg = Annotated[Path, typer.Argument(help="The folder of the store.")]
BundleOutArg = Annotated[Path, typer.Argument(help="The folder to write the bundle to.")]
Format = Literal["regen", "amazon-2018", "amazon-2023", "sequences", "movielens"]
FormatOpt = Annotated[Format, typer.Option("--format", help="The layout of SOURCE.")]
MapOpt = Annotated[
    list[str] | None, typer.Option("--map", metavar="OURS=THEIRS", help="A name of ours as SOURCE spells it.")
]


def import_(source: SourceArg, store: StoreArg, format: FormatOpt, names: MapOpt = None) -> None:
    """Read a public data set into a store; what is dropped by rule is counted and printed."""
    from knowledge.readers import import_store

    report = import_store(source, store, format, names=_pairs(names or []))
    for part, count in report["counts"].items():
        say(f"{part}\t{count}")
    for reason, count in report["dropped"].items():
        say(f"dropped: {reason}\t{count}")


def demo(
    store: StoreArg,
    shoppers: Annotated[int, typer.Option(min=1, help="How many people shop there.")] = 6000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same store.")] = 7,
) -> None:
    """Write the fictional demo store."""
    from knowledge.demo import write_demo_store

    with Stages() as stages:
        counts = write_demo_store(
            store,
            n_shoppers=shoppers,
            seed=seed,
            progress=lambda done, total: stages("shoppers", done, total),
        )
    for part, count in counts.items():
        say(f"{part}\t{count}")


def build(
    store: StoreArg,
    bundle: BundleOutArg,
    signals: Annotated[
        Literal["fused", "cf", "content"], typer.Option(help="What ranking and narrator may use.")
    ] = "fused",
    seed: Annotated[int, typer.Option(help="Of the collaborative filter.")] = 0,
) -> None:
    """Fit the collaborative filter, encode the items and write a bundle that can be served."""
    from crs.bundle import build_bundle

    with Stages() as stages:
        built = build_bundle(store, bundle, signals=signals, seed=seed, progress=stages)
    if not built.has_narrator:
        note(f"no narrator to take along; train one with `python -m crs train-narrator {bundle}`")
    elif built.narrator_signals != built.signals:
        note("the narrator was trained on another store: it reads content only, CF is used for ranking only")
    n_items, n_users = len(built.store.item_ids), len(built.store.user_ids)
    say(f"{bundle}\tversion {built.version}\t{n_items} items\t{n_users} users")


def users(
    bundle: BundleArg = None,
    split: Annotated[
        Literal["train", "valid", "test"] | None, typer.Option(help="Only the users of this split.")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", min=0, help="At most so many.")] = None,
) -> None:
    """Print the ids of a bundle's users, one a line."""
    from crs.bundle import Bundle

    opened = Bundle.open(bundle)
    ids = opened.store.user_ids if split is None else opened.splits[split]
    for user_id in ids[:n]:
        say(user_id)


def _pairs(options: list[str]) -> dict[str, str]:
    pairs = {}
    for option in options:
        ours, equals, theirs = option.partition("=")
        if not (ours and equals and theirs):
            raise typer.BadParameter(f"'{option}' is not OURS=THEIRS", param_hint="--map")
        pairs[ours] = theirs
    return pairs
