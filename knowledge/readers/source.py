"""Lines and rows of a source, checked field by field, so that every fault names file, line and field."""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from knowledge.errors import InputError
from knowledge.text import clean

MAX_BYTES = 4 * 2**20  # of one line or one cell: a longer one is no review, and is not read whole
_GZIP_MAGIC = b"\x1f\x8b"
_LATEST_S = 4_102_444_800  # the year 2100; a greater time is in milliseconds
_PRICE = re.compile(r"\$?\s*(\d{1,3}(?:,\d{3})+|\d+)(\.\d*)?")
_NO_PRICE = frozenset({"", "none", "null", "nan", "—"})


@dataclass(frozen=True, slots=True)
class Record:
    """One object of a source with the place it stands at; the getters check as they read.

    ``prefix`` is the way to a nested object ("item."). All getters raise InputError.
    """

    path: Path
    line: int
    fields: Mapping[str, Any]
    prefix: str = ""

    def error(self, field: str | None, problem: str) -> InputError:
        """The error for ``field`` of this record; raise it."""
        name = None if field is None else _short(self.prefix + field)
        return InputError(self.path, problem, line=self.line, field=name)

    def id(self, field: str) -> str:
        """A required id: text, or a whole number as text."""
        value = self._required(field)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str) or not (value := clean(value)):
            raise self.error(field, f"expected an id, found {_short(value)!r}; correct the row")
        return self._bounded(field, value)

    def text(self, field: str) -> str:
        """An optional text, cleaned; "" where it is missing or null. A list of texts is joined."""
        value = self.fields.get(field)
        if value is None:
            return ""
        if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
            value = " ".join(value)
        if not isinstance(value, str):
            raise self.error(field, f"expected a text, found {_short(value)!r}; correct the row")
        return clean(self._bounded(field, value))

    def texts(self, field: str) -> tuple[str, ...]:
        """An optional list of texts (or one), cleaned, without empty ones; () where missing or null."""
        value = self.fields.get(field)
        if value is None:
            return ()
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
            raise self.error(field, f"expected a list of texts, found {_short(value)!r}; correct the row")
        return tuple(filter(None, (clean(self._bounded(field, part)) for part in value)))

    def ids(self, field: str) -> list[str]:
        """A required list of ids."""
        value = self._required(field)
        if not isinstance(value, list):
            raise self.error(field, f"expected a list of ids, found {_short(value)!r}; correct the row")
        return [Record(self.path, self.line, {field: one}, self.prefix).id(field) for one in value]

    def rating(self, field: str) -> float:
        """A required rating from 1 to 5."""
        value = self._number(field)
        if not 1 <= value <= 5:
            raise self.error(field, f"expected a rating from 1 to 5, found {value}; correct the row")
        return value

    def seconds(self, field: str, *, unit: float = 1.0) -> int:
        """A required time, given in units of ``unit`` seconds, as whole seconds since 1970 (UTC)."""
        value = self._number(field) * unit
        if not 0 <= value < _LATEST_S:
            raise self.error(
                field, f"expected a time between 1970 and 2100, found {_short(self.fields[field])}"
            )
        return int(value)

    def price(self, field: str) -> tuple[float | None, bool]:
        """An optional price in US dollars, and whether there was one that could not be read."""
        value = self.fields.get(field)
        if isinstance(value, str):
            text = value.strip()
            if text.lower() in _NO_PRICE:
                return None, False
            match = _PRICE.fullmatch(text)
            value = float(text.lstrip("$").replace(",", "")) if match else math.nan
        if value is None:
            return None, False
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(field, f"expected a price, found {_short(value)!r}; correct the row")
        if isinstance(value, int) and value.bit_length() > 63:
            return None, True
        return (float(value), False) if math.isfinite(value) and value > 0 else (None, True)

    def nested(self, field: str) -> Record:
        """A required object within this one."""
        value = self._required(field)
        if not isinstance(value, dict):
            raise self.error(field, f"expected an object, found {_short(value)!r}; correct the row")
        return Record(self.path, self.line, value, f"{self.prefix}{field}.")

    def keys(self) -> str:
        """The names of the fields found here and in the objects right within, for messages."""
        names: list[str] = []
        for key, value in self.fields.items():
            names.append(key)
            if isinstance(value, dict):
                names.extend(f"{key}.{inner}" for inner in value)
        return ", ".join(map(_short, names[:20])) or "none"

    def _required(self, field: str) -> Any:
        if self.fields.get(field) is None:
            raise self.error(
                field, f"missing (found: {self.keys()}); correct the row, or name a source of this layout"
            )
        return self.fields[field]

    def _number(self, field: str) -> float:
        value = self._required(field)
        try:
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise OverflowError
        except OverflowError:  # also of isfinite, for an int too large for a float
            problem = f"expected a number, found {_short(value)!r}; correct the row"
            raise self.error(field, problem) from None
        return float(value)

    def _bounded(self, field: str, value: str) -> str:
        if len(value) > MAX_BYTES:
            raise self.error(field, f"{len(value):,} characters; at most {MAX_BYTES:,} are read, cut it")
        return value


