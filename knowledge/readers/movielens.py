"""MovieLens-1M as published: ratings.dat and movies.dat, fields apart by "::", Latin-1. users.dat is not
read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from knowledge.errors import InputError
from knowledge.readers.purchases import REPEATED_ITEM, UNTITLED_ITEM, Purchases
from knowledge.readers.source import Record, read_lines
from knowledge.store import StoreWriter
from knowledge.types import Interaction, Item

_RATING = ("UserID", "MovieID", "Rating", "Timestamp")
_MOVIE = ("MovieID", "Title", "Genres")
_NUMBERS = frozenset({"Rating", "Timestamp"})
_YEAR = re.compile(r"(.*?)\s*\((\d{4})\)")


def read(source: Path, writer: StoreWriter, names: Mapping[str, str]) -> None:
    """Write the folder ``source`` (or that of its ratings.dat) to the store; ``names`` is not used here."""
    folder = source if source.is_dir() else source.parent
    for record in _read_fields(folder / "movies.dat", _MOVIE):
        movie = _read_movie(record)
        if writer.has_item(movie.item_id):
            writer.drop(REPEATED_ITEM)
        elif not movie.title:
            writer.drop(UNTITLED_ITEM)
        else:
            writer.add_item(movie)
    with Purchases(writer.path.parent) as purchases:
        for record in _read_fields(folder / "ratings.dat", _RATING):
            purchases.add(
                Interaction(
                    user_id=record.id("UserID"),
                    item_id=record.id("MovieID"),
                    timestamp=record.seconds("Timestamp"),
                    rating=record.rating("Rating"),
                )
            )
        purchases.write(writer)


def _read_movie(record: Record) -> Item:
    title, attributes = record.text("Title"), {}
    if match := _YEAR.fullmatch(title):
        title, attributes["year"] = match.groups()
    if genres := record.text("Genres"):
        attributes["genres"] = genres.replace("|", ", ")
    return Item(record.id("MovieID"), title, kind="movie", attributes=attributes)


def _read_fields(path: Path, names: Sequence[str]) -> Iterator[Record]:
    for number, line in read_lines(path, encoding="latin-1"):
        values = line.rstrip("\r\n").split("::")
        if len(values) != len(names):
            problem = (
                f"expected {len(names)} fields ({'::'.join(names)}), found {len(values)}; correct the line"
            )
            raise InputError(path, problem, line=number, field=names[min(len(values), len(names) - 1)])
        yield Record(
            path, number, {name: _value(name, text) for name, text in zip(names, values, strict=True)}
        )


def _value(name: str, text: str) -> str | float:
    if name not in _NUMBERS:
        return text
    try:
        return float(text)
    except ValueError:
        return text  # which the record refuses, naming the field
