"""A plan into a study: narratives told once, checks planted, all of it frozen in a folder."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from crs.bundle import STORE, Bundle
from crs.content import TextEncoder
from crs.evaluation.occasions import Occasion, occasions
from crs.evaluation.telling import to_its_end
from crs.narrator.evidence import REASONS
from crs.rows import FusedRows
from crs.storyteller import Storyteller
from crs.studies.plan import Plan, Setting
from crs.studies.planted import Spoiler
from crs.studies.trials import NARRATIVES, Check, Told, Trial, freeze, read_manifest
from knowledge.errors import InputError
from knowledge.store import Store
from knowledge.types import Interaction, Task

Progress = Callable[[str, int, int], None]  # stage, done, total
Narratives = dict[tuple[str, Occasion], str]  # by setting and occasion
_STORE_PARTS = (f"{STORE}/items.parquet", f"{STORE}/interactions.parquet")
_BEGUN = "begun.json"


def prepare(
    plan: Plan, folder: Path, encoder: TextEncoder, cache_dir: Path, progress: Progress | None = None
) -> dict[str, Any]:
    """Make the study of ``plan`` in ``folder`` and return its manifest; one that is whole is left as it is.

    Narratives are kept as they come, so a run that was stopped goes on. Raises InputError where the folder
    holds another study, the settings' bundles hold different stores, or there is too little to make the
    checks from; else as `Bundle.open` and `Storyteller.open` do.
    """
    if (whole := read_manifest(folder)) is not None:
        _refuse_other(folder, plan, whole["fingerprint"])
        return whole
    opened = {path: Bundle.open(path) for path in {setting.bundle for setting in plan.settings}}
    bundles = {setting.name: opened[setting.bundle] for setting in plan.settings}
    _refuse_misfits(plan, bundles)
    begun = {
        "name": plan.name,
        "fingerprint": plan.fingerprint,
        "plan": json.loads(json.dumps(asdict(plan), default=str)),
        "versions": {name: bundle.version for name, bundle in bundles.items()},
    }
    _begin(folder, plan, begun)
    first = bundles[plan.settings[0].name]
    asked, kept_for_checks = draw(plan, first)
    narratives = _tell(plan, bundles, asked, kept_for_checks, folder, encoder, cache_dir, progress)
    trials, n_identical = _trials(plan, first.store, asked, narratives)
    trials += _checks(plan, first, kept_for_checks, narratives)
    manifest = {**begun, "n_identical_pairs": n_identical}
    freeze(folder, manifest, trials, first.store.items)
    (folder / _BEGUN).unlink()
    return read_manifest(folder) or {}


def draw(plan: Plan, bundle: Bundle) -> tuple[list[Occasion], list[Occasion]]:
    """What is told, and what is told to be spoilt: other shoppers' turns, spread over the tasks."""
    n_spare = math.ceil(plan.checks / len(plan.tasks))
    n = plan.n_per_task + n_spare
    found = occasions(bundle, bundle.splits[plan.split], n, seed=plan.seed, tasks=plan.tasks)
    bare = [[replace(each, reference="") for each in found[task]] for task in plan.tasks]
    asked = [each for of_task in bare for each in of_task[: plan.n_per_task]]
    spare = [each for at in range(n_spare) for of_task in bare for each in [of_task[plan.n_per_task + at]]]
    return asked, spare[: plan.checks]


def _tell(
    plan: Plan,
    bundles: Mapping[str, Bundle],
    asked: Sequence[Occasion],
    kept_for_checks: Sequence[Occasion],
    folder: Path,
    encoder: TextEncoder,
    cache_dir: Path,
    progress: Progress | None,
) -> Narratives:
    """Every occasion told in every setting, those to be spoilt in the first alone."""
    path = folder / NARRATIVES
    told = dict(_read(path))
    with path.open("a", encoding="utf-8") as file:
        for setting in plan.settings:
            wanted = [*asked, *kept_for_checks] if setting is plan.settings[0] else list(asked)
            missing = [each for each in wanted if (setting.name, each) not in told]
            if not missing:
                continue
            storyteller = _open(bundles[setting.name], setting, encoder, cache_dir)
            try:
                for done, each in enumerate(missing, start=len(wanted) - len(missing) + 1):
                    store = bundles[setting.name].store
                    stream = storyteller.tell(
                        each.history(store), each.task, each.target(store), seed=each.seed
                    )
                    told[setting.name, each] = text = to_its_end(stream).text
                    row = {"setting": setting.name, **asdict(each), "text": text}
                    del row["reference"]
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    file.flush()
                    if progress:
                        progress(f"tell: {setting.name}", done, len(wanted))
            finally:
                storyteller.close()
    return told


