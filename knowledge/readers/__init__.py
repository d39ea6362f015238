"""Readers of public layouts. Each module has one face, ``read(source, writer, names)``."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from knowledge.errors import InputError

FORMATS = ("regen", "amazon-2018", "amazon-2023", "sequences", "movielens")


def import_store(
    source: str | Path, store: str | Path, format: str, *, names: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Read ``source`` in one of FORMATS and write a store; returns its "counts" and "dropped" (reason -> n).

    ``names`` maps our names to the source's where they differ (``--map ours=theirs``; `regen` only). Rows
    are gathered on disk beside the store, so memory does not grow with the source. Raises InputError for a
    source that does not fit its layout; no store is left then, and one that stood there stays as it was.
    """
    from knowledge.readers import amazon_2018, amazon_2023, movielens, regen, sequences
    from knowledge.readers.purchases import refuse_if_empty
    from knowledge.store import StoreWriter

    readers = dict(zip(FORMATS, (regen, amazon_2018, amazon_2023, sequences, movielens), strict=True))
    source, store = Path(source), Path(store)
    if format not in readers:
        raise InputError(source, f"no format '{format}'; use --format with one of {', '.join(FORMATS)}")
    if names and format != "regen":
        raise InputError(source, f"the names of format '{format}' are fixed; leave --map out")
    if not source.exists():
        raise InputError(source, "no such file or folder; name one that is there")
    try:
        with StoreWriter(store, name=source.resolve().name, format=format) as writer:
            readers[format].read(source, writer, names or {})
            refuse_if_empty(writer, source)
    except (OSError, sqlite3.Error) as exc:
        raise InputError(
            store, f"cannot be written ({exc}); free some space or choose another folder"
        ) from exc
    return {part: writer.manifest[part] for part in ("counts", "dropped")}
