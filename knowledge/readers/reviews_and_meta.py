"""What the two Amazon layouts share: a file of reviews and, beside it, a file of items (meta)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from knowledge.errors import InputError
from knowledge.readers.purchases import REPEATED_ITEM, UNTITLED_ITEM, Purchases
from knowledge.readers.source import Record, read_objects
from knowledge.store import StoreWriter
from knowledge.types import Interaction, Item

_SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
_META = "meta_"
_ATTRIBUTES = {"color": "color", "colour": "color", "material": "material", "size": "size", "style": "style"}


def read_pair(
    source: Path,
    writer: StoreWriter,
    read_item: Callable[[Record, StoreWriter], Item],
    read_purchase: Callable[[Record], Interaction],
) -> None:
    """Write a pair of files to the store. ``source``: their folder, or the reviews beside the meta."""
    reviews, meta = _find_pair(source)
    for record in read_objects(meta):
        item = read_item(record, writer)
        if writer.has_item(item.item_id):
            writer.drop(REPEATED_ITEM)
        elif not item.title:
            writer.drop(UNTITLED_ITEM)
        else:
            writer.add_item(item)
    with Purchases(writer.path.parent) as purchases:
        for record in read_objects(reviews):
            purchases.add(read_purchase(record))
        purchases.write(writer)


def read_attributes(record: Record, field: str = "details") -> dict[str, str]:
    """Colour, material, size and style out of an item's table of details, where it has them."""
    if record.fields.get(field) in (None, "", {}):
        return {}
    details = record.nested(field)
    attributes = {}
    for label in details.fields:
        if name := _ATTRIBUTES.get(label.strip(" :").lower()):
            attributes[name] = details.text(label)
    return {name: value for name, value in attributes.items() if value}


def _find_pair(source: Path) -> tuple[Path, Path]:
    folder = source if source.is_dir() else source.parent
    files = sorted(_published(folder))
    metas = {_category(path): path for path in files if path.name.startswith(_META)}
    if source.is_dir():
        reviews = [path for path in files if not path.name.startswith(_META)]
        if len(reviews) != 1:
            found = ", ".join(path.name for path in files[:10]) or "none"
            problem = f"expected one file of reviews and its {_META} file (found: {found}); name the reviews"
            raise InputError(source, problem)
        source = reviews[0]
    if source.name.startswith(_META):
        raise InputError(source, "this is the items' file; name the file of reviews or their folder")
    category = _category(source)
    if category not in metas:
        found = ", ".join(path.name for path in metas.values()) or "none"
        raise InputError(
            source, f"no {_META}{category}.json(l)(.gz) beside it (found: {found}); put it there"
        )
    return source, metas[category]


def _published(folder: Path) -> Iterator[Path]:
    try:
        yield from (path for path in folder.iterdir() if path.name.endswith(_SUFFIXES))
    except OSError as exc:
        raise InputError(folder, f"cannot be read ({exc.strerror}); name a folder that can") from exc


def _category(path: Path) -> str:
    """ "Gift_Cards" of meta_Gift_Cards.json.gz and of Gift_Cards_5.json.gz."""
    return path.name.split(".")[0].removeprefix(_META).removesuffix("_5")
