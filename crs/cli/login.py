"""The command that lets someone log in to the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crs.cli.output import note


def login(
    name: Annotated[str, typer.Argument(help="The login name; a shopper's id opens their purchases.")],
    file: Annotated[Path, typer.Argument(help="The file that RACONTEUR_LOGINS names.")],
    password: Annotated[
        str,
        typer.Option(
            prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for where it is not given."
        ),
    ],
) -> None:
    """Let NAME log in: add the name with a hashed password to FILE, or give it a new password."""
    from knowledge.logins import add_login

    add_login(file, name, password)
    note(f"{name} may log in where RACONTEUR_LOGINS={file}")
