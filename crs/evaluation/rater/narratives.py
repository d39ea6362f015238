"""The narratives to be rated: from a file, from a store's references, or told anew by a bundle's narrator."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crs.bundle import Bundle
from crs.content import TextEncoder
from crs.storyteller import REASONS, Storyteller, before_purchase
from knowledge.errors import InputError, NotFoundError
from knowledge.store import Store
from knowledge.types import TARGET_TASKS, TASKS, Narrative, Task

Progress = Callable[[str, int, int], None]


def read_narratives(path: Path, store: Store) -> list[Narrative]:
    """From JSON lines of user_id, task, text, target_id (of the tasks that have a target) and n_history.

    Without ``n_history`` a reason is told from what was bought before the target, all else from the whole
    history. Raises InputError naming line and field, NotFoundError when there is no such file.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as exc:
        raise NotFoundError(
            f"{path}: no such file of narratives; name one, or leave --narratives out"
        ) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(path, f"cannot be read ({exc}); name a file of JSON lines") from exc
    found = [_narrative(line, path, n, store) for n, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise InputError(path, "holds no narrative; give it one JSON object a line")
    return found


def references(store: Store, users: Sequence[str]) -> list[Narrative]:
    """The store's own texts about ``users``, shopper by shopper in that order."""
    place = {user_id: n for n, user_id in enumerate(users)}
    return sorted((t for t in store.narratives() if t.user_id in place), key=lambda t: place[t.user_id])


def tell(
    bundle: Bundle,
    encoder: TextEncoder,
    users: Sequence[str],
    folder: Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Narrative]:
    """All that can be told of each user: why the last purchase, who they are, and what for the held-out one.

    Kept in ``folder`` as they come, so that a stopped run goes on. Raises as `Storyteller.open` does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"narratives-{bundle.version}-{seed}.jsonl"
    kept = {_key(told): told for told in _kept(path, bundle.store)}
    wanted = [each for user_id in users for each in _tellable(bundle.store, user_id)]
    if all(_key(each) in kept for each in wanted):
        return [kept[_key(each)] for each in wanted]
    storyteller = Storyteller.open(bundle, encoder, folder / "cache")
    try:
        with path.open("a", encoding="utf-8") as file:
            for n_done, each in enumerate(wanted, start=1):
                if _key(each) not in kept:
                    told = kept[_key(each)] = _told(storyteller, bundle.store, each, seed)
                    file.write(json.dumps(asdict(told)) + "\n")
                    file.flush()
                if progress:
                    progress("tell", n_done, len(wanted))
    finally:
        storyteller.close()
    return [kept[_key(each)] for each in wanted]


def draw_users(users: Sequence[str], n: int, seed: int) -> list[str]:
    """``n`` of the users in an order drawn by ``seed``; fewer are the beginning of more."""
    order = sorted(users)
    random.Random(seed).shuffle(order)
    return order[:n]


def _kept(path: Path, store: Store) -> list[Narrative]:
    """What an earlier run told; a last line torn by a crash is cut off."""
    if not path.exists():
        return []
    whole, _, torn = path.read_bytes().rpartition(b"\n")
    if torn:
        path.write_bytes(whole + b"\n" if whole else b"")
    return read_narratives(path, store) if whole else []


def _tellable(store: Store, user_id: str) -> Iterator[Narrative]:
    """What the narrator can be asked to tell of the user, the texts still empty."""
    history = store.history(user_id)
    for task in TASKS:
        if task in REASONS:
            if len(history) > 1:
                yield Narrative(user_id, task, "", len(history) - 1, history[-1].item_id)
        elif task in TARGET_TASKS:
            if user_id in store.held_out:
                yield Narrative(user_id, task, "", len(history), store.held_out[user_id])
        else:
            yield Narrative(user_id, task, "", len(history))


def _told(storyteller: Storyteller, store: Store, asked: Narrative, seed: int) -> Narrative:
    target = store.items[asked.target_id] if asked.target_id else None
    history = store.history(asked.user_id)[: asked.n_history]
    stream = storyteller.tell(history, asked.task, target, seed=seed)
    for _piece in stream:
        pass
    return Narrative(asked.user_id, asked.task, stream.result.text, asked.n_history, asked.target_id)


def _key(told: Narrative) -> tuple[str, Task, int, str | None]:
    return told.user_id, told.task, told.n_history, told.target_id


def _narrative(line: str, path: Path, number: int, store: Store) -> Narrative:
    def refused(field: str | None, problem: str) -> InputError:
        return InputError(path, problem, line=number, field=field)

    try:
        fields: dict[str, Any] = json.loads(line)
        user_id, task, text = fields["user_id"], fields["task"], fields["text"]
    except KeyError as exc:
        raise refused(exc.args[0], "is missing; a line needs user_id, task and text") from exc
    except (ValueError, TypeError) as exc:
        raise refused(None, "is no JSON object; write one on each line") from exc
    for field, value in (("user_id", user_id), ("task", task), ("text", text)):
        if not isinstance(value, str):
            raise refused(field, f"is {value!r}; write a string")
    try:
        history = store.history(user_id)
    except NotFoundError as exc:
        raise refused(
            "user_id", f"'{user_id}' is not a user of {store.path}; name one of this store"
        ) from exc
    if task not in TASKS:
        raise refused("task", f"'{task}' is none of {', '.join(TASKS)}")
    target_id = fields.get("target_id") if task in TARGET_TASKS else None
    if task in TARGET_TASKS and not (isinstance(target_id, str) and target_id in store.items):
        raise refused("target_id", f"{target_id!r} is not an item of {store.path}; {task} is about one")
    n_history = fields.get("n_history")
    if n_history is None:
        n_history = len(history)
        if task in REASONS and any(purchase.item_id == target_id for purchase in history):
            n_history = len(before_purchase(history, str(target_id)))
    if not isinstance(n_history, int) or not 0 <= n_history <= len(history):
        raise refused("n_history", f"is {n_history}; the user has {len(history)} purchases")
    return Narrative(user_id, task, text, n_history, target_id)
