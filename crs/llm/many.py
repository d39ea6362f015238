"""Many questions to one language model: some at a time, the answers in the order of the questions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from crs.llm.chat import ChatModel

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


@contextmanager
def workers(parallel: int, model: ChatModel) -> Iterator[ThreadPoolExecutor]:
    """A pool of ``parallel`` threads; when the block fails, ``model`` is closed."""
    pool = ThreadPoolExecutor(parallel)
    try:
        yield pool
    except BaseException:
        model.close()  # ends the calls under way, so that stopping need not wait for them
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def in_order(
    asked: Iterable[Asked], answer: Callable[[Asked], Answered], pool: ThreadPoolExecutor, n_ahead: int
) -> Iterator[Answered]:
    """The answers in the order of the questions, at most ``n_ahead`` of them ahead of the one that is due."""
    under_way: deque[Future[Answered]] = deque()
    for question in asked:
        under_way.append(pool.submit(answer, question))
        if len(under_way) > n_ahead:
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()
