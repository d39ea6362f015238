"""A running shop follows the version in use: what is promoted or rolled back is served without a restart."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from crs.bundle import default_path, read_manifest
from crs.shop import Shop
from crs.versions import in_use
from knowledge.errors import RaconteurError

LOOK_EVERY_S = 5.0


class Follower:
    """Looks every few seconds in a thread of its own; use it in a ``with``.

    ``when_free`` calls what it is given while nobody is being answered (`Assistant.between_turns`).
    """

    def __init__(
        self,
        shop: Shop,
        first: str | Path | None,
        data_dir: Path,
        when_free: Callable[[Callable[[], None]], None],
        *,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._shop, self._data_dir, self._when_free = shop, data_dir, when_free
        self._first = default_path() if first is None else Path(first)
        self._every_s = every_s
        self._refused = ""  # a version that could not be opened
        self._problem = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="versions", daemon=True)

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join(self._every_s)

    def look(self) -> None:
        """Have the shop take up the version in use, if it serves another. Raises what opening it raises."""
        path = in_use(self._first, self._data_dir)
        version = str(read_manifest(path)["version"])
        if version not in (self._shop.bundle.version, self._refused):
            self._refused = version  # until it has been opened
            self._shop.take_up(path, self._when_free)
            self._refused = ""

    def _run(self) -> None:
        while not self._closing.wait(self._every_s):
            try:
                self.look()
                self._problem = ""
            except RaconteurError as error:
                if str(error) != self._problem:
                    sys.stderr.write(f"raconteur: the version before goes on serving: {error}\n")
                self._problem = str(error)