def read_lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of every line that is not blank, of a plain or gzip file, one at a time.

    Raises InputError for a file that is missing, empty, damaged or wrongly encoded, and for a line over
    MAX_BYTES.
    """
    number, found = 0, False
    try:
        with _open(path) as file:
            while raw := file.readline(MAX_BYTES + 1):
                number += 1
                if len(raw) > MAX_BYTES:
                    raise InputError(
                        path, f"over {MAX_BYTES // 2**20} MiB long; put one object on each line", line=number
                    )
                if number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                if raw.strip():
                    found = True
                    yield number, raw.decode(encoding)
    except UnicodeDecodeError as exc:
        problem = f"byte {exc.start + 1} is not {encoding.upper()}; save the file in that encoding"
        raise InputError(path, problem, line=number) from exc
    except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
        problem = f"truncated or damaged gzip ({exc}); get the file again"
        raise InputError(path, problem, line=number + 1) from exc
    except OSError as exc:
        raise InputError(path, f"cannot be read ({exc.strerror}); name a file that can") from exc
    if not found:
        raise InputError(path, "empty file; get it again", line=1)


def read_objects(path: Path) -> Iterator[Record]:
    """Every line of a JSON-lines file as a Record; InputError as of `read_lines`, and for bad JSON."""
    for number, line in read_lines(path):
        yield parse_object(path, number, line)


def parse_object(path: Path, number: int, line: str) -> Record:
    """One line of JSON as a Record; InputError where it is not one JSON object."""
    try:
        value = json.loads(line)
    except RecursionError as exc:
        raise InputError(path, "nested too deeply; correct the line", line=number) from exc
    except ValueError as exc:
        raise InputError(path, f"not JSON ({_short(exc)}); put one object on each line", line=number) from exc
    if not isinstance(value, dict):
        raise InputError(
            path, f"expected a JSON object, found {_short(value)!r}; correct the line", line=number
        )
    return Record(path, number, value)


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    """Every row (from 1) of a parquet file as a Record, read in batches; InputError where it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            for column in columns:
                if column not in names:
                    found = ", ".join(map(_short, names[:20])) or "none"
                    raise InputError(
                        path, f"missing column (found: {found}); name the right file", field=column
                    )
            for batch in file.iter_batches(1_024, columns=list(columns)):
                for row in batch.to_pylist():
                    number += 1
                    yield Record(path, number, row)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as exc:
        if isinstance(exc, OSError) and exc.errno is not None:  # arrow's own have no number
            raise InputError(
                path, f"cannot be read ({os.strerror(exc.errno)}); name a file that can"
            ) from exc
        raise InputError(path, f"damaged parquet ({_short(exc)}); get it again", line=number + 1) from exc
    if not number:
        raise InputError(path, "no rows; get the file again", line=1)


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    """Open a plain or gzip file by what it holds: published names often lie."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    return gzip.open(path, "rb") if packed else path.open("rb")


def _short(value: object) -> str:
    """``value`` on one line of at most 60 characters, for messages."""
    text = "".join(char if char.isprintable() else " " for char in str(value)[:200])
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."
