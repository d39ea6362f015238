"""Reviews in JSON lines, as they are published, as data for ranking: by the readers that import stores."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path

from crs.ranking.data import RankingData
from crs.ranking.splits import leave_last
from knowledge.errors import InputError
from knowledge.readers import import_store
from knowledge.readers.source import read_objects
from knowledge.store import Store

_SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
_META = "meta_"  # items, beside the file of their reviews


def holds_reviews(folder: Path) -> bool:
    """Whether JSON lines lie in ``folder``, and not a store or a bundle."""
    return bool(_files(folder))


def read_reviews(folder: Path) -> RankingData:
    """The purchases of ``folder`` in a layout that a reader knows, held-out ones last.

    Raises InputError where no reader takes it, or where nobody else's purchases can be learned from.
    """
    files = _files(folder)
    with tempfile.TemporaryDirectory() as beside:
        path = Path(beside) / "store"
        try:
            import_store(folder if len(files) > 1 else files[0], path, _format(files))
        except InputError as error:  # some of what it advises are options of `import`
            problem = f"cannot be read as it is; `python -m crs import` it, then name the store ({error})"
            raise InputError(folder, problem) from error
        data = read_store(path, folder.resolve().name)
    if len(data.test.sequences) < 2:
        raise InputError(
            folder, "only one user in it, and ranking learns from what others buy; name a larger file"
        )
    return data


def read_store(path: Path, name: str = "") -> RankingData:
    """A store's histories with the held-out purchases where there are some, else leave-last."""
    store = Store.open(path)
    told = store.held_out
    histories = {}
    for user_id in store.user_ids:
        bought = [purchase.item_id for purchase in store.history(user_id)]
        histories[user_id] = bought + ([told[user_id]] if user_id in told else [])
    name = name or str(store.manifest.get("name", path.resolve().name))
    return leave_last(name, store.items, histories, asked=told.keys() if told else None)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_file() and path.name.endswith(_SUFFIXES))


def _format(files: list[Path]) -> str:
    """The reader's name: two layouts have their items apart, and differ in what they call an item's id."""
    metas = [path for path in files if path.name.startswith(_META)]
    if not metas:
        return "regen"
    first = next(islice(read_objects(metas[0]), 1))
    return "amazon-2023" if "parent_asin" in first.fields else "amazon-2018"
