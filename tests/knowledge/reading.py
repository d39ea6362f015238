"""What the tests of the readers share."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from knowledge.readers import import_store
from knowledge.store import Store


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """JSON lines, packed where the name says so."""
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def read(source: Path, tmp_path: Path, format: str, **options: Any) -> tuple[Store, dict[str, int]]:
    report = import_store(source, tmp_path / "store", format, **options)
    store = Store.open(tmp_path / "store")
    assert report == {part: store.manifest[part] for part in ("counts", "dropped")}
    return store, report["dropped"]
