"""What a rater sees at once, and how a study lies in its folder.

    study.json        the plan, what was compared, sha256 of the two files below; written last
    trials.jsonl      a line a trial: the shopper's purchases and one narrative, or two to compare
    listings.jsonl    a line a product that these name
    narratives.jsonl  everything told, as it came; `rate --narratives` reads it too
    ratings.sqlite    what people answered (ratings.py)

Everything that raters see is in the folder: neither bundle nor store is needed to serve it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from crs.bundle import fingerprint
from knowledge.errors import BundleError, NotFoundError
from knowledge.types import Interaction, Item, Task

STUDY, TRIALS, LISTINGS = "study.json", "trials.jsonl", "listings.jsonl"
NARRATIVES, RATINGS = "narratives.jsonl", "ratings.sqlite"
SCHEMA = 1

Check = Literal["another shopper", "wrong claim"]


@dataclass(frozen=True, slots=True)
class Told:
    """A narrative, with pointers, and the setting that told it; a spoilt one has no setting ("")."""

    setting: str
    text: str
    seed: int


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing to judge: ``narratives`` has one to rate, or two to compare.

    ``history``: the purchases that it is told from, oldest first. ``later``: the purchase of the target, for
    a reason, with the review that the narrator did not see. ``check``: how the last narrative was spoilt.
    """

    trial_id: str
    task: Task
    user_id: str
    history: tuple[Interaction, ...]
    target_id: str | None
    later: Interaction | None
    narratives: tuple[Told, ...]
    check: Check | None = None


@dataclass(frozen=True)
class Frozen:
    """A study's folder, read: its manifest, trials and listings by id."""

    manifest: dict[str, Any]
    trials: dict[str, Trial]
    items: dict[str, Item]


def freeze(
    folder: Path, manifest: Mapping[str, Any], trials: Iterable[Trial], items: Mapping[str, Item]
) -> None:
    """Write trials, the listings that they name, and last the manifest, which makes the study whole."""
    trials = list(trials)
    named = {purchase.item_id for trial in trials for purchase in trial.history}
    named |= {trial.target_id for trial in trials if trial.target_id is not None}
    _write_lines(folder / TRIALS, (asdict(trial) for trial in trials))
    _write_lines(folder / LISTINGS, (asdict(items[item_id]) for item_id in sorted(named)))
    parts = {name: fingerprint(folder / name) for name in (TRIALS, LISTINGS)}
    whole = {"schema": SCHEMA, **manifest, "parts": parts}
    partial = folder / f".{STUDY}.partial"
    partial.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(folder / STUDY)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """``study.json``; None where there is none yet. Raises BundleError for one that cannot be read."""
    try:
        manifest = json.loads((folder / STUDY).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as exc:
        raise BundleError(f"{folder / STUDY}: cannot be read ({exc}); make the study again") from exc
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise BundleError(f"{folder / STUDY}: no study of schema {SCHEMA}; make the study again")
    return manifest


def read_frozen(folder: Path) -> Frozen:
    """The study in ``folder``. NotFoundError where none is, BundleError where it was changed since."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise NotFoundError(f"{folder}: no study there; make one with `python -m crs study new`")
    for name, expected in manifest["parts"].items():
        if not (folder / name).is_file() or fingerprint(folder / name) != expected:
            raise BundleError(
                f"{folder / name} is not what raters were to see (its fingerprint differs); "
                "put it back, or make the study again"
            )
    trials = [_trial(json.loads(line)) for line in _lines(folder / TRIALS)]
    items = [_item(json.loads(line)) for line in _lines(folder / LISTINGS)]
    return Frozen(
        manifest, {trial.trial_id: trial for trial in trials}, {item.item_id: item for item in items}
    )


def _trial(fields: dict[str, Any]) -> Trial:
    later = fields["later"]
    return Trial(
        **{
            **fields,
            "history": tuple(Interaction(**purchase) for purchase in fields["history"]),
            "later": None if later is None else Interaction(**later),
            "narratives": tuple(Told(**told) for told in fields["narratives"]),
        }
    )


def _item(fields: dict[str, Any]) -> Item:
    return Item(**{**fields, "features": tuple(fields["features"])})


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _lines(path: Path) -> list[str]:
    # Not splitlines(): a review may hold a line separator that JSON leaves as it is.
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line]
