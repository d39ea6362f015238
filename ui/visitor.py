"""Who sits before a page: the name of a login, or a random key that their browser keeps."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

_BROWSER_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person at a page. ``key``: their login name, or 32 hexadecimal digits."""

    key: str
    has_login: bool = False

    @classmethod
    def of(cls, username: str | None, kept: object = None) -> Visitor:
        """Who has logged in as ``username``, else whose browser kept a key, else someone new."""
        if username:
            return cls(username, has_login=True)
        known = isinstance(kept, str) and _BROWSER_KEY.fullmatch(kept)
        return cls(str(kept) if known else uuid.uuid4().hex)

    def owner(self, user_id: str | None) -> str:
        """The key of their notes, consent and conversations.

        Who has not logged in may try several shoppers; each of these is a person of their own. No login name
        has a colon in it, so nobody's key is another's.
        """
        return self.key if self.has_login else f"{self.key}:{user_id or 'new'}"
