"""The claims of narratives, counted by the checker that the sentence gate uses (check, gate.py).

Side by side: what is said "before" the gate, what is shown "after" it, and the "references" where there are
some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from crs.evaluation.occasions import Occasion
from crs.evaluation.telling import Told
from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.gate import Claim, check, is_finished, loops
from crs.narrator.sentence import sentences
from knowledge.store import Store

Side = Literal["before", "after", "references"]


@dataclass
class Checked:
    """What texts claim: claims and wrong ones by kind, sentences and those with a wrong claim."""

    claims: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    n_sentences: int = 0
    n_wrong_sentences: int = 0

    def add(self, text: str, evidence: Evidence) -> None:
        """Check ``text`` sentence by sentence, as the gate does.

        That a sentence is no loop and does not break off counts as a claim of each.
        """
        told = ""
        for sentence in sentences(text):
            claims = check(sentence, evidence)
            claims.append(Claim("loop", sentence, not loops(sentence, told, evidence)))
            claims.append(Claim("ending", sentence[-1:], is_finished(sentence, evidence.task)))
            told += sentence + " "
            self.claims.update(claim.kind for claim in claims)
            self.wrong.update(claim.kind for claim in claims if not claim.holds)
            self.n_sentences += 1
            self.n_wrong_sentences += any(not claim.holds for claim in claims)

    def __add__(self, other: Checked) -> Checked:
        return Checked(
            self.claims + other.claims,
            self.wrong + other.wrong,
            self.n_sentences + other.n_sentences,
            self.n_wrong_sentences + other.n_wrong_sentences,
        )


def evidence_of(occasion: Occasion, store: Store, words: StoreWords) -> Evidence:
    """What the narrative of ``occasion`` is held against; ``words`` are the store's."""
    return Evidence.of(occasion.history(store), store.items, occasion.task, occasion.target(store), words)


def check_sides(told: Sequence[Told], store: Store, words: StoreWords) -> dict[Side, Checked]:
    """All sides of ``told``; without "references" where none has one."""
    sides: dict[Side, Checked] = {"before": Checked(), "after": Checked()}
    for each in told:
        evidence = evidence_of(each.occasion, store, words)
        if each.ungated:
            sides["before"].add(each.ungated.text, evidence)
        sides["after"].add(each.shown.text, evidence)
        if each.occasion.reference:
            sides.setdefault("references", Checked()).add(each.occasion.reference, evidence)
    return sides


def claims_report(told: Sequence[Told], sides: Mapping[Side, Checked]) -> dict[str, dict[str, Any]]:
    """By kind: claims, wrong ones and the share that is right, for each side; what the gate rejected."""
    rejected = sum((Counter(each.shown.rejected) for each in told), Counter[str]())
    kinds = {kind for checked in sides.values() for kind in checked.claims} | set(rejected)
    report: dict[str, dict[str, Any]] = {}
    for kind in sorted(kinds):
        figures: dict[str, Any] = {}
        for side, checked in sides.items():
            n, n_wrong = checked.claims[kind], checked.wrong[kind]
            figures |= {side: n, f"wrong_{side}": n_wrong}
            if n:
                figures[f"right_{side}"] = 1 - n_wrong / n
        report[kind] = figures | {"rejected": rejected[kind]}
    return report


def sentences_report(told: Sequence[Told], sides: Mapping[Side, Checked]) -> dict[str, Any]:
    """For each side sentences, those with a wrong claim, their share; texts that fell back or were cut."""
    figures: dict[str, Any] = {"n": len(told)}
    for side, checked in sides.items():
        figures |= {side: checked.n_sentences, f"wrong_{side}": checked.n_wrong_sentences}
        figures[f"share_wrong_{side}"] = checked.n_wrong_sentences / max(1, checked.n_sentences)
    figures["plain_statements"] = sum(each.shown.is_plain for each in told)
    figures["empty"] = sum(not each.shown.text.strip() for each in told)
    figures["at_length_limit"] = sum(each.shown.cut for each in told)
    return figures
