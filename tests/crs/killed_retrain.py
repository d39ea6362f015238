"""Retrains again and again, each time killed (SIGKILL) at another moment, and looks at what is in use then.

python -m tests.crs.killed_retrain BUNDLE FOLDER N: a line for each of the ``N`` moments, then one for a
retraining that goes on after the last of them, undisturbed. FOLDER holds ``feedback.sqlite``. Processes are
forked, so that libraries are loaded once.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from crs.bundle import Bundle
from crs.retrain import retrain
from crs.training.preference import TuningSettings
from crs.versions import in_use
from tests.conftest import WordEncoder


def main(first: Path, folder: Path, n_moments: int) -> None:
    """See above."""
    _load_libraries()
    data_dir = _fresh(folder, "whole")
    seconds = time.monotonic()
    _finish(_forked(_retrain, first, data_dir))
    seconds = time.monotonic() - seconds
    for moment in range(n_moments):
        data_dir = _fresh(folder, f"killed-{moment}")
        child = _forked(_retrain, first, data_dir)
        time.sleep(random.Random(moment).uniform(0.0, seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        _finish(_forked(_look, first, data_dir))
    _finish(_forked(_retrain, first, data_dir))
    _finish(_forked(_look, first, data_dir))


def _load_libraries() -> None:
    """What every child needs and would load by itself otherwise."""
    import safetensors.torch  # noqa: F401
    import scipy.sparse  # noqa: F401
    import tokenizers  # noqa: F401
    from transformers import AutoModelForCausalLM, LlamaForCausalLM  # noqa: F401

    import crs.recommender  # noqa: F401


def _fresh(folder: Path, name: str) -> Path:
    data_dir = folder / name
    data_dir.mkdir()
    shutil.copy(folder / "feedback.sqlite", data_dir)
    return data_dir


def _retrain(first: Path, data_dir: Path) -> None:
    settings = TuningSettings(epochs=1, learning_rate=1e-3, checkpoint_every=1)
    retrain(first, data_dir=data_dir, encoder=WordEncoder(), settings=settings, n_told_per_task=0)


def _look(first: Path, data_dir: Path) -> None:
    served = Bundle.open(in_use(first, data_dir))  # refuses a part that is not whole
    sys.stdout.write("old\n" if served.version == Bundle.open(first).version else "new\n")
    sys.stdout.flush()


def _forked(do: Callable[[Path, Path], None], first: Path, data_dir: Path) -> int:
    child = os.fork()
    if child == 0:
        failed = True
        try:
            do(first, data_dir)
            failed = False
        finally:
            os._exit(failed)
    return child


def _finish(child: int) -> None:
    _, status = os.waitpid(child, 0)
    assert status == 0, f"a child ended with {status}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
