"""A study's file (TOML or JSON): what is compared, on which tasks, by how many raters.

docs/study.toml is one.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from crs.evaluation.rater.cases import ATTRIBUTES, STAGE_OF, Attribute, Stage
from knowledge.errors import InputError, NotFoundError
from knowledge.types import SIGNALS, TASKS, Signals, Task

Mode = Literal["rate", "compare"]
Split = Literal["train", "valid", "test"]
STAGES_OF_TEXTS: tuple[Stage, ...] = ("reasons", "summaries", "endorsement")
# Foresight is a fault of reasons; an endorsement has no review to look ahead to.
_NOT_ASKED: dict[Stage, frozenset[Attribute]] = {"endorsement": frozenset({"foresight"})}


@dataclass(frozen=True, slots=True)
class Setting:
    """One of the things compared: a bundle (the embedded one where None) and what its narrator may hear."""

    name: str
    bundle: Path | None = None
    signals: Signals = "fused"


@dataclass(frozen=True, slots=True)
class Plan:
    """A study's file, checked. ``per_rater``: at most so many items a rater, without the planted checks."""

    name: str
    settings: tuple[Setting, ...]
    mode: Mode = "rate"
    tasks: tuple[Task, ...] = TASKS
    n_per_task: int = 10
    raters: int = 3
    per_rater: int | None = None
    checks: int = 4
    attributes: dict[Stage, tuple[Attribute, ...]] = field(default_factory=dict)
    split: Split = "test"
    seed: int = 0

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits: equal plans ask for equal studies."""
        return hashlib.sha256(json.dumps(asdict(self), default=str, sort_keys=True).encode()).hexdigest()[:16]

    def attributes_of(self, task: Task) -> tuple[Attribute, ...]:
        """What is asked about a text of this task when it is rated."""
        return self.attributes[STAGE_OF[task]]


def read_plan(path: Path) -> Plan:
    """The plan in the file ``path``. Raises NotFoundError, or InputError naming the field and the mend."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise NotFoundError(f"{path}: no such file; name a study's file (TOML or JSON)") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(path, f"cannot be read ({exc}); name a study's file") from exc
    try:
        fields = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as exc:
        raise InputError(path, f"is no {'JSON' if path.suffix == '.json' else 'TOML'} ({exc})") from exc
    if not isinstance(fields, dict):
        raise InputError(path, "is no object of fields; see the README for an example")
    return _plan(fields, path)


def _plan(fields: dict[str, Any], path: Path) -> Plan:
    known = Plan.__dataclass_fields__
    if unknown := sorted(fields.keys() - known):
        raise InputError(path, f"is no field of a study; there are {', '.join(known)}", field=unknown[0])
    whole = _Fields(fields, path)
    mode: Mode = whole.one_of("mode", get_args(Mode), "rate")
    settings = _settings(fields.get("settings"), path)
    if mode == "compare" and len(settings) < 2:
        raise InputError(path, "has one setting, and two are compared; add another", field="settings")
    tasks = whole.some_of("tasks", TASKS)
    attributes = _attributes(whole)
    checks = whole.number("checks", 4, 0)
    asked = [attributes[stage] for stage in dict.fromkeys(STAGE_OF[task] for task in tasks)]
    if mode == "rate" and checks and not all("veracity" in names for names in asked):
        raise InputError(path, "lacks veracity, by which checks are judged; add it, or checks = 0",
                         field="attributes")  # fmt: skip
    return Plan(
        name=whole.text("name"),
        settings=settings,
        mode=mode,
        tasks=tasks,
        n_per_task=whole.number("n_per_task", 10, 1),
        raters=whole.number("raters", 3, 1),
        per_rater=whole.number("per_rater", 0, 1) or None,
        checks=checks,
        attributes=attributes,
        split=whole.one_of("split", get_args(Split), "test"),
        seed=whole.number("seed", 0, 0),
    )


def _settings(given: Any, path: Path) -> tuple[Setting, ...]:
    if not isinstance(given, list) or not given or not all(isinstance(each, dict) for each in given):
        raise InputError(path, "names nothing to rate; add [[settings]] with a name", field="settings")
    settings = []
    for each in given:
        if unknown := sorted(each.keys() - Setting.__dataclass_fields__):
            problem = f"is no field of a setting; there are {', '.join(Setting.__dataclass_fields__)}"
            raise InputError(path, problem, field=f"settings.{unknown[0]}")
        one = _Fields(each, path, "settings.")
        bundle = one.text("bundle") if "bundle" in each else None
        settings.append(
            Setting(
                one.text("name"),
                None if bundle is None else (path.parent / bundle),
                one.one_of("signals", SIGNALS, "fused"),
            )
        )
    names = [setting.name for setting in settings]
    if len(set(names)) < len(names):
        raise InputError(path, "two settings share a name; rename one", field="settings.name")
    return tuple(settings)


def _attributes(whole: _Fields) -> dict[Stage, tuple[Attribute, ...]]:
    """By stage, in the paper's order; those of the file, else all that make sense there."""
    every: tuple[Attribute, ...] = ATTRIBUTES["reasons"]
    chosen = whole.some_of("attributes", every)
    return {
        stage: tuple(
            each for each in ATTRIBUTES[stage] if each in chosen and each not in _NOT_ASKED.get(stage, ())
        )
        for stage in STAGES_OF_TEXTS
    }


class _Fields:
    """The fields of a table, read one by one with an error that names each."""

    def __init__(self, fields: Mapping[str, Any], path: Path, prefix: str = "") -> None:
        self._fields, self._path, self._prefix = fields, path, prefix

    def text(self, name: str) -> str:
        value = self._fields.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(name, "is missing; give it a text")
        return value

    def number(self, name: str, default: int, low: int) -> int:
        if name not in self._fields:
            return default
        value = self._fields[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise self._wrong(name, f"is {value!r}; give a whole number from {low}")
        return value

    def one_of(self, name: str, allowed: tuple[Any, ...], default: str) -> Any:
        value = self._fields.get(name, default)
        if value not in allowed:
            raise self._wrong(name, f"is {value!r}; use one of {', '.join(allowed)}")
        return value

    def some_of(self, name: str, allowed: tuple[Any, ...]) -> tuple[Any, ...]:
        """Those named, in the order of ``allowed``; all where none is."""
        values = self._fields.get(name, list(allowed))
        if not isinstance(values, list) or not values or not set(map(str, values)) <= set(allowed):
            raise self._wrong(name, f"is {values!r}; list some of {', '.join(allowed)}")
        return tuple(each for each in allowed if each in values)

    def _wrong(self, name: str, problem: str) -> InputError:
        return InputError(self._path, problem, field=f"{self._prefix}{name}")
