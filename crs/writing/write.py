"""`write-narratives`: a store with reviews becomes one with narratives to learn from (REGEN, section 3.2)."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crs.llm.chat import ChatModel
from crs.llm.json_reply import BrokenReply, read_json
from crs.llm.kept import KeptChat, Usage
from crs.llm.many import in_order, workers
from crs.narrator.evidence import StoreWords
from crs.writing.checks import fault
from crs.writing.mending import mend
from crs.writing.prompts import TOPICS, Question, questions
from knowledge.errors import InputError
from knowledge.store import Store, StoreWriter
from knowledge.types import TASKS, Narrative, Task

ATTEMPTS = 4  # the first and three more, each with another seed
TEMPERATURE = 0.7
FEWEST_PURCHASES = 2  # one to speak of and one to know the shopper by
UNTOLD = "nothing shown tells it"

Progress = Callable[[int, int, Usage], None]  # questions answered, questions in all, what the calls came to


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run, in texts by task, and in shoppers who got none.

    ``rejected`` counts every refusal of a reply, ``left_out`` the texts that no further attempt made good.
    """

    usage: Usage
    written: Counter[Task] = field(default_factory=Counter)
    mended: Counter[Task] = field(default_factory=Counter)
    rejected: Counter[tuple[Task, str]] = field(default_factory=Counter)
    left_out: Counter[tuple[Task, str]] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)

    def lines(self) -> Iterator[str]:
        """The counts as a person reads them, a label and a number on each line."""
        for task in TASKS:
            if n := self.written[task]:
                yield f"written: {task}\t{n}"
        for (task, reason), n in sorted(self.left_out.items()):
            yield f"left out: {task}, {reason}\t{n}"
        for (task, reason), n in sorted(self.rejected.items()):
            yield f"rejected on the way: {task}, {reason}\t{n}"
        yield f"mended\t{self.mended.total()}"
        for reason, n in self.skipped.items():
            yield f"shoppers without narratives: {reason}\t{n}"
        yield f"calls\t{self.usage.n_asked}, and {self.usage.n_kept} from before\t{self.usage}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a question: texts by task, and for every attempt why a task's text was refused.

    ``untold``: tasks that the model answered with null, as it may where nothing tells the reason.
    """

    question: Question
    texts: dict[Task, str] = field(default_factory=dict)
    mended: set[Task] = field(default_factory=set)
    untold: set[Task] = field(default_factory=set)
    refusals: dict[Task, list[str]] = field(default_factory=dict)

    @property
    def open_tasks(self) -> list[Task]:
        """Tasks that have neither a text nor a null yet."""
        return [task for task in self.question.tasks if task not in self.texts and task not in self.untold]


def write_narratives(
    store_path: Path,
    out: Path,
    model: ChatModel,
    calls_path: Path,
    *,
    tasks: Collection[Task] = TASKS,
    max_users: int | None = None,
    parallel: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Write to ``out`` the store at ``store_path`` with narratives of ``tasks`` told by ``model``.

    They are of the first ``max_users`` shoppers with reviews and speak of a shopper's last 50 purchases,
    ``[1]`` the oldest of these; narratives that the old store has are not taken along. ``parallel`` questions
    are asked at a time. Finished calls are kept in ``calls_path``, so a run that was stopped goes on there.
    What was skipped or left out is counted in the report and in the new store's manifest.

    Raises InputError when there are no reviews or ``out`` cannot be written, NotFoundError and BundleError as
    `Store.open` does, ModelError or BusyError when the model fails; it is closed then.
    """
    if out.resolve() == store_path.resolve():
        raise InputError(out, "is the store to be read; name another folder to write to")
    store = Store.open(store_path)
    manifest = store.manifest
    with (
        StoreWriter(out, name=manifest["name"], format=manifest["format"]) as writer,
        KeptChat(model, calls_path) as kept,
        workers(parallel, model) as pool,
    ):
        report = Report(kept.usage)
        _copy(store, writer)
        words = StoreWords.of(store.items.values())
        shoppers = _shoppers(store, max_users, report)
        asked = (q for user_id in shoppers for q in _questions_of(store, user_id, tasks))
        n_asked = len(shoppers) * sum(not set(tasks).isdisjoint(topic) for topic in TOPICS.values())
        # One slow answer holds up the ones after it, so others are asked for in the meantime.
        answers = in_order(asked, lambda q: ask(q, kept, words, seed), pool, n_ahead=2 * parallel)
        for n_done, answer in enumerate(answers, start=1):
            for narrative in _narratives(answer):
                writer.add_narrative(narrative)
            _count(answer, report)
            if progress:
                progress(n_done, n_asked, report.usage)
        for reason, n in report.skipped.items():
            writer.drop(f"shoppers without narratives: {reason}", n)
        for (task, reason), n in report.left_out.items():
            writer.drop(f"{task}: {reason}", n)
    return report


