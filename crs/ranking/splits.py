"""Sequences cut into folds: the last item for the test, the one before for tuning; or splits as given.

No (user, target) pair of the test is learned from or tuned on, wherever in the data it stands: not as a
target of the valid fold, nor as an item in another row's history of the same user.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from crs.ranking.data import Fold, Queries, RankingData, Rows
from knowledge.types import Item

Window = tuple[list[str], str]  # history (oldest first), target

_Row = tuple[int, Rows, int]  # user, history, target


def leave_last(
    name: str,
    items: Mapping[str, Item],
    histories: Mapping[str, Sequence[str]],
    *,
    asked: Collection[str] | None = None,
    ordered: bool = True,
) -> RankingData:
    """The last item of each user in ``asked`` (None: all) is the test target, the one before the valid one.

    Users with fewer than three items are learned from and asked nothing.
    """
    index = {item_id: row for row, item_id in enumerate(items)}
    early, late = [], []
    valid: list[_Row] = []
    test: list[_Row] = []
    for user, (user_id, history) in enumerate(histories.items()):
        rows = _rows(history, index)
        if len(rows) < 3 or (asked is not None and user_id not in asked):
            early.append(rows)
            late.append(rows)
            continue
        before, last = rows[:-1], int(rows[-1])
        test.append((user, before, last))
        late.append(_without(before, {last}))
        earlier, target = _without(before[:-1], {last}), int(before[-1])
        if target != last:
            valid.append((user, earlier, target))
        early.append(_without(earlier, {target}))
    return RankingData(
        name, list(items.values()), Fold(early, _queries(valid)), Fold(late, _queries(test)), ordered
    )


def last_hidden(sequences: Sequence[Rows], *, at_most: int, seed: int = 0) -> Fold:
    """The last item of each sequence of three and more as what is asked, of ``at_most`` drawn by ``seed``."""
    usable = [user for user, sequence in enumerate(sequences) if len(sequence) >= 3]
    drawn = np.random.default_rng(seed).permutation(usable)[:at_most]
    asked = [(int(user), sequences[user][:-1], int(sequences[user][-1])) for user in np.sort(drawn)]
    known = list(sequences)
    for user, history, target in asked:
        known[user] = _without(history, {target})
    return Fold(known, _queries(asked))


def windows(
    name: str,
    items: Mapping[str, Item],
    train: Mapping[str, list[Window]],
    valid: Mapping[str, list[Window]],
    test: Mapping[str, list[Window]],
) -> RankingData:
    """Splits given as windows onto users' sequences, a user's windows in the order of time.

    Learned from for the test: all windows of all splits but the test's targets. For tuning: of users who are
    asked there what came before their first valid target, of the others all, but no target of either split.
    """
    index = {item_id: row for row, item_id in enumerate(items)}
    users = list(dict.fromkeys((*train, *valid, *test)))
    early, late = [], []
    valid_rows: list[_Row] = []
    test_rows: list[_Row] = []
    for user, user_id in enumerate(users):
        of_train, of_valid, of_test = (split.get(user_id, []) for split in (train, valid, test))
        secret = {index[target] for _, target in of_test}
        asked = {index[target] for _, target in of_valid}
        whole = merge_windows([*history, target] for history, target in (*of_train, *of_valid, *of_test))
        # What a person bought after a valid target is not known when it is asked for.
        firsts = [[*history, target] for history, target in of_train] + [
            history for history, _ in of_valid[:1]
        ]
        known = merge_windows(firsts) if of_valid else whole
        early.append(_without(_rows(known, index), asked | secret))
        late.append(_without(_rows(whole, index), secret))
        test_rows += [(user, _rows(history, index), index[target]) for history, target in of_test]
        valid_rows += [
            (user, _without(_rows(history, index), secret), index[target])
            for history, target in of_valid
            if index[target] not in secret
        ]
    return RankingData(
        name, list(items.values()), Fold(early, _queries(valid_rows)), Fold(late, _queries(test_rows))
    )


def merge_windows(given: Iterable[list[str]]) -> list[str]:
    """Windows moving along one sequence as that sequence: what repeats the end of it is not put twice."""
    known: list[str] = []
    for window in given:
        longest = min(len(known), len(window))
        overlap = next(n for n in range(longest, -1, -1) if known[len(known) - n :] == window[:n])
        known.extend(window[overlap:])
    return known


def _queries(rows: Sequence[_Row]) -> Queries:
    return Queries(
        np.array([user for user, _, _ in rows], dtype=np.int64),
        [history for _, history, _ in rows],
        np.array([target for _, _, target in rows], dtype=np.int64),
    )


def _rows(item_ids: Iterable[str], index: Mapping[str, int]) -> Rows:
    return np.array([index[item_id] for item_id in item_ids], dtype=np.int64)


def _without(sequence: Rows, unwanted: set[int]) -> Rows:
    return sequence[~np.isin(sequence, list(unwanted))]
