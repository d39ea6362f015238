"""Item texts written by a language model after one of LLM-Rec's strategies, as a file of JSON lines.

A line: ``item_id``, ``strategy``, ``split`` (whose training pairs gave the neighbours, or null), ``model``,
``text``.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crs.llm.chat import ChatModel, Message
from crs.llm.json_reply import BrokenReply, read_json
from crs.llm.kept import KeptChat, Usage
from crs.llm.many import in_order, workers
from crs.llmrec.catalogue import Catalogue
from crs.llmrec.prompts import GUIDED, MAX_TOKENS, SCHEMA, STRATEGIES, Strategy, prompt
from knowledge.errors import InputError
from knowledge.readers.source import read_objects
from knowledge.text import clean

ATTEMPTS = 4  # the first and three more, each with another seed
TEMPERATURE = 0.7

AskedFor = Callable[[int, int, Usage], None]  # items answered, items in all, what the calls came to


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run: items with a text, items without one by the last flaw, and all broken replies."""

    usage: Usage
    n_written: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)


def augment(
    catalogue: Catalogue,
    strategy: Strategy,
    model: ChatModel,
    out: Path,
    calls_path: Path,
    *,
    neighbours: Sequence[Sequence[int]] = (),
    split: int | None = None,
    max_items: int | None = None,
    parallel: int = 1,
    seed: int = 0,
    progress: AskedFor | None = None,
) -> Report:
    """Write to ``out`` a text of every item (of the first ``max_items``), asked for as ``strategy`` has it.

    `GUIDED` strategies show ``neighbours`` (item rows, the most important first), which come from the pairs
    of ``split``'s training part, or from all with None. ``parallel`` items are asked for at a time. Finished
    calls are kept in ``calls_path`` by the fingerprint of their prompt, so a run that was stopped goes on
    and a prompt that did not change is not asked again. ``out`` is written whole or not at all.

    Raises InputError when it cannot be written, ModelError or BusyError when the model fails; it is closed
    then.
    """
    rows = range(len(catalogue.item_ids))[:max_items]
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    rejected: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    n_written = 0
    with KeptChat(model, calls_path) as kept, workers(parallel, model) as pool:
        titles = [[catalogue.titles[i] for i in own] for own in neighbours] or [[]] * len(catalogue.item_ids)
        asked = ((row, prompt(strategy, catalogue.texts[row], titles[row])) for row in rows)
        answers = in_order(asked, lambda each: _ask(*each, kept, seed), pool, n_ahead=2 * parallel)
        try:
            with beside.open("w", encoding="utf-8") as file:
                for n_done, (row, text, flaws) in enumerate(answers, start=1):
                    rejected.update(flaws)
                    if text:
                        line = {"item_id": catalogue.item_ids[row], "strategy": strategy, "split": split}
                        line |= {"model": kept.name, "text": text}
                        file.write(json.dumps(line, ensure_ascii=False) + "\n")
                        n_written += 1
                    else:
                        left_out[flaws[-1]] += 1
                    if progress:
                        progress(n_done, len(rows), kept.usage)
            beside.replace(out)
        except OSError as exc:
            raise InputError(out, f"cannot be written ({exc.strerror}); name another file") from exc
        finally:
            if beside.exists():
                beside.unlink()
    return Report(kept.usage, n_written, left_out, rejected)


def read_texts(path: Path, catalogue: Catalogue) -> dict[str, dict[int | None, list[str]]]:
    """Texts by strategy and split, one an item of ``catalogue``; where none was written, the listing itself.

    Raises InputError for a line that is no such text, or one of an engagement-guided strategy without a
    split: its neighbours know what the test asks for.
    """
    index = {item_id: row for row, item_id in enumerate(catalogue.item_ids)}
    found: dict[str, dict[int | None, list[str]]] = {}
    for record in read_objects(path):
        strategy, item_id, split = record.id("strategy"), record.id("item_id"), record.fields.get("split")
        if strategy not in STRATEGIES:
            raise record.error("strategy", f"there is no '{strategy}'; there are {', '.join(STRATEGIES)}")
        if item_id not in index:
            raise record.error("item_id", f"{catalogue.name} has no item {item_id}; name its own texts")
        if strategy in GUIDED and not isinstance(split, int):
            raise record.error("split", "its neighbours saw all pairs; write the texts with --split")
        texts = found.setdefault(strategy, {}).setdefault(split, list(catalogue.texts))
        texts[index[item_id]] = record.text("text")
    return found


def _ask(
    row: int, messages: Sequence[Message], model: ChatModel, seed: int
) -> tuple[int, str | None, list[str]]:
    """The item row, its text or None after all attempts, and what was wrong with the replies."""
    flaws: list[str] = []
    for attempt in range(ATTEMPTS):
        reply = model.complete(
            messages, schema=SCHEMA, temperature=TEMPERATURE, seed=seed + attempt, max_tokens=MAX_TOKENS
        )
        fields = read_json(reply, SCHEMA)
        if isinstance(fields, BrokenReply):
            flaws.append(fields.flaw)
        elif text := clean(fields["text"]):
            return row, text, flaws
        else:
            flaws.append("empty")
    return row, None, flaws


def report_lines(report: Report) -> Iterator[str]:
    """The counts as a person reads them, a label and a number on each line."""
    yield f"written\t{report.n_written}"
    yield from (f"left out: {flaw}\t{n}" for flaw, n in sorted(report.left_out.items()))
    yield from (f"rejected on the way: {flaw}\t{n}" for flaw, n in sorted(report.rejected.items()))
    yield f"calls\t{report.usage.n_asked}, and {report.usage.n_kept} from before\t{report.usage}"
