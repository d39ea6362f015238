"""Logging in: name and password are asked for, and whoever guesses is slowed down.

A try too many waits for its turn, so that a slip of the fingers costs a few seconds and no name is ever
locked. How many are too many is counted by address, and by name and address together: nobody can use up the
tries of somebody who comes from elsewhere.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from knowledge.buckets import Buckets
from knowledge.logins import MAX_NAME, Logins

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

NAME_TRIES, NAME_TRIES_PER_MINUTE = 5, 5.0  # at one name from one address: at once, then
ADDRESS_TRIES, ADDRESS_TRIES_PER_MINUTE = 20, 30.0  # at all names: a whole office may share an address
PATIENCE_S = 30.0  # a try that would wait longer is refused

_address: ContextVar[str] = ContextVar("address", default="")


class Door:
    """Who may come in, and how often somebody may try. ``clock`` gives seconds."""

    def __init__(
        self,
        logins: Logins,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._logins, self._sleep = logins, sleep
        self._by_address = Buckets(ADDRESS_TRIES, ADDRESS_TRIES_PER_MINUTE, clock)
        self._by_name = Buckets(NAME_TRIES, NAME_TRIES_PER_MINUTE, clock)

    async def admits(self, name: str, password: str) -> bool:
        """As `Logins.may_enter`, once it is this try's turn. Raises HTTPException (429) where it never is."""
        from fastapi import HTTPException

        address, waited_s = _address.get(), 0.0
        for buckets, key in ((self._by_address, address), (self._by_name, (name[:MAX_NAME], address))):
            while wait_s := buckets.take(key):
                waited_s += wait_s
                if waited_s > PATIENCE_S:
                    later = {"Retry-After": str(round(PATIENCE_S))}
                    raise HTTPException(429, "Too many tries to log in. Wait half a minute.", later)
                await self._sleep(wait_s)
        # The hash takes tens of milliseconds, in which the others' pages go on.
        return await asyncio.to_thread(self._logins.may_enter, name, password)

    def launch_options(self) -> dict[str, Any]:
        """What Gradio's `launch` needs to ask here."""
        from starlette.middleware import Middleware

        return {"auth": self.admits, "app_kwargs": {"middleware": [Middleware(_AddressNoted)]}}


class _AddressNoted:
    """Notes whence each request comes, for Gradio tells a door the name and the password alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["client"]:
            _address.set(network(scope["client"][0]))
        await self._app(scope, receive, send)


def network(host: str) -> str:
    """The address as one customer has it: of IPv6 the first 64 bits, for whoever has one has all of those."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address), 64), strict=False))
