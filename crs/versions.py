"""Which version of a bundle is in use: retraining writes new ones into the data folder, never over the first.

DATA_DIR/versions/<version of the first>/<version>/     a whole bundle
DATA_DIR/versions/<version of the first>/current        the name of the one in use; absent: the first
"""

from __future__ import annotations

import os
from pathlib import Path

from crs.bundle import Bundle, default_path, read_manifest
from knowledge.errors import NotFoundError

CURRENT = "current"


def default_data_dir() -> Path:
    """Where ratings, memory, caches and versions live: ``RACONTEUR_VAR``, else ``var/`` in the project."""
    return Path(os.environ.get("RACONTEUR_VAR") or Path(__file__).resolve().parents[1] / "var")


def versions_dir(first: Path, data_dir: Path) -> Path:
    """The folder of the versions that descend from the bundle at ``first``."""
    return data_dir / "versions" / str(read_manifest(first)["version"])


def in_use(first: str | Path | None = None, data_dir: Path | None = None) -> Path:
    """The bundle that serves for ``first`` (the embedded one when None): the promoted version, or itself."""
    first = default_path() if first is None else Path(first)
    folder = versions_dir(first, data_dir or default_data_dir())
    try:
        name = (folder / CURRENT).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return first
    if not (folder / name).is_dir():
        raise NotFoundError(
            f"{folder / CURRENT} names '{name}', which is not there; remove the file to go back"
        )
    return folder / name


def open_in_use(first: str | Path | None = None, data_dir: Path | None = None) -> Bundle:
    """`Bundle.open` of `in_use`."""
    return Bundle.open(in_use(first, data_dir))


def promote(first: Path, version: str, data_dir: Path) -> None:
    """Put ``version`` in use, in one step: a reader sees the old version or the new one."""
    folder = versions_dir(first, data_dir)
    temporary = folder / f".{CURRENT}.{os.getpid()}"
    temporary.write_text(version + "\n", encoding="utf-8")
    os.replace(temporary, folder / CURRENT)
