"""Who may log in: a file of names with salted scrypt hashes, a line each (``name:salt:hash``, hexadecimal).

A name is letters, digits and ``. _ - @``; it is the key of its person (see notes.py).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from knowledge.errors import InputError

VARIABLE = "RACONTEUR_LOGINS"
MIN_PASSWORD, MAX_PASSWORD = 8, 1_000  # characters
MAX_NAME = 64
_NAME = re.compile(rf"[A-Za-z0-9._@-]{{1,{MAX_NAME}}}")
_LINE = re.compile(rf"(?P<name>{_NAME.pattern}):(?P<salt>[0-9a-f]{{32}}):(?P<hash>[0-9a-f]{{64}})")
# RFC 7914's parameters for logins: 16 MiB and some 50 ms a try.
_COST = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


class Logins:
    """The names of a file, as it was when opened."""

    def __init__(self, path: str | Path) -> None:
        """Raises InputError where the file is not there, holds nobody, or a line is not of this layout."""
        try:
            lines = Path(path).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            problem = f"cannot be read ({exc}); make it by `python -m crs login NAME FILE`"
            raise InputError(path, problem) from exc
        self._kept: dict[str, tuple[bytes, bytes]] = {}
        for number, line in enumerate(lines, start=1):
            match = _LINE.fullmatch(line.strip())
            if match is None:
                raise InputError(path, "not of the form name:salt:hash; add it anew", line=number)
            self._kept[match["name"]] = bytes.fromhex(match["salt"]), bytes.fromhex(match["hash"])
        if not self._kept:
            raise InputError(path, "nobody may log in; add someone by `python -m crs login NAME FILE`")

    def may_enter(self, name: str, password: str) -> bool:
        """Whether this is the password of that name; as slow for an unknown name as for a known one."""
        salt, expected = self._kept.get(name, (bytes(16), bytes(32)))
        given = _hashed(password[: MAX_PASSWORD + 1], salt)
        return hmac.compare_digest(given, expected) and name in self._kept


def add_login(path: str | Path, name: str, password: str) -> None:
    """Add a name to the file, or give it a new password; the file is made if missing, for its owner's eyes.

    Raises InputError for a name or a password that cannot be.
    """
    if not _NAME.fullmatch(name):
        raise InputError(path, f"use letters, digits and . _ - @ ({MAX_NAME} at most)", field="name")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InputError(path, f"use {MIN_PASSWORD} to {MAX_PASSWORD} characters", field="password")
    path = Path(path)
    others = []
    if path.exists():
        Logins(path)  # a file of another layout is not written to
        others = [line for line in path.read_text("utf-8").splitlines() if not line.startswith(f"{name}:")]
    salt = secrets.token_bytes(16)
    lines = [*others, f"{name}:{salt.hex()}:{_hashed(password, salt).hex()}"]
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        partial.replace(path)
    except OSError as exc:
        raise InputError(path, f"cannot be written ({exc.strerror}); choose another file") from exc
    finally:
        partial.unlink(missing_ok=True)


def _hashed(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, **_COST)
