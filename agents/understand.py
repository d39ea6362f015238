"""From a message to a `Plan` without a language model: examples by meaning, cues, the store's own words.

An intent's score is its nearest examples' mean cosine, half of what a ridge regression over all examples
gives it, and a bonus where one of its cues fits, where the message's wishes speak for it and where there are
products to speak of. Then each intent reads what it needs: wishes, references, style, things
stated.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from agents.introductions import parse_introduction
from agents.language import any_of
from agents.letting_go import LetGo, let_go
from agents.lexicon import Lexicon
from agents.owning import OWNED, asks_of_purchase, is_owned
from agents.parse_constraints import parse_constraints
from agents.plan import INTENTS, Change, Intent, Plan, Reference, Style, Wishes
from agents.read_critique import QUESTION, asks_anew, is_bare, is_concrete, narrows, parse_critique, refines
from agents.references import pointed_at, spelt_places, without_superlatives
from agents.words import WORD, words
from knowledge.types import Constraints

if TYPE_CHECKING:
    from crs.content import TextEncoder

N_NEAREST = 2  # examples an intent is judged by
RIDGE_SHARE, RIDGE_PENALTY = 0.5, 3.0
CUE_BONUS = 0.35
WISH_BONUS = 0.12  # a price, a brand, a kind: someone wants something
LIKE_BONUS = 0.2  # "something like my tent"
LEAST_SCORE = 0.0  # below it nothing was understood
IN_SIGHT = 0.15  # for what people say of products that are shown
NOTHING_SHOWN = 0.25  # taken from what is said about products where none is in sight and none is named

_MASKS = {"kind": "product", "brand": "that brand"}
_OF_WHAT_IS_SHOWN: tuple[Intent, ...] = (
    "critique", "why_this", "pitch", "pick_item", "ask", "compare",
)  # fmt: skip
_COURTESIES: tuple[Intent, ...] = ("greeting", "thanks")
_ABOUT_PRODUCTS = ("why_bought", "why_this", "pitch", "pick_item", "ask", "compare")
_IS_NAME = re.compile(r" (?:one|ones|\w+ (?:one|ones))\b")
_LIKE = re.compile(
    rf"{any_of('likening')} (?P<what>(?:my|the|that|this|what i|one i|those|these|it)\b.*?)"
    r"(?=$|[,.;!?]| (?:but|under|below|around|less|for|only|cheaper|without|not|in|and|at|please)\b|"
    r" that (?:is|costs?)\b)"
)
_SENTENCE_END = re.compile(r"[.!?;\n]+\s+")
_ASKS = re.compile(
    r"(?:how|is|are|does|do|can|will|would|what|whats|has|have|any|which|fits?|holds?|works?|comes?|needs?|takes?|lasts?|runs?|good|safe|"
    r"ok|okay)\b|.*(?:\?|\bor (?:no|not|nah|naw)\b[ .!]*$)"
)
_GUESSES_GROUNDS = re.compile(  # "is it because of the tent i bought"
    r"\b(?:is|was|are|were) (?:it|this|that|they|these|those) (?:just |only )?"
    r"(?:because|cause|due to|based on|down to)\b"
)
_LIKE_A_PERSON = re.compile(
    r"\b(?:beginner|novice|newbie|person|people|someone|somebody|kid|kids|child|children|guy|man|woman|girl|boy|lady|"
    r"player|learner|student|teen|toddler|day|place|weather)(?:er)? $"
)
_ONLY_A_PLACE = re.compile(r"(?:the )?(?:first|second|third|fourth|fifth|last|middle)(?: one)?[.!?]*")
_OTHERS_PURCHASES = re.compile(any_of("others_purchases"))
_FOR_WHOM = re.compile(any_of("for_whom") + r"[ .!]*")
_POINTS = frozenset(
    WORD.findall("my our your the that this these those why is are does do can which what how i we")
)
_POINTING_AT = re.compile(r"\b(?:my|one|ones|first|second|third|two|three)\b")
_FIVE_WORDS, _LONG = re.compile(any_of("five_words")), re.compile(any_of("long"))


@dataclass(frozen=True, slots=True)
class Situation:
    """What understanding must know of the conversation: is a search under way, and for which wishes."""

    searching: bool = False
    constraints: Constraints = Constraints()
    in_sight: bool = False  # products are shown or talked about


class Planning(Protocol):
    """What makes a plan of a message: `Understanding`, or `agents.planner.Planner` before it."""

    def plan(self, message: str, situation: Situation = ...) -> Plan: ...


class Understanding:
    """Reads messages; made once, shared by conversations, keeps nothing of them."""

    def __init__(self, encoder: TextEncoder, lexicon: Lexicon) -> None:
        self._encoder, self._lexicon = encoder, lexicon
        phrases = tomllib.loads((Path(__file__).parent / "phrases.toml").read_text("utf-8"))
        self._cues = {intent: [re.compile(cue) for cue in phrases[intent]["cues"]] for intent in INTENTS}
        examples = [(intent, text) for intent in INTENTS for text in phrases[intent]["examples"]]
        self._intent_of = np.array([INTENTS.index(intent) for intent, _ in examples])
        texts = [self._masked(spelt_places(lexicon.correct(text))) for _, text in examples]
        self._examples = encoder.encode(texts)  # (n_examples, 384)
        changes = phrases["critique"]["changes"]
        self._change_of = [cast(Change, change) for change in changes for _ in changes[change]]
        wordings = [lexicon.correct(text) for each in changes.values() for text in each]
        self._changes = encoder.encode(wordings)  # (n_wordings, 384)
        self._weights = _ridge(self._examples, self._intent_of)  # (385, n_intents)

    def plan(self, message: str, situation: Situation = Situation()) -> Plan:
        """The plan of one message; its references are still words (see `agents.references`)."""
        text = self._lexicon.correct(message)
        like = _like(text)
        dropped = let_go(_without(text, like), self._lexicon, situation.constraints)
        wishes = _refusing(parse_constraints(dropped.rest, self._lexicon), dropped)
        intent, confidence = self._intent(text, wishes, like is not None, bool(dropped.facets), situation)
        plan = Plan(intent, confidence=confidence)
        if intent == "recommend":
            return replace(plan, wishes=wishes, like=like)
        if intent == "critique":
            plan = parse_critique(plan, text, dropped, self._narrowed(wishes, situation), like)
            says_how = plan.change or plan.relax or plan.wishes or plan.like
            if not says_how:
                plan = replace(plan, change=self._nearest_change(text))
            return self.refer(plan, text, owned=False)
        if intent == "about_me":
            return replace(plan, style=_style(text))
        pointing = self._pointed(text) if intent == "ask" else text
        if intent == "why_this":  # "why the last one? is it because i bought a tent" is about the card
            pointing = _GUESSES_GROUNDS.split(text)[0] or text
        of_cards = situation.in_sight and intent == "why_this"  # whatever it says of purchases
        owned = not of_cards and is_owned(text, self._lexicon, in_sight=situation.in_sight)
        return self.refer(plan, pointing, owned=owned)

    def refer(self, plan: Plan, text: str, *, owned: bool) -> Plan:
        """The plan with what its message points at or states, read from ``text`` in normal form."""
        if plan.intent == "introduce":
            return replace(plan, stated=parse_introduction(text))
        if plan.intent in _ABOUT_PRODUCTS:
            return replace(plan, reference=Reference(text, owned or plan.intent == "why_bought"))
        if plan.intent == "critique" and plan.change not in ("", "more"):
            return replace(plan, reference=Reference(without_superlatives(text)))
        return plan

    def _nearest_change(self, text: str) -> Change:
        """The change whose examples a critique comes nearest to, for one that does not say what is wrong."""
        nearness = self._changes @ self._encoder.encode([self._parts(text)[0]])[0]  # (n_examples,)
        return self._change_of[int(nearness.argmax())]

    def _narrowed(self, wishes: Wishes, situation: Situation) -> Wishes:
        """The wishes without kinds that only repeat, in short, what is looked for already."""
        kinds = tuple(kind for kind in wishes.constraints.kinds if not self._repeats(kind, situation))
        return replace(wishes, constraints=replace(wishes.constraints, kinds=kinds))

    def _repeats(self, kind: str, situation: Situation) -> bool:
        return bool({kind, *self._lexicon.names_of("kind", kind)} & set(situation.constraints.kinds))

    def _pointed(self, text: str) -> str:
        """The part of a question that says which product it is about: "the second", "my blue kettle"."""
        hits = [hit for hit in self._lexicon.find(text) if hit.field != "department"]
        names = [
            text[hit.start : hit.end]
            for hit in hits
            if hit.field != "color" or _IS_NAME.match(text, hit.end)  # "the blue one", not "come in blue"
        ]
        return pointed_at(text, names)

    def wishes(self, text: str) -> Wishes:
        """The wishes in a text, whatever its intent."""
        return parse_constraints(self._lexicon.correct(text), self._lexicon)

    def texts(self, message: str) -> list[str]:
        """All that `plan` encodes of a message: its substance, and its sentences where it has several."""
        parts = self._parts(self._lexicon.correct(message))
        return [parts[0], *(self._masked(part) for part in parts)]

    def scores(self, text: str) -> dict[Intent, float]:
        """Each intent's score for a text in normal form, the best of the whole and of its sentences."""
        parts = self._parts(text)
        rows = self._encoder.encode([self._masked(part) for part in parts])
        nearness = rows @ self._examples.T  # (n_parts, n_examples)
        ridge = rows @ self._weights[:-1] + self._weights[-1]  # (n_parts, n_intents)
        scores: dict[Intent, float] = {}
        for number, intent in enumerate(INTENTS):
            nearest = np.sort(nearness[:, self._intent_of == number])[:, -N_NEAREST:].mean(axis=1)
            cued = [any(cue.search(part) for cue in self._cues[intent]) for part in parts]
            by_part = nearest + RIDGE_SHARE * ridge[:, number] + CUE_BONUS * np.array(cued)
            # thanks and greetings that open or close a request are not what it is about
            scores[intent] = float(by_part[0] if intent in _COURTESIES else by_part.max())
        return scores

    def _parts(self, text: str) -> list[str]:
        text = spelt_places(self._substance(text))
        sentences = [part for part in _SENTENCE_END.split(text) if words(part)]
        if len(sentences) > 1 and any(_ASKS.match(part) for part in sentences):
            sentences = [part for part in sentences if not _ONLY_A_PLACE.fullmatch(part)]
            return [text, *sentences]  # "second one. how loud?" takes nothing
        return [text, *sentences] if len(sentences) > 1 else [text]

    def _masked(self, text: str) -> str:
        """The text with each kind of product as "product": what is wanted says nothing of what to do."""
        for hit in reversed(self._lexicon.find(text)):
            if hit.field in ("kind", "brand"):
                text = f"{text[: hit.start]}{_MASKS[hit.field]}{text[hit.end :]}"
        return text

    def _opens_with_kind(self, text: str) -> bool:
        """Whether a message begins with what is looked for: a kind, at most two words before it."""
        first = next(iter(self._lexicon.find(text)), None)
        before = words(text[: first.start]) if first else []
        return first is not None and first.field == "kind" and len(before) <= 2 and not _POINTS & set(before)

    def _is_cued(self, text: str, besides: Intent | None = None) -> bool:
        return any(
            cue.search(text) for intent, cues in self._cues.items() if intent != besides for cue in cues
        )

    def _substance(self, text: str) -> str:
        """The text without sentences of mere courtesy, where it says more ("Hi! I need a tent.")."""
        sentences = _SENTENCE_END.split(text)
        said = [part for part in sentences if not self._is_courtesy(part)]
        return ". ".join(said) if said and len(said) < len(sentences) else text

    def _is_courtesy(self, sentence: str) -> bool:
        return not words(sentence) or any(
            cue.search(sentence) for intent in ("greeting", "thanks") for cue in self._cues[intent]
        )

    def _intent(
        self, text: str, wishes: Wishes, likes: bool, lets_go: bool, situation: Situation
    ) -> tuple[Intent, float]:
        wishes = self._narrowed(wishes, situation)
        scores = self.scores(text)
        if is_bare(wishes) and not self._is_cued(text):
            scores["recommend"] += CUE_BONUS  # "umbrella please" names what is wanted and nothing else
        elif self._opens_with_kind(text) and not self._is_cued(text, besides="introduce"):
            scores["recommend"] += CUE_BONUS  # "kite! for a windy beach"
        if _OTHERS_PURCHASES.search(text):
            scores["out_of_scope"] += 2 * CUE_BONUS
        if is_concrete(wishes) or likes:
            scores["recommend"] += WISH_BONUS + LIKE_BONUS * likes
            scores["critique"] += WISH_BONUS
        if situation.searching and (lets_go or narrows(text, wishes)):
            scores["critique"] += CUE_BONUS
        if situation.searching and _FOR_WHOM.fullmatch(text):
            return "critique", 1.0  # "for my kid": of what is looked for
        if asks_of_purchase(text, self._lexicon):
            scores["ask"] += CUE_BONUS
            scores["why_bought"] -= CUE_BONUS
        if not (situation.in_sight or QUESTION.search(text) or OWNED.search(text)):
            scores["ask"] -= NOTHING_SHOWN  # nothing is asked, and of nothing
        if situation.in_sight and _GUESSES_GROUNDS.search(text):
            scores["why_bought"] -= CUE_BONUS
        if situation.in_sight:
            scores["out_of_scope"] -= IN_SIGHT
            for about_shown in _OF_WHAT_IS_SHOWN:
                scores[about_shown] += IN_SIGHT
        named = wishes.constraints.kinds or wishes.constraints.brands or _POINTING_AT.search(text)
        if not (situation.in_sight or named):
            for about_products in ("ask", "compare"):
                scores[about_products] -= NOTHING_SHOWN
        intent = max(scores, key=lambda each: scores[each])
        confidence = round(scores[intent], 3)
        if scores[intent] < LEAST_SCORE:
            return ("recommend" if is_concrete(wishes) else "out_of_scope"), confidence
        asked = wishes.constraints
        if intent in ("introduce", "help") and (asked.max_price or asked.min_price):
            intent = "recommend"  # a budget is for something to buy
        if intent == "critique" and (
            not situation.searching or asks_anew(text, wishes, situation.constraints)
        ):
            intent = "recommend"
        elif intent == "recommend" and situation.searching and refines(text, wishes, likes):
            intent = "critique"
        return intent, confidence


