"""What the narrator writes and what is shown of it: slots and marks in place of all that can be looked up.

`Markup.write` turns a plain text into what is learned: facts of the target's listing (quotes.py), looks of
purchases and what the tally knows (tally.py) stand as slots, and claims that the gate understands get their
marks. `Markup.render` turns what was drawn into the text that is shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from crs.narrator.claims import Row
from crs.narrator.evidence import Evidence
from crs.narrator.gate import phrases, wordings
from crs.narrator.quotes import COLOR, MATERIAL, SLOTS, fill, hide, quotable
from crs.narrator.rules import WORD_SLOTS, Said
from crs.narrator.sentence import MARK, POINTER, Mention, Sentence, read, sentences
from crs.narrator.tally import (
    AIMINGS,
    AIMS,
    CIRCLE,
    EARLIER,
    FOR_AIMS,
    GAINS,
    GOODS,
    LATER,
    MARKS,
    NEED,
    NEEDING,
    PURPOSES,
    REASON_MARKS,
    TALLY_SLOTS,
    TIME_MARKS,
    Tally,
)
from knowledge.demo.grammar import gerund, starts_with_vowel

MARKUP = (*SLOTS, *TALLY_SLOTS, *MARKS)  # every token of markup
_MARKS = re.compile("(?:" + "|".join(map(re.escape, MARKS)) + ") ?")
_REASON_FIRST = re.compile(rf"((?:^|[.!?]\s)\s*)(?:{'|'.join(map(re.escape, REASON_MARKS))}) ?(\w)")
_LOOKS = {COLOR: "color", MATERIAL: "material"}
_LOOK_OF_PURCHASE = re.compile(
    r"(?:\b(?P<article>[Aa])n? )?"
    rf"(?P<slot>{'|'.join(map(re.escape, _LOOKS))}) "
    rf"(?=(?:{'|'.join(map(re.escape, (*_LOOKS, *MARKS)))}| )*\[(?P<k>\d+)\])"
)
_LOOK_TWICE = re.compile(rf"(?:(?:{'|'.join(map(re.escape, _LOOKS))}) ){{2,}}")
_BEFORE_TARGET = re.compile(
    rf"\b(an?|this|these) (?=(?:(?:{'|'.join(map(re.escape, _LOOKS))}) )*\[target\])", re.IGNORECASE
)
_ARTICLE = re.compile(r"\b([Aa])n? (?=(?:\[(?:\d+|target)\] )?([A-Za-z][\w'’-]*))")


class Markup:
    """The markup of texts that are told with ``evidence``."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.tally = Tally.of(evidence)
        counted = dict(self.tally.slots)
        if evidence.task == "user_profile":  # it is written in title case
            counted = {slot: text.title().replace(" And ", " and ") for slot, text in counted.items()}
        self._told = counted | (quotable(evidence.target) if evidence.target else {})

    @property
    def sayable(self) -> frozenset[str]:
        """The slots and marks that something stands behind, and those of the purchases' looks."""
        return frozenset(
            (
                *self._told,
                *self.tally.marks,
                *self.tally.phrases,
                *self.tally.ratings,
                *self._looks(),
                *(TIME_MARKS if len(self.evidence.items) > 1 else ()),
            )
        )

    def write(self, text: str) -> str:
        """``text`` with slots and marks; `render` gives it back, with other goods, purposes and gains."""
        written, done = "", 0
        for sentence in sentences(text):
            start = text.index(sentence, done)
            written += text[done:start] + self._write(sentence)
            done = start + len(sentence)
        return hide(written + text[done:], self.evidence.target)

    def render(self, text: str) -> str:
        """``text`` with every slot filled in and without marks; what is not known vanishes."""
        text = _LOOK_TWICE.sub(lambda run: " ".join(dict.fromkeys(run[0].split())) + " ", text)
        text = _BEFORE_TARGET.sub(self._counting_target, text)
        text = _LOOK_OF_PURCHASE.sub(self._look_of_purchase, text)
        text = _REASON_FIRST.sub(lambda found: found[1] + found[2].upper(), text)
        # Articles before listings are quoted, who write as they like.
        return fill(_ARTICLE.sub(_article, _MARKS.sub("", text)), self._told)

    def _looks(self) -> set[str]:
        listed = {name for item in self.evidence.items for name in item.attributes}
        return {slot for slot, name in _LOOKS.items() if name in listed}

    def _counting_target(self, found: re.Match[str]) -> str:
        """ "this" of one and "these" of a pair, and a pair is "a pair of"."""
        target = self.evidence.target
        kind = self.evidence.words.kinds.get(target.kind or "") if target else None
        if kind is None or (not kind.is_plural and found[1].lower() in ("a", "an")):
            return found[0]
        right = kind.a.removesuffix(kind.kind).strip()
        if found[1].lower() not in ("a", "an"):
            right = "these" if kind.is_plural else "this"
        return (right.capitalize() if found[1][0].isupper() else right) + " "

    def _look_of_purchase(self, found: re.Match[str]) -> str:
        item = self.evidence.item_at(int(found["k"]))
        look = item.attributes.get(_LOOKS[found["slot"]], "") if item else ""
        if not look:
            return f"{found['article']} " if found["article"] else ""
        article = f"{found['article']}{'n' if starts_with_vowel(look) else ''} " if found["article"] else ""
        return f"{article}{look} "

    def _write(self, text: str) -> str:
        sentence = read(text, self.evidence)
        skeleton = sentence.skeleton.lower()
        if len(skeleton) != len(sentence.skeleton):  # places would not be the same in both
            return text
        marks: dict[int, str] = {}
        edits: dict[tuple[int, int], str] = {}
        for row, pattern in wordings():
            for found in pattern.finditer(skeleton) if row.markup else ():
                self._mark(row, found, sentence, marks, edits)
        self._mark_uses(sentence, marks, edits)
        for found in re.finditer(MARK, skeleton):
            i = int(found[0][1:-1])
            edits[found.span()] = self._mention(text, sentence.mentions[i], marks.get(i, ""))
        written, done = "", 0
        for (start, end), words in sorted(edits.items()):
            if start >= done:  # two wordings may claim the same words
                written += sentence.skeleton[done:start] + words
                done = end
        return written + sentence.skeleton[done:]

    def _mark(
        self,
        row: Row,
        found: re.Match[str],
        sentence: Sentence,
        marks: dict[int, str],
        edits: dict[tuple[int, int], str],
    ) -> None:
        """Add what ``row`` has to say of ``found``, if it is true and all of it can be said by markup."""
        said = Said(sentence, self.evidence, found.groupdict())
        if not row.rule(said):
            return
        own_marks: dict[int, str] = {}
        own_edits: dict[tuple[int, int], str] = {}
        for slot, options in row.markup.items():
            text = said.slots.get(slot) if slot else ""
            if text is None:
                continue
            if options == TIME_MARKS:
                own_marks |= _in_time(slot, found, said)
                continue
            if not slot:
                own_edits[found.start(), found.start()] = options[0] + " "
            elif slot in WORD_SLOTS:
                words = said.words(slot)
                option = next((each for each in options if self._says(each, words)), "")
                end = found.end(slot)
                if not option or not text.endswith(words):
                    return
                own_edits[end - len(words), end] = option
            else:
                for i in map(int, re.findall(r"\d+", text)):
                    position = sentence.mentions[i].position
                    option = next((o for o in options if position in self.tally.marks.get(o, ())), "")
                    if position and not option:
                        return
                    own_marks[i] = option
        for i, mark in own_marks.items():
            marks.setdefault(i, mark)
        edits |= own_edits

    def _mark_uses(
        self, sentence: Sentence, marks: dict[int, str], edits: dict[tuple[int, int], str]
    ) -> None:
        """What the target's kind is for, brings and is needed for, and what purchases are needed for."""
        target = self.evidence.target
        kind = self.evidence.words.kinds.get(target.kind or "") if target else None
        rooms = [(kind.purposes, list(PURPOSES)), (kind.gains, list(GAINS))] if kind else []
        for found in self.evidence.words.circle_pattern.finditer(sentence.skeleton if target else ""):
            edits[found.start(), found.start()] = f"{CIRCLE} "
        for _, start in phrases(sentence, self.evidence.words.use_phrases):
            for told, slots in rooms:
                said = _said_at(start, sentence, told)
                if said and slots:
                    edits[start, start + len(said)] = slots.pop(0)
            for mark in (NEED, NEEDING):
                if sentence.skeleton.startswith(self.tally.phrases.get(mark, ()), start):
                    edits[start, start] = f"{mark} "
            for i, need in enumerate(self.tally.needs):
                for text, slot in ((need.to, AIMS[i]), (gerund(need.to), AIMINGS[i])):
                    if _said_at(start, sentence, [text]):
                        edits[start, start + len(text)] = slot
                        for k, mention in enumerate(sentence.mentions):
                            if mention.position in self.tally.marks[FOR_AIMS[i]]:
                                marks.setdefault(k, FOR_AIMS[i])

    def _says(self, slot: str, words: str) -> bool:
        """Whether ``slot`` stands for ``words``; any name of a department's goods will do."""
        if slot in GOODS:
            department = dict(zip(GOODS, self.tally.departments, strict=False)).get(slot)
            return department is not None and self.evidence.words.departments.get(words) == department
        return bool(words) and self.tally.slots.get(slot) == words

    def _mention(self, text: str, mention: Mention, mark: str) -> str:
        """A mention as written: its mark before the pointer, a purchase's color and material as slots."""
        words = text[slice(*mention.span)]
        pointer = POINTER.search(words)
        assert pointer is not None  # else it were no mention
        before = words[: pointer.start()]
        if mention.position and mention.item:
            for slot, name in (*_LOOKS.items(), *_LOOKS.items()):  # they come in either order
                if look := mention.item.attributes.get(name):
                    before = re.sub(rf"(?<![\w-]){re.escape(look)} (?=$|\[)", f"{slot} ", before)
        return before + (f"{mark} " if mark else "") + words[pointer.start() :]


def _in_time(slot: str, found: re.Match[str], said: Said) -> dict[int, str]:
    """The mark of the product in ``slot`` where it is one that comes after the other's in the sentence."""
    mentions = said.sentence.mentions
    if found.start(slot) == min(found.start("a"), found.start("b")) or len(said.all(slot)) > 1:
        return {}
    last = max(int(mark) for mark in re.findall(r"\d+", said.slots[slot] or ""))
    before = [mention.position for mention in mentions[:last]]
    if 0 in (*before, mentions[last].position):  # the target has no place among the purchases
        return {}
    if mentions[last].position < min(before):
        return {last: EARLIER}
    return {last: LATER} if mentions[last].position > max(before) else {}


def _article(found: re.Match[str]) -> str:
    """A or an, as the word behind it sounds."""
    return f"{found[1]}{'n' if starts_with_vowel(found[2]) else ''} "


def _said_at(start: int, sentence: Sentence, phrases: Sequence[str]) -> str:
    """The phrase that begins at ``start``, whatever its first letter's case; "" for none."""
    text = sentence.skeleton[start:].lower()
    return next((phrase for phrase in phrases if text.startswith(phrase.lower())), "")
