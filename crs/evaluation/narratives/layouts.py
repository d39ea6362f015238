"""Which data set lies in a folder, told by its files and their columns, whatever the folder is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crs import bundle
from crs.evaluation.narratives import explained, profiled
from crs.evaluation.narratives.benchmark import Benchmark, store_benchmark
from knowledge import store
from knowledge.errors import InputError, NotFoundError
from knowledge.readers import import_store


@dataclass(frozen=True)
class _Layout:
    """A data set's files with the columns that it is known by."""

    columns: dict[str, tuple[str, ...]]
    read: Callable[[Path, Path], Benchmark]

    def describe(self) -> str:
        return " and ".join(f"{name} ({', '.join(columns)})" for name, columns in self.columns.items())


_LAYOUTS = (
    _Layout(
        {explained.NARRATIVES: explained.NARRATIVE_COLUMNS, explained.PAIRS: explained.PAIR_COLUMNS},
        explained.explained_benchmark,
    ),
    _Layout(
        {
            profiled.SUMMARIES: profiled.SUMMARY_COLUMNS,
            profiled.RATINGS: profiled.RATING_COLUMNS,
            profiled.ITEMS: profiled.ITEM_COLUMNS,
        },
        profiled.profiled_benchmark,
    ),
)


def open_benchmark(path: Path, cache_dir: Path, *, max_people: int) -> Benchmark:
    """The benchmark in ``path``: a bundle, a store, a REGEN release or one of the public layouts above.

    Public layouts are written as a store into ``cache_dir``. ``max_people``: of a store, for there may be
    millions. Raises NotFoundError for no such folder, InputError where it holds nothing to compare with.
    """
    if not path.exists():
        raise NotFoundError(f"{path}: no such folder; name a store, a bundle or a data set")
    if (path / bundle.MANIFEST).is_file():
        is_bundle = (path / bundle.STORE / store.MANIFEST).is_file()
        opened = store.Store.open(path / bundle.STORE if is_bundle else path)
        return store_benchmark(opened, str(opened.manifest.get("name", path.name)), max_people=max_people)
    written = cache_dir / "store"
    if releases := _json_lines(path):
        import_store(releases[0], written, "regen")
        return store_benchmark(store.Store.open(written), path.stem, max_people=max_people)
    for layout in _LAYOUTS:
        if all(set(columns) <= set(_columns(path / name)) for name, columns in layout.columns.items()):
            return layout.read(path, written)
    found = [f"{file.name} ({', '.join(_columns(file))})" for file in sorted(path.glob("*.parquet"))]
    known = "; ".join(layout.describe() for layout in _LAYOUTS)
    raise InputError(
        path,
        f"no reference narratives in a known layout (found: {', '.join(found) or 'no parquet file'}); "
        f"known are a store, a bundle, a REGEN release (.jsonl), and {known}",
    )


def _json_lines(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.glob("*.jsonl"))


def _columns(path: Path) -> list[str]:
    """Names of a parquet file's columns; none where there is no such file or it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException):
        return []
