"""A retraining that is killed leaves the old version in use or the new one, and either is whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from crs.bundle import Bundle
from crs.retrain import MIN_RATERS
from knowledge.feedback import FeedbackLog, Rating

ROOT = Path(__file__).resolve().parents[2]
N_MOMENTS = 10


def test_killed_at_ten_moments(small_narrating_bundle: Bundle, tmp_path: Path) -> None:
    store = small_narrating_bundle.store
    with FeedbackLog(tmp_path / "feedback.sqlite") as log:
        for user_id in small_narrating_bundle.splits["train"][:MIN_RATERS]:
            owned = tuple(purchase.item_id for purchase in store.history(user_id))
            for thumb, text in ((1, "Tea."), (-1, "The kettle boils, for tea, and the rain [1] keeps.")):
                log.append(
                    Rating(
                        "c", f"{user_id}{thumb}", user_id, "user_summary_brief", None, thumb, text=text,
                        history_ids=owned,
                    )
                )  # fmt: skip
    bundle = str(small_narrating_bundle.path)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.crs.killed_retrain", bundle, str(tmp_path), str(N_MOMENTS)],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    in_use = ran.stdout.split()
    assert len(in_use) == N_MOMENTS + 1 and set(in_use) <= {"old", "new"}
    assert in_use[-1] == "new"  # what was cut off can be done again
