"""What narratives are asked for when a narrator is measured: shoppers of a split, tasks, targets, seeds."""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crs.bundle import Bundle
from knowledge.errors import InputError
from knowledge.store import Store
from knowledge.types import MAX_HISTORY, TARGET_TASKS, TASKS, Interaction, Item, Narrative, Task

MIN_BEFORE_REASON = 1  # without an earlier purchase there is nothing to reason from


@dataclass(frozen=True, slots=True)
class Occasion:
    """One narrative to be told. ``n_history``: of the user's first purchases; ``reference``: "" for none."""

    user_id: str
    task: Task
    n_history: int
    target_id: str | None
    seed: int
    reference: str = ""

    def history(self, store: Store) -> list[Interaction]:
        """The purchases that it is told from, oldest first."""
        return store.history(self.user_id)[: self.n_history]

    def target(self, store: Store) -> Item | None:
        """The product that it is told about."""
        return store.items[self.target_id] if self.target_id else None


def occasions(
    bundle: Bundle,
    users: Sequence[str],
    n_per_task: int,
    *,
    seed: int = 0,
    only_items: Collection[str] | None = None,
    tasks: Collection[Task] = TASKS,
) -> dict[Task, list[Occasion]]:
    """``n_per_task`` occasions of each of ``tasks``, in an order drawn by ``seed``.

    Fewer are the beginning of more.
    They are those of the users' reference narratives; of a task without any, the endorsement of each
    user's held-out purchase, the reason of the last one, and summaries of all. When they run out they
    come again with new seeds. ``only_items``: shoppers with any other item are left out. Raises
    InputError when a task has none at all.
    """
    chosen = frozenset(users)
    by_task: dict[Task, list[Occasion]] = {task: [] for task in TASKS if task in tasks}
    for told in bundle.store.narratives():
        if told.task in by_task and told.user_id in chosen and told.n_history <= MAX_HISTORY:
            by_task[told.task].append(_of_reference(told))
    drawn = {}
    for task, found in by_task.items():
        found = found or list(_unwritten(bundle.store, users, task))
        if only_items is not None:
            found = [each for each in found if _item_ids(each, bundle.store) <= set(only_items)]
        if not found:
            which = " whose items were all held out" if only_items is not None else ""
            raise InputError(
                bundle.path,
                f"no shoppers of the split{which} to tell a {task} of; name another split"
                + (" or --items-file" if which else ""),
            )
        random.Random(f"{seed}:{task}").shuffle(found)
        drawn[task] = [replace(found[i % len(found)], seed=seed + i) for i in range(n_per_task)]
    return drawn


def held_out_items(bundle: Bundle, items_file: Path | None = None) -> frozenset[str] | None:
    """Items of this store that the narrator's training left out: one id a line of ``items_file``, else
    ``held_out_items`` of the narrator's training.json; None where no item of this store is named.
    """
    if items_file is not None:
        try:
            named = items_file.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as exc:
            raise InputError(items_file, f"cannot be read ({exc}); name a file of item ids") from exc
        known = frozenset(named) & bundle.store.items.keys()
        if not known:
            raise InputError(items_file, f"names no item of {bundle.path}; name a file of its item ids")
        return known
    training = bundle.narrator_dir / "training.json"
    if not training.is_file():
        return None
    named = json.loads(training.read_text(encoding="utf-8")).get("held_out_items", ())
    return (frozenset(named) & bundle.store.items.keys()) or None


def _of_reference(told: Narrative) -> Occasion:
    return Occasion(told.user_id, told.task, told.n_history, told.target_id, 0, told.text)


def _unwritten(store: Store, users: Sequence[str], task: Task) -> Iterator[Occasion]:
    """What could be told of each user that nobody has written a reference of."""
    for user_id in users:
        history = store.history(user_id)
        if task == "product_endorsement":
            if user_id in store.held_out:
                yield Occasion(user_id, task, len(history), store.held_out[user_id], 0)
        elif task in TARGET_TASKS:
            if len(history) > MIN_BEFORE_REASON:
                yield Occasion(user_id, task, len(history) - 1, history[-1].item_id, 0)
        else:
            yield Occasion(user_id, task, len(history), None, 0)


def _item_ids(occasion: Occasion, store: Store) -> set[str]:
    bought = {purchase.item_id for purchase in occasion.history(store)}
    return bought | {occasion.target_id} if occasion.target_id else bought
