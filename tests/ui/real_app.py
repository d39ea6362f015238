"""The real app in a process of its own, over the embedded bundle."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from browser import free_port

ROOT = Path(__file__).resolve().parents[2]
STARTED = "Raconteur is at "
# The app as on a slower machine: an answer takes its time, so a browser under load sees it grow.
SLOWED = f"""
import runpy, sys, time
import llama_cpp
decode = llama_cpp.llama_decode
llama_cpp.llama_decode = lambda *batch: time.sleep(0.01) or decode(*batch)
sys.path.insert(0, {str(ROOT)!r})
runpy.run_path({str(ROOT / "app.py")!r}, run_name="__main__")
"""


@contextmanager
def running_app(var: Path, *, slowed: bool = False) -> Iterator[str]:
    """Start ``app.py`` with its data in ``var`` and give the address it prints."""
    environment = {**os.environ, "PORT": str(free_port()), "RACONTEUR_VAR": str(var)}
    environment.pop("SPACE_ID", None)
    log = var / "app.log"
    var.mkdir(parents=True, exist_ok=True)
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, *(["-c", SLOWED] if slowed else [str(ROOT / "app.py")])],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(STARTED):
                    yield line.removeprefix(STARTED).split()[0]
                    break
            else:
                raise AssertionError(f"the app did not start: {log.read_text()}")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