def ask(question: Question, model: ChatModel, words: StoreWords, seed: int) -> Answer:
    """Ask until every task has a fit text or a null, at most `ATTEMPTS` times; fit texts stay."""
    answer = Answer(question)
    for attempt in range(ATTEMPTS):
        if not answer.open_tasks:
            break
        reply = model.complete(
            question.messages,
            schema=question.schema,
            temperature=TEMPERATURE,
            seed=seed + attempt,
            max_tokens=question.max_tokens,
        )
        fields = read_json(reply, question.schema)
        for task in answer.open_tasks:
            if isinstance(fields, BrokenReply):
                answer.refusals.setdefault(task, []).append(f"reply {fields.flaw}")
                continue
            said = fields[task]
            if said is None:
                answer.untold.add(task)
                continue
            text = mend(said, question)
            if problem := fault(text, task, question, words):
                answer.refusals.setdefault(task, []).append(problem)
                continue
            answer.texts[task] = text
            if text != " ".join(said.split()):
                answer.mended.add(task)
    return answer


def _copy(store: Store, writer: StoreWriter) -> None:
    """Everything of the store but its narratives, what was dropped for it included."""
    for item in store.items.values():
        writer.add_item(item)
    for user_id in store.user_ids:
        writer.add_interactions(store.history(user_id, last=sys.maxsize))
    for user_id, item_id in store.held_out.items():
        writer.add_held_out(user_id, item_id)
    for reason, n in store.manifest["dropped"].items():
        writer.drop(reason, n)
    writer.drop("narratives of the store it was written from", store.manifest["counts"].get("narratives", 0))


def _shoppers(store: Store, max_users: int | None, report: Report) -> list[str]:
    """The first ``max_users`` with reviews; the others are counted by what keeps them out."""
    chosen: list[str] = []
    for n_seen, user_id in enumerate(store.user_ids):
        if len(chosen) == max_users:
            report.skipped["not asked for"] += len(store.user_ids) - n_seen
            break
        history = store.history(user_id)
        if len(history) < FEWEST_PURCHASES:
            report.skipped[f"fewer than {FEWEST_PURCHASES} purchases"] += 1
        elif not any(purchase.review.strip() for purchase in history):
            report.skipped["no reviews"] += 1
        else:
            chosen.append(user_id)
    if not chosen:
        raise InputError(
            store.path, "no shopper has a review and two purchases; import a data set with reviews"
        )
    return chosen


def _questions_of(store: Store, user_id: str, tasks: Collection[Task]) -> list[Question]:
    history = store.history(user_id)
    return questions(user_id, [(store.items[purchase.item_id], purchase) for purchase in history], tasks)


def _narratives(answer: Answer) -> Iterator[Narrative]:
    question = answer.question
    target_id = None if question.target is None else question.target.item_id
    for task in question.tasks:
        if text := answer.texts.get(task):
            yield Narrative(question.user_id, task, text, len(question.history), target_id)


def _count(answer: Answer, report: Report) -> None:
    report.written.update(answer.texts.keys())  # the keys: of a mapping a Counter takes the values as counts
    report.mended.update(answer.mended)
    for task, reasons in answer.refusals.items():
        report.rejected.update((task, reason) for reason in reasons)
    report.left_out.update((task, UNTOLD) for task in answer.untold)
    report.left_out.update((task, answer.refusals[task][-1]) for task in answer.open_tasks)
