"""The auto-rater of REGEN, section 3.3: a language model scores narratives, several times over.

Every case is judged by an ensemble of calls that differ in their seed. A reply that cannot be used is counted
and asked for again with another seed; after `ATTEMPTS` the run is recorded as missing. No score is guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from statistics import mean
from typing import Protocol

from crs.evaluation.rater.cases import ATTRIBUTES, Attribute, Case
from crs.evaluation.rater.prompts import Question, question
from crs.evaluation.rater.votes import final_score, stage_confidence
from crs.llm.chat import ChatModel, Completion
from crs.llm.json_reply import BrokenReply, Flaw, read_json
from crs.llm.kept import Usage
from knowledge.store import Store

ATTEMPTS = 4  # the first and three more
MAX_RUNS = 100  # seeds of one attempt; the next attempt's begin after them


class Progress(Protocol):
    """Told after every run of a case: what is done, how many of how many, and a detail to show beside it."""

    def __call__(self, stage: str, done: int, total: int, detail: str = "", /) -> None:
        """See the class."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How the ensemble is asked: ``runs`` calls a case, paper 10 to 15; ``parallel`` of them at once."""

    runs: int = 10
    temperature: float = 0.7
    seed: int = 0
    max_tokens: int = 1024
    parallel: int = 1


@dataclass(frozen=True, slots=True)
class Ballot:
    """One run of one case: all replies, the flaws of those not used, the votes (none where it is missing)."""

    scores: dict[Attribute, int] = field(default_factory=dict)
    confidences: dict[Attribute, int] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)
    replies: list[Completion] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rating:
    """What the ensemble came to for one case; of a case whose every run is missing there are no scores.

    ``votes``: the scores of the runs that answered. ``confidence``: by plurality, averaged over the
    attributes; ``mean_confidence``: the plain mean of all votes on confidence.
    """

    case: Case
    scores: dict[Attribute, int]
    votes: dict[Attribute, list[int]]
    confidence: float | None
    mean_confidence: float | None
    n_missing: int
    flaws: Counter[Flaw]
    usage: Usage  # of all replies, those kept from an earlier run included


def rate(
    cases: Sequence[Case],
    store: Store,
    model: ChatModel,
    settings: Settings,
    progress: Progress | None = None,
) -> Iterator[Rating]:
    """The rating of each case, in order. Put a `KeptChat` in front of the model, and a stopped run goes on.

    Raises ModelError or BusyError when the model fails, NotFoundError when the store lacks a user or item.
    """
    asked = [question(case, store) for case in cases]
    runs = [(each, run) for each in asked for run in range(settings.runs)]
    usage, n_flaws, n_done = Usage(), 0, 0
    pool = ThreadPoolExecutor(settings.parallel)
    waits = True  # what is under way is paid for: it is waited for, and kept
    try:
        ballots = pool.map(lambda pair: cast_ballot(pair[0], model, settings, pair[1]), runs)
        for case in cases:
            cast = []
            for ballot in islice(ballots, settings.runs):
                cast.append(ballot)
                n_done += 1
                n_flaws += len(ballot.flaws)
                for reply in ballot.replies:
                    usage.add(reply)
                if progress:
                    broken = f", {n_flaws} broken replies" if n_flaws else ""
                    progress("rate", n_done, len(runs), f"{usage}{broken}")
            yield rating_of(case, cast)
    except KeyboardInterrupt:
        waits = False  # unless somebody is in a hurry; closing the model then ends it
        raise
    finally:
        pool.shutdown(waits, cancel_futures=True)


def cast_ballot(asked: Question, model: ChatModel, settings: Settings, run: int) -> Ballot:
    """Ask once more about a case, until a reply can be used or the attempts are used up."""
    ballot = Ballot()
    for attempt in range(ATTEMPTS):
        reply = model.complete(
            asked.messages,
            schema=asked.schema,
            temperature=settings.temperature,
            seed=settings.seed + attempt * MAX_RUNS + run,
            max_tokens=settings.max_tokens,
        )
        ballot.replies.append(reply)
        judged = read_json(reply, asked.schema)
        if isinstance(judged, BrokenReply):
            ballot.flaws.append(judged.flaw)
            continue
        for attribute in ATTRIBUTES[asked.case.stage]:
            ballot.scores[attribute] = int(judged[attribute]["score"])
            ballot.confidences[attribute] = int(judged[attribute]["confidence"])
        break
    return ballot


def rating_of(case: Case, ballots: Sequence[Ballot]) -> Rating:
    """Count the votes of a case (votes.py)."""
    cast = [ballot for ballot in ballots if ballot.scores]
    attributes = ATTRIBUTES[case.stage] if cast else ()
    votes = {attribute: [ballot.scores[attribute] for ballot in cast] for attribute in attributes}
    confidences = {attribute: [ballot.confidences[attribute] for ballot in cast] for attribute in attributes}
    usage = Usage()
    for reply in (reply for ballot in ballots for reply in ballot.replies):
        usage.add(reply)
    return Rating(
        case=case,
        scores={attribute: final_score(scores) for attribute, scores in votes.items()},
        votes=votes,
        confidence=stage_confidence(confidences.values()) if cast else None,
        mean_confidence=mean(vote for each in confidences.values() for vote in each) if cast else None,
        n_missing=len(ballots) - len(cast),
        flaws=Counter(flaw for ballot in ballots for flaw in ballot.flaws),
        usage=usage,
    )
