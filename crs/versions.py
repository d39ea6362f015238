"""Which version of a bundle is in use: retraining writes new ones into the data folder, never over the first.

DATA_DIR/versions/<version of the first>/<version>/        a whole bundle
DATA_DIR/versions/<version of the first>/<version>.json    what it was learned from, and the report on it
DATA_DIR/versions/<version of the first>/current           names, a line each: the one in use, then what was
                                                           in use before it; absent or empty: the first
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crs.bundle import Bundle, default_path, read_manifest
from knowledge.errors import BundleError, BusyError, NotFoundError

CURRENT, LOCK = "current", ".lock"
STUDIED = "study:"  # begins the fingerprint of a row of a study
N_KEPT = 5  # versions that one can go back through


@dataclass(frozen=True)
class Learned:
    """What a version was made of: fingerprints of all ratings that it has learned; the report."""

    sources: frozenset[str] = frozenset()
    report: tuple[str, ...] = ()


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
    names = _promoted(folder)
    if not names:
        return first
    if not (folder / names[0]).is_dir():
        raise NotFoundError(
            f"{folder / CURRENT} names '{names[0]}', which is not there; remove the file to go back"
        )
    return folder / names[0]


def open_in_use(first: str | Path | None = None, data_dir: Path | None = None) -> Bundle:
    """`Bundle.open` of `in_use`."""
    return Bundle.open(in_use(first, data_dir))


def promote(first: Path, version: str, data_dir: Path) -> None:
    """Put ``version`` in use, in one step: a reader sees the old version or the new one."""
    folder = versions_dir(first, data_dir)
    before = [name for name in _promoted(folder) if name != version]
    _write_promoted(folder, [version, *before[: N_KEPT - 1]])


def roll_back(first: str | Path | None = None, data_dir: Path | None = None) -> str:
    """Put the version before the one in use in its place, in one step; returns its name.

    Versions that are no longer there are passed over; before all of them was the first. Raises NotFoundError
    when the first is in use already.
    """
    first = default_path() if first is None else Path(first)
    folder = versions_dir(first, data_dir or default_data_dir())
    names = _promoted(folder)
    if not names:
        raise NotFoundError(f"{folder}: the first version is in use, and nothing is before it")
    before = [name for name in names[1:] if (folder / name).is_dir()]
    _write_promoted(folder, before)
    return before[0] if before else str(read_manifest(first)["version"])


def learned(folder: Path, version: str) -> Learned | None:
    """What ``version`` in ``folder`` was learned from; None where that is not known.

    Raises BundleError for a damaged record.
    """
    path = folder / f"{version}.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return Learned(frozenset(record["sources"]), tuple(record["report"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as exc:
        raise BundleError(f"{path}: cannot be read ({exc}); remove it and {path.stem}, and retrain") from exc


def write_learned(folder: Path, version: str, what: Learned) -> None:
    """Keep what ``version`` was learned from, whole or not at all."""
    record = {"sources": sorted(what.sources), "report": what.report}
    _replace(folder / f"{version}.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def all_learned(folder: Path) -> frozenset[str]:
    """All that any of the versions in ``folder`` has learned, in use or not."""
    records = (learned(folder, path.stem) for path in folder.glob("*.json"))
    return frozenset().union(*(record.sources for record in records if record))


def rated(sources: frozenset[str]) -> frozenset[str]:
    """Those of the log of ratings; the rows of a study are its file's, which need not be named again."""
    return frozenset(source for source in sources if not source.startswith(STUDIED))


def holds_only(folder: Path, version: str, sources: frozenset[str]) -> bool:
    """Whether all ratings that ``version`` learned are among ``sources``: none was taken back since."""
    what = learned(folder, version)
    return what is not None and rated(what.sources) <= sources


def forget_versions(folder: Path, sources: frozenset[str], cache_dir: Path) -> None:
    """Remove the versions that learned a rating that is not among ``sources``, in use or not.

    Their weights lie in ``cache_dir`` too, as GGUF; all of these are removed, and written anew when needed.
    """
    stale = [version for version in _versions(folder) if not holds_only(folder, version, sources)]
    if kept := [name for name in _promoted(folder) if name not in stale]:
        _write_promoted(folder, kept)
    else:
        (folder / CURRENT).unlink(missing_ok=True)  # the first serves
    for version in stale:
        _remove(folder, version)
    for path in cache_dir.glob("narrator-*.gguf") if stale else ():
        path.unlink(missing_ok=True)


def tidy(folder: Path) -> None:
    """Remove versions that were never promoted, or replaced so long ago that nobody can go back to them."""
    for version in _versions(folder) - set(_promoted(folder)):
        _remove(folder, version)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time makes versions in ``folder``. Raises BusyError when another is at it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise BusyError(f"{folder}: another retraining is under way; wait for its end") from exc
        yield


def _versions(folder: Path) -> set[str]:
    """Names of all versions, and of records whose version a killed process did not come to put there."""
    here = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return {path.name for path in here if path.is_dir()} | {p.stem for p in here if p.suffix == ".json"}


def _remove(folder: Path, version: str) -> None:
    shutil.rmtree(folder / version, ignore_errors=True)
    (folder / f"{version}.json").unlink(missing_ok=True)


def _promoted(folder: Path) -> list[str]:
    try:
        return (folder / CURRENT).read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return []


def _write_promoted(folder: Path, names: list[str]) -> None:
    _replace(folder / CURRENT, "".join(f"{name}\n" for name in names))


def _replace(path: Path, text: str) -> None:
    """Write ``path`` in one step; on disk before it takes the old one's place."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
