"""An opened study: who judges what next, and what becomes of their answers. The page shows it (ui/)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crs.evaluation.rater.cases import STAGE_OF, Attribute
from crs.evaluation.rater.votes import SCALE
from crs.studies.plan import Mode
from crs.studies.ratings import Answer, Choice, Place, RatingsFile
from crs.studies.trials import RATINGS, Told, Trial, read_frozen
from knowledge.errors import InputError, NotFoundError
from knowledge.types import Item, Task

MAX_SECONDS = 86_400.0  # who came back a day later did not read for a day
_CHOSEN: dict[tuple[str, bool], Choice] = {
    ("left", False): "first",
    ("right", False): "second",
    ("left", True): "second",
    ("right", True): "first",
    ("tie", False): "tie",
    ("tie", True): "tie",
}


@dataclass(frozen=True, slots=True)
class Sitting:
    """Where a rater is: ``trial`` is the one to judge now (None at the end), ``shown`` its texts by side.

    ``before``: the answer to it that was taken back, if there was one.
    """

    code: str
    n_done: int
    n_all: int
    trial: Trial | None = None
    shown: tuple[Told, ...] = ()
    before: Answer | None = None
    swapped: bool = False


class Study:
    """The study in a folder with its ratings; safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Raises as `read_frozen` does, and FeedbackError where the ratings cannot be opened."""
        frozen = read_frozen(folder)
        plan = frozen.manifest["plan"]
        self.folder, self.trials, self.items = folder, frozen.trials, frozen.items
        self.manifest = frozen.manifest
        self.name: str = plan["name"]
        self.mode: Mode = plan["mode"]
        self.n_raters: int = plan["raters"]
        self.settings: list[str] = [setting["name"] for setting in plan["settings"]]
        self._plan: dict[str, Any] = plan
        self.ratings = RatingsFile(folder / RATINGS)

    def close(self) -> None:
        """Close the ratings; they are on disk already."""
        self.ratings.close()

    def attributes_of(self, task: Task) -> tuple[Attribute, ...]:
        """What is asked about a text of this task when it is rated."""
        return tuple(self._plan["attributes"][STAGE_OF[task]])

    def join(self) -> str:
        """A new rater's code, their queue dealt."""
        return self.ratings.join(self._deal)

    def sitting(self, code: str) -> Sitting:
        """Where the rater with this code is. Raises NotFoundError for a code that nobody has."""
        code = plain_code(code)
        rater = self._rater(code)
        standing, withdrawn = self.ratings.of_rater(rater)
        queue = self.ratings.queue(rater)
        place = next((each for each in queue if each.trial_id not in standing), None)
        n_done = sum(each.trial_id in standing for each in queue)
        if place is None:
            return Sitting(code, n_done, len(queue))
        trial = self.trials[place.trial_id]
        shown = trial.narratives[::-1] if place.swapped else trial.narratives
        before = withdrawn.get(place.trial_id)
        return Sitting(code, n_done, len(queue), trial, shown, before, place.swapped)

    def answer(self, code: str, trial_id: str, form: Mapping[str, Any]) -> Sitting:
        """Record what the form says of the trial, and go on; on disk when this returns.

        ``form``: ``confidence`` and each attribute 1 to 7, or ``choice`` "left", "right" or "tie"; and
        ``seconds``. A form of another trial than the rater's own (sent twice) changes nothing. Raises
        InputError for an answer that is not whole, FeedbackError where it could not be written.
        """
        at = self.sitting(code)
        if at.trial is None or at.trial.trial_id != trial_id:
            return at
        self.ratings.record(self._rater(at.code), trial_id, self._read(at, form))
        return self.sitting(code)

    def undo(self, code: str) -> Sitting:
        """Take back the rater's last answer in their queue; nothing where there is none."""
        at = self.sitting(code)
        rater = self._rater(at.code)
        standing, _ = self.ratings.of_rater(rater)
        given = [place.trial_id for place in self.ratings.queue(rater) if place.trial_id in standing]
        if not given:
            return at
        self.ratings.record(rater, given[-1], standing[given[-1]], taken_back=True)
        return self.sitting(code)

    def forget(self, code: str) -> int:
        """Delete the rater with this code and all their answers; returns how many there were."""
        return self.ratings.forget(self._rater(plain_code(code)))

    def _rater(self, code: str) -> int:
        number = self.ratings.number_of(code)
        if number is None:
            raise NotFoundError(f"no rater has the code {code or '(none)'}; leave it empty to begin anew")
        return number

    def _read(self, at: Sitting, form: Mapping[str, Any]) -> Answer:
        def score(name: str) -> int:
            value = form.get(name)
            if not isinstance(value, int) or isinstance(value, bool) or value not in SCALE:
                raise InputError("rating", "is missing; choose from 1 to 7", field=name)
            return value

        seconds = form.get("seconds")
        took = float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < MAX_SECONDS else 0.0
        confidence = score("confidence")
        if self.mode == "compare":
            choice = _CHOSEN.get((str(form.get("choice")), at.swapped))
            if choice is None:
                raise InputError("rating", "is missing; choose A, B or about the same", field="choice")
            return Answer(confidence, choice=choice, seconds=took)
        assert at.trial is not None
        scores = {name: score(name) for name in self.attributes_of(at.trial.task)}
        return Answer(confidence, scores, seconds=took)

    def _deal(self, rater: int, dealt: Counter[str], answered: Counter[str]) -> Sequence[Place]:
        """Trials that have the fewest raters first, in an order of the rater's own, checks among them.

        A trial with all its ratings is dealt no more; one that is dealt but not rated yet comes last.
        """
        rng = random.Random(f"{self._plan['seed']}:{rater}")
        genuine = [each for each in self.trials.values() if each.check is None]
        wanting = [each.trial_id for each in genuine if answered[each.trial_id] < self.n_raters]
        if not wanting:
            return []
        rng.shuffle(wanting)
        wanting.sort(key=lambda trial_id: dealt[trial_id])
        chosen = wanting[: self._plan["per_rater"] or len(wanting)]
        chosen += [each.trial_id for each in self.trials.values() if each.check is not None]
        rng.shuffle(chosen)
        sides = [at % 2 == 1 for at in range(len(chosen))]
        rng.shuffle(sides)
        return [Place(trial_id, side) for trial_id, side in zip(chosen, sides, strict=True)]


def plain_code(code: str) -> str:
    """A code as people write it, as it is kept: "k7qf 2m9x" is K7QF2M9X."""
    return "".join(character for character in code.upper() if character.isalnum())


def question_about(task: Task, target: Item | None) -> str:
    """What a text of this task answers, in words for the page and the report."""
    name = "this product" if target is None else target.title
    return {
        "purchase_reason": f"Why did this shopper buy {name}?",
        "purchase_reason_explanation": f"What led this shopper to buy {name}?",
        "user_summary_brief": "Who is this shopper, in short?",
        "user_summary_long": "Who is this shopper, at length?",
        "user_profile": "What kind of shopper is this?",
        "product_endorsement": f"Why would {name} suit this shopper?",
    }[task]