def _open(bundle: Bundle, setting: Setting, encoder: TextEncoder, cache_dir: Path) -> Storyteller:
    rows = FusedRows(bundle, encoder, setting.signals)
    return Storyteller.open(bundle, encoder, cache_dir, rows=rows)


def _trials(
    plan: Plan, store: Store, asked: Sequence[Occasion], narratives: Narratives
) -> tuple[list[Trial], int]:
    """A trial a narrative, or a pair of settings; and how many pairs are left out as alike."""
    trials, n_identical = [], 0
    for each in asked:
        told = [Told(setting.name, narratives[setting.name, each], each.seed) for setting in plan.settings]
        for shown in itertools.combinations(told, 1 if plan.mode == "rate" else 2):
            if len({one.text for one in shown}) < len(shown):
                n_identical += 1
            elif all(one.text.strip() for one in shown):
                trials.append(_trial(plan, store, each, shown))
    return trials, n_identical


def _checks(
    plan: Plan, bundle: Bundle, kept_for_checks: Sequence[Occasion], narratives: Narratives
) -> list[Trial]:
    rng = random.Random(f"{plan.seed}:checks")
    first = plan.settings[0].name
    spoiler = Spoiler(bundle) if kept_for_checks else None
    trials = []
    for number, each in enumerate(kept_for_checks):
        assert spoiler is not None
        text = narratives[first, each]
        donors = [
            (other, told)
            for (setting, other), told in narratives.items()
            if setting == first and other.task == each.task
        ]
        prefer: Check = "wrong claim" if number % 2 else "another shopper"
        spoilt = spoiler.spoil(each, text, donors, rng, prefer)
        if spoilt is None:
            raise InputError(
                "n_per_task", f"too few shoppers to plant a check on {each.task}; ask for more, or checks = 0"
            )
        honest = (Told(first, text, each.seed),) if plan.mode == "compare" else ()
        shown = (*honest, Told("", spoilt.text, each.seed))
        trials.append(_trial(plan, bundle.store, each, shown, spoilt.how))
    return trials


def _trial(
    plan: Plan, store: Store, each: Occasion, shown: Sequence[Told], check: Check | None = None
) -> Trial:
    names = "|".join(one.setting for one in shown)
    about = f"{plan.fingerprint}|{each.user_id}|{each.task}|{each.target_id}|{each.seed}|{names}|{check}"
    return Trial(
        trial_id=hashlib.sha256(about.encode()).hexdigest()[:12],
        task=each.task,
        user_id=each.user_id,
        history=tuple(each.history(store)),
        target_id=each.target_id,
        later=_later(each, store) if each.task in REASONS else None,
        narratives=tuple(shown),
        check=check,
    )


def _later(each: Occasion, store: Store) -> Interaction | None:
    """The purchase that a reason is told of, as it turned out."""
    after = store.history(each.user_id)[each.n_history :]
    return next((purchase for purchase in after if purchase.item_id == each.target_id), None)


def _refuse_misfits(plan: Plan, bundles: Mapping[str, Bundle]) -> None:
    first = bundles[plan.settings[0].name]
    for setting in plan.settings:
        bundle = bundles[setting.name]
        if any(
            bundle.manifest["parts"].get(part) != first.manifest["parts"].get(part) for part in _STORE_PARTS
        ):
            raise InputError(
                bundle.path,
                f"holds another store than {first.path}; compare bundles of one store",
                field="settings",
            )
        if setting.signals == "cf" and bundle.narrator_signals == "content":
            raise InputError(
                bundle.path, "its narrator hears content only; leave the setting with cf out", field="signals"
            )


def _begin(folder: Path, plan: Plan, begun: Mapping[str, Any]) -> None:
    """Note in ``folder`` whose narratives it is about to hold, or see that it is still the same study."""
    path = folder / _BEGUN
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        _refuse_other(folder, plan, before["fingerprint"])
        if before["versions"] != begun["versions"]:
            raise InputError(folder, "was begun with another version of a bundle; choose another folder")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(folder, "is there and is not a study; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(begun, ensure_ascii=False) + "\n", encoding="utf-8")


def _refuse_other(folder: Path, plan: Plan, fingerprint: str) -> None:
    if fingerprint != plan.fingerprint:
        raise InputError(folder, f"holds another study than '{plan.name}' is now; choose another folder")


def _read(path: Path) -> Iterator[tuple[tuple[str, Occasion], str]]:
    """What an earlier run told; a last line torn by a crash is cut off."""
    if not path.exists():
        return
    whole, _, torn = path.read_bytes().rpartition(b"\n")
    if torn:
        path.write_bytes(whole + b"\n" if whole else b"")
    for line in whole.decode("utf-8").split("\n"):
        if line:
            row: dict[str, Any] = json.loads(line)
            task: Task = row["task"]
            each = Occasion(row["user_id"], task, row["n_history"], row["target_id"], row["seed"])
            yield (row["setting"], each), row["text"]
