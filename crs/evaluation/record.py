"""What a measurement leaves behind: its figures with all that is needed to repeat them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_record(path: Path, config: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    """Write ``figures`` as JSON with their config, the commit, the hardware and the day."""
    record = {
        "config": dict(config),
        "commit": commit(),
        "hardware": hardware(),
        "day": time.strftime("%Y-%m-%d"),
        "figures": dict(figures),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def commit() -> str:
    """The commit the code is at, or "unknown" outside a checkout."""
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parent,
    )  # fmt: skip
    return found.stdout.strip() or "unknown"


def hardware() -> dict[str, Any]:
    """Processor, cores and memory, as far as the system tells."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        cpu = names[0] if names else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gib": round(memory, 1)}
