"""Results that take long to make, kept as JSON under the fingerprint of all they depend on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def kept_json(path: Path, make: Callable[[], Any]) -> Any:
    """What ``path`` holds, or else what ``make`` gives, written there whole."""
    if not path.exists():
        made = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(json.dumps(made), encoding="utf-8")
        beside.replace(path)
    return json.loads(path.read_text(encoding="utf-8"))


def fingerprint(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
