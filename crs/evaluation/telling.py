"""Narratives generated for measuring: with the gate and, some, without, side by side, kept as they come.

Thousands take hours on a small machine, so every one is a line of a file at once and a run that was killed
goes on after it. The file's name tells bundle and code: where either changes, another file is begun.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from crs import narrator, storyteller
from crs.bundle import Bundle
from crs.content import TextEncoder
from crs.evaluation.occasions import Occasion
from crs.narrator.narrate import Narrated, NarrationStream
from crs.rows import FusedRows
from crs.storyteller import Storyteller
from knowledge.types import Task

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Telling:
    """A generated narrative. ``rejected``: by kind of claim, how many sentences the gate sampled again.

    ``seconds`` in all, ``gate_s`` of them for the gate: checking, and drawing what it kept back.
    ``is_plain``: a plain statement stands in for it (plain.py).
    """

    text: str
    seconds: float
    gate_s: float = 0.0
    rejected: Mapping[str, int] = field(default_factory=dict)
    cut: bool = False
    is_plain: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One occasion as people see it told and, where it is to be compared, with the gate open, same seed."""

    occasion: Occasion
    shown: Telling
    ungated: Telling | None = None


def tell_all(
    bundle: Bundle,
    encoder: TextEncoder,
    asked: Mapping[Task, Sequence[Occasion]],
    cache_dir: Path,
    progress: Progress | None = None,
    *,
    n_ungated: int,
) -> dict[Task, list[Told]]:
    """Tell every occasion, or take it from ``cache_dir`` where it was told before.

    The first ``n_ungated`` of each task are told with the gate open as well.

    Each of the two narrators has an engine of its own, so that neither finds the other's prompt in its cache.
    """
    path = cache_dir / f"narratives-{_fingerprint(bundle)}.jsonl"
    kept = {told.occasion: told for told in _read(path)}
    missing = {
        occasion
        for told in asked.values()
        for i, occasion in enumerate(told)
        if occasion not in kept or (i < n_ungated and kept[occasion].ungated is None)
    }
    if not missing:
        return {task: [kept[occasion] for occasion in told] for task, told in asked.items()}
    cache_dir.mkdir(parents=True, exist_ok=True)
    rows = FusedRows(bundle, encoder)
    gated = Storyteller.open(bundle, encoder, cache_dir, rows=rows)
    ungated = Storyteller.open(bundle, encoder, cache_dir, rows=rows, gated=False)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")  # the line before may have been broken off
            for task, told in asked.items():
                for done, occasion in enumerate(told, start=1):
                    if occasion in missing:
                        if done <= n_ungated:
                            one = _both_ways(bundle, gated, ungated, occasion, gated_first=done % 2 == 1)
                        else:
                            one = Told(occasion, _tell(bundle, gated, occasion))
                        kept[occasion] = one
                        file.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")
                        file.flush()
                    if progress:
                        progress(task, done, len(told))
    finally:
        gated.close()
        ungated.close()
    return {task: [kept[occasion] for occasion in told] for task, told in asked.items()}


def to_its_end(stream: NarrationStream) -> Narrated:
    """What was said once all of it was."""
    for _ in stream:
        pass
    return stream.result


def _both_ways(
    bundle: Bundle, gated: Storyteller, ungated: Storyteller, occasion: Occasion, *, gated_first: bool
) -> Told:
    """The order changes from one occasion to the next: whoever is first may find the processor colder."""
    if gated_first:
        shown = _tell(bundle, gated, occasion)
        return Told(occasion, shown, _tell(bundle, ungated, occasion))
    open_gate = _tell(bundle, ungated, occasion)
    return Told(occasion, _tell(bundle, gated, occasion), open_gate)


def _tell(bundle: Bundle, storyteller: Storyteller, occasion: Occasion) -> Telling:
    stream = storyteller.tell(
        occasion.history(bundle.store), occasion.task, occasion.target(bundle.store), seed=occasion.seed
    )
    # The rows are there by now: encoding reviews costs the same with any gate and is not its cost.
    started = time.perf_counter()
    narrated = to_its_end(stream)
    return Telling(
        narrated.text,
        seconds=time.perf_counter() - started,
        gate_s=narrated.gate_ms / 1e3,
        rejected=dict(narrated.rejected.items()),
        cut=narrated.cut,
        is_plain=narrated.is_plain,
    )


def _read(path: Path) -> Iterator[Told]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").split("\n"):
        try:
            kept = json.loads(line)
        except ValueError:  # empty, or a run was killed while it wrote
            continue
        ungated = Telling(**kept["ungated"]) if kept["ungated"] else None
        yield Told(Occasion(**kept["occasion"]), Telling(**kept["shown"]), ungated)


def _fingerprint(bundle: Bundle) -> str:
    """Of the bundle and of the code that makes texts of it."""
    code = [Path(storyteller.__file__), *sorted(Path(narrator.__file__).parent.glob("*.py"))]
    digest = hashlib.sha256(bundle.version.encode())
    for file in code:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
