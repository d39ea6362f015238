"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BundleArg = Annotated[
    Path | None, typer.Argument(metavar="BUNDLE", help="A bundle's folder; the embedded one by default.")
]
UserOpt = Annotated[str, typer.Option("--user", help="The shopper's id (see `users`).")]
JsonOpt = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
DataDirOpt = Annotated[
    Path | None, typer.Option("--data-dir", help="Where memory, ratings and versions live; var/ by default.")
]
