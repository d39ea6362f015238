"""The contest in figures: as JSON, and as the paper's Table 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crs.content import OnceEncoder, TextEncoder
from crs.evaluation.narratives.contest import NEAREST, SYSTEMS, Outcome
from crs.evaluation.narratives.scores import METRICS, Scored, differences, score, scorer_config
from knowledge.types import SIGNALS

RIVALS = ("cf", "content", NEAREST)  # what fused is held against
_NAMES = {"bleu": "BLEU", "rougeLsum": "ROUGE-LSum", "similarity": "Similarity"}


def figures(name: str, outcome: Outcome, config: Mapping[str, Any], encoder: TextEncoder) -> dict[str, Any]:
    """``{dataset, tasks: {task: {system: {bleu, rougeLsum, similarity, n}}}, gains, copied, config}``.

    ``gains``: fused less each other system, with intervals; ``copied``: the share of training texts among
    what a system tells, word for word. Where items were kept from training,
    ``unseen_items`` holds the same for targets among them, and ``hidden_reason`` how often the true one is
    the likeliest.
    """
    texts = [reference.narrative.text for reference in outcome.references]
    once = OnceEncoder(encoder)
    scored = {system: score(outcome.texts[system], texts, once) for system in SYSTEMS}
    everything = range(len(texts))
    report: dict[str, Any] = {"dataset": name, **_by_task(outcome, scored, everything)}
    if unseen := [i for i in everything if outcome.is_unseen[i]]:
        report["unseen_items"] = _by_task(outcome, scored, unseen)
    if any(outcome.reason_first.values()):
        report["hidden_reason"] = {
            signals: {"first": sum(firsts) / len(firsts), "n": len(firsts)}
            for signals, firsts in outcome.reason_first.items()
        }
    return report | {"config": {**config, "scorer": scorer_config()}}


def table(report: Mapping[str, Any]) -> list[str]:
    """The figures as lines: a row a task and metric, with the gains of CF + Content and their intervals."""
    lines = [f"{report['dataset']}"]
    lines += _table_of(report, "all targets" if "unseen_items" in report else "")
    if "unseen_items" in report:
        lines += _table_of(report["unseen_items"], "targets that nothing in training named")
    if "hidden_reason" in report:
        shares = (f"{signals} {part['first']:.2f}" for signals, part in report["hidden_reason"].items())
        n = next(iter(report["hidden_reason"].values()))["n"]
        lines.append(f"true hidden reason the likeliest, on unseen items ({n}): " + ", ".join(shares))
    lines += [f"{name}: {value}" for name, value in _flat(report["config"])]
    return lines


def _by_task(outcome: Outcome, scored: Mapping[str, Scored], rows: Sequence[int]) -> dict[str, Any]:
    tasks: dict[str, Any] = {}
    gains: dict[str, Any] = {}
    copied: dict[str, Any] = {}
    for task in dict.fromkeys(reference.task for reference in outcome.references):
        own = [i for i in rows if outcome.references[i].task == task]
        if not own:
            continue
        parts = {system: scored[system].at(own) for system in SYSTEMS}
        people = [outcome.references[i].user_id for i in own]
        copied[task] = {system: sum(outcome.copied[system][i] for i in own) / len(own) for system in SYSTEMS}
        tasks[task] = {system: part.figures() for system, part in parts.items()}
        gains[task] = {rival: differences(parts["fused"], parts[rival], people) for rival in RIVALS}
    return {"tasks": tasks, "gains": gains, "copied": copied}


def table_rows(part: Mapping[str, Any]) -> list[list[str]]:
    """Heading and rows of the paper's table, cell by cell, of ``figures`` or of their ``unseen_items``."""
    head = ["task", "metric", "CF", "Content", "CF+Content", "% vs CF", "% vs Content", "nearest"]
    head += [f"CF+Content - {rival}" for rival in ("CF", "Content", "nearest")]
    rows = [head]
    for task, systems in part["tasks"].items():
        for metric in METRICS:
            values = {system: systems[system][metric] for system in (*SIGNALS, NEAREST)}
            form = ".3f" if metric == "similarity" else ".2f"
            rows.append(
                [
                    f"{task} ({systems['fused']['n']:.0f})" if metric == METRICS[0] else "",
                    _NAMES[metric],
                    *(format(values[system], form) for system in ("cf", "content", "fused")),
                    *(_percent(values["fused"], values[rival]) for rival in ("cf", "content")),
                    format(values[NEAREST], form),
                    *(_interval(part["gains"][task][rival][metric], form) for rival in RIVALS),
                ]
            )
    return rows


def _table_of(part: Mapping[str, Any], title: str) -> list[str]:
    rows = table_rows(part)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    for task, shares in part["copied"].items():
        if any(shares[signals] for signals in SIGNALS):
            told = ", ".join(f"{signals} {100 * shares[signals]:.0f} %" for signals in SIGNALS)
            lines.append(f"{task}: training texts word for word: {told}")
    return [title, *lines] if title else lines


def _interval(gain: Mapping[str, float], form: str) -> str:
    return f"{gain['difference']:+{form}} [{gain['low']:+{form}}, {gain['high']:+{form}}]"


def _percent(value: float, other: float) -> str:
    return f"{100 * (value / other - 1):+.1f}%" if other > 0 else "-"


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in config.items():
        flat += _flat(value, f"{prefix}{name} ") if isinstance(value, Mapping) else [(prefix + name, value)]
    return flat