def _ridge(rows: np.ndarray, intent_of: np.ndarray) -> np.ndarray:
    """Weights (d + 1, n_intents) of a ridge regression an intent: 1 where an example is of it, -1 elsewhere.

    Intents count alike, however many examples they have; the last row is the bias.
    """
    n, n_intents = len(rows), len(INTENTS)
    wanted = -np.ones((n, n_intents))
    wanted[np.arange(n), intent_of] = 1.0
    weight = 1.0 / np.bincount(intent_of, minlength=n_intents)[intent_of]
    weight *= n / weight.sum()
    inputs = np.hstack([rows, np.ones((n, 1))])  # (n, d + 1)
    weighted = inputs * weight[:, None]
    penalty = RIDGE_PENALTY * np.eye(inputs.shape[1])
    return np.asarray(np.linalg.solve(inputs.T @ weighted + penalty, weighted.T @ wanted))


def _like(text: str) -> Reference | None:
    """The product a message wants something like ("like my kettle, but blue")."""
    match = _LIKE.search(text)
    if match and _LIKE_A_PERSON.search(text[: match.start()]):
        return None  # "any good for a beginner like that"
    return Reference(match["what"], bool(OWNED.search(match["what"]))) if match else None


def _refusing(wishes: Wishes, dropped: LetGo) -> Wishes:
    """The wishes, and no more of what was let go without having been wished for ("lose the Acme ones")."""
    if not dropped.refused:
        return wishes
    asked = wishes.constraints
    brands = [hit.name for hit in dropped.refused if hit.field == "brand"]
    colors = [hit.name for hit in dropped.refused if hit.field == "color"]
    refusing = replace(
        asked,
        not_brands=tuple(dict.fromkeys([*asked.not_brands, *brands])),
        not_colors=tuple(dict.fromkeys([*asked.not_colors, *colors])),
    )
    return replace(wishes, constraints=refusing)


def _without(text: str, like: Reference | None) -> str:
    return text if like is None else text.replace(like.words, " ; ", 1)


def _style(text: str) -> Style:
    if _FIVE_WORDS.search(text):
        return "five_words"
    return "long" if _LONG.search(text) else "brief"


def is_short(message: str) -> bool:
    """Whether a message is short enough to be the answer to a question."""
    return len(words(message)) <= 8
