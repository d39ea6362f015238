"""The steps of one turn: understand -> recall -> recommend -> narrate -> remember.

A step reads the `Conversation` (what is kept) and fills in the `Turn` (what lives for this message). Only
`remember` returns something to keep, so a turn that fails leaves the conversation as it was.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from langchain_core.messages import HumanMessage

from agents import phrasing
from agents.catalogue import Catalogue
from agents.chips import chips_for
from agents.critique import merge, refine, relax
from agents.events import Answer, Card, Cards, Done, Event, Understood, Waiting
from agents.filters import Filters
from agents.lexicon import Lexicon
from agents.narrator_chat import NarratorChatModel, narration_of
from agents.plan import Facet, Plan, Stated, Wishes, wishes_from_json
from agents.references import InSight, choose, resolve
from agents.render import plain
from agents.speech import Speech
from agents.state import Conversation, Turn
from agents.understand import Situation, Understanding, is_short
from knowledge.types import MAX_HISTORY, Constraints, Interaction, Item, Recommendation

if TYPE_CHECKING:
    from crs.shop import Shop
    from knowledge.memory import Person

Emit = Callable[[Event], None]

MAX_MESSAGE = 1_000  # characters
N_CARDS = 5
MAX_CANDIDATES = 4  # products a clarifying question can name
N_LIKED = 3  # purchases that "like my pens" follows
LIKED_FROM = 4  # stars of something stated
ENOUGH_LIKE = 0.25  # cosine between what was stated and the product that stands for it
_RELAXABLE: tuple[Facet, ...] = ("price", "color", "brand", "kind", "department", "words")
_ABOUT_AN_ITEM = frozenset({"why_this", "pitch", "pick_item"})
_FINDING = frozenset({"recommend", "critique", "introduce"})


class Steps:
    """The steps over one shop; holds nothing of a conversation."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.catalogue = Catalogue(shop.items)
        self.lexicon = Lexicon(shop.vocabulary, self.catalogue.listing_words())
        self.filters = Filters(self.catalogue, self.lexicon)
        self.understanding = Understanding(shop.encoder, self.lexicon)
        self.narrator = NarratorChatModel(shop=shop)

    def understand(self, conversation: Conversation, turn: Turn) -> None:
        """The message as a plan; its references are still words."""
        if not turn.message.strip():
            turn.plan = Plan("help")
        elif len(turn.message) > MAX_MESSAGE:
            turn.plan = Plan("out_of_scope")
        else:
            wishes = wishes_from_json(conversation["wishes"])
            searching = bool(conversation["shown"]) or bool(wishes)
            situation = Situation(searching, wishes.constraints)
            turn.plan = self._answer_to_question(conversation, turn) or self.understanding.plan(
                turn.message, situation
            )

    def recall(self, conversation: Conversation, turn: Turn, emit: Emit) -> None:
        """Who is talking, with what they bought and stated, and which products the message points at."""
        turn.disliked = wishes_from_json(conversation["disliked"])
        turn.stated = [Interaction(**stated) for stated in conversation["stated"]]
        for stated in turn.plan.stated:
            self._note(stated, conversation, turn)
        turn.person = self._person(conversation, turn.stated)
        if turn.plan.reference is not None and turn.plan.target_id is None:
            self._resolve(conversation, turn, turn.person)
        emit(Understood(turn.plan))

    def recommend(self, conversation: Conversation, turn: Turn, emit: Emit) -> None:
        """Products to show: found by wishes, or the one that is talked about."""
        assert turn.person is not None
        plan, current = turn.plan, wishes_from_json(conversation["wishes"])
        shown = [self.shop.items[card["id"]] for card in conversation["shown"]]
        if plan.intent in _FINDING and not (plan.intent == "introduce" and not turn.person.history):
            turn.wishes = self._wishes(conversation, turn, current, shown)
            turn.recommendations = self._find(turn.person, turn.wishes, turn.disliked, N_CARDS)
            if turn.recommendations:
                plan = replace(plan, target_id=turn.recommendations[0].item.item_id)
        else:
            turn.wishes = current
            if plan.intent in _ABOUT_AN_ITEM and plan.target_id:
                shares = _shares_of(plan.target_id, conversation)
                item = self.shop.items[plan.target_id]
                turn.recommendations = [Recommendation(item, 0.0, shares)]
            elif turn.asks:
                turn.recommendations = [Recommendation(self.shop.items[i], 0.0, {}) for i in plan.candidates]
        turn.plan = plan
        if turn.recommendations:
            emit(Cards(tuple(turn.recommendations)))

    def narrate(self, conversation: Conversation, turn: Turn, emit: Emit) -> None:
        """Say the answer: the assistant's connecting sentences, then the narrator."""
        assert turn.person is not None
        rng, plan = random.Random(turn.seed), turn.plan
        target = self.shop.items[plan.target_id] if plan.target_id else None
        speech = Speech(emit, self.shop.items, turn.person.history, target)
        opening, in_the_way = self._opening(turn, rng)
        speech.say(opening)
        if self._can_tell(turn):
            for task in plan.tasks:
                if not turn.stop.is_set():
                    told = self.narrator.stream(
                        [HumanMessage(turn.message)],
                        person=turn.person, task=task, target_id=plan.target_id, seed=turn.seed,
                        stop_event=turn.stop, on_wait=lambda place: emit(Waiting(place)),
                    )  # fmt: skip
                    speech.tell(narration_of(told), task, turn.seed)
        if plan.intent == "why_this" and turn.recommendations and not turn.stop.is_set():
            speech.say(phrasing.shares_in_words(turn.recommendations[0].shares))
        if (not conversation["messages"] or plan.intent == "help") and not turn.stop.is_set():
            speech.say(" ".join(self.shop.caveats))
        turn.answer = self._answer(conversation, turn, speech, in_the_way)

    def remember(self, conversation: Conversation, turn: Turn, emit: Emit) -> Conversation:
        """What the conversation keeps of this turn; a newcomer's statements go to the memory too."""
        assert turn.answer is not None and turn.person is not None
        plan, answer = turn.plan, turn.answer
        if conversation["user_id"] is None and plan.stated and turn.person.history:
            self.shop.remember(turn.person)
        shown = [{"id": card.id, "shares": dict(card.shares)} for card in answer.items]
        # "something cheaper" that leads nowhere is not held against the next wish
        is_dead_end = bool(plan.change) and not answer.items
        emit(Done(answer))
        return {
            "messages": [
                *conversation["messages"],
                {"role": "user", "text": turn.message[:MAX_MESSAGE], "answer": None, "attempt": turn.attempt},
                {"role": "assistant", "text": answer.text, "answer": answer.to_json()},
            ],
            "stated": [asdict(stated) for stated in turn.stated],
            "disliked": asdict(turn.disliked),
            "wishes": conversation["wishes"] if is_dead_end else asdict(turn.wishes),
            "shown": shown if plan.intent in _FINDING and shown else conversation["shown"],
            "focus": plan.target_id or conversation["focus"],
            "question": plan.to_json() if turn.asks else None,
        }

    # understand

    def _answer_to_question(self, conversation: Conversation, turn: Turn) -> Plan | None:
        """The plan that waited for "which one do you mean?", where this message says which."""
        if conversation["question"] is None or not is_short(turn.message):
            return None
        asked = Plan.from_json(conversation["question"])
        meant = choose(self.lexicon.correct(turn.message), asked.candidates, self.catalogue)
        if not meant or len(meant) == len(asked.candidates):
            return None
        return replace(asked, target_id=meant[0], candidates=())

    # recall

    def _person(self, conversation: Conversation, stated: list[Interaction]) -> Person:
        user_id = conversation["user_id"]
        if user_id is None:
            return self.shop.newcomer(guest_id(conversation), stated[-MAX_HISTORY:])
        person = self.shop.person(user_id)
        if not stated and len(person.history) <= MAX_HISTORY:
            return person
        return self.shop.newcomer(user_id, [*person.history, *stated][-MAX_HISTORY:])

    def _note(self, stated: Stated, conversation: Conversation, turn: Turn) -> None:
        """Keep what was stated: a like as a purchase of a product that stands for it, a dislike as a wish."""
        found = self.understanding.wishes(stated.words)
        if stated.disliked:
            turn.disliked = merge(turn.disliked, _refusing(found))
            return
        item = self._stand_in(stated.words, found)
        if item is None:
            turn.unmatched.append(stated.words)
            return
        user_id = conversation["user_id"] or guest_id(conversation)
        turn.matched.append((stated.words, item.item_id))
        turn.stated.append(
            Interaction(user_id, item.item_id, int(time.time()), stated.rating, "", turn.message.strip())
        )

    def _stand_in(self, words: str, found: Wishes) -> Item | None:
        """The product nearest to what was said; None where nothing in the store is like it."""
        nobody = self.shop.newcomer("nobody")
        wishes = Wishes(replace(found.constraints, words=words))
        best = self._find(nobody, wishes, Wishes(), 1)
        if not best:
            return None
        item = best[0].item
        if found.constraints.kinds or found.constraints.brands:
            return item
        about = f"{item.title}, {item.kind or ''}, {item.department or ''}. {item.description}"
        said, listed = self.shop.encoder.encode([words, about])
        return item if float(said @ listed) >= ENOUGH_LIKE else None

    def _resolve(self, conversation: Conversation, turn: Turn, person: Person) -> None:
        """Fill in the plan's target, or the candidates to ask about."""
        plan = turn.plan
        assert plan.reference is not None
        sight = self._sight(conversation, person)
        owned = {interaction.item_id for interaction in person.history}
        fits = resolve(plan.reference, sight, self.catalogue)
        if plan.intent == "why_this" and fits and fits[0] in owned and fits[0] not in sight.shown:
            plan = replace(plan, intent="why_bought")
        if plan.intent == "why_bought":
            fits = [item_id for item_id in fits if item_id in owned]
        may_ask = conversation["question"] is None and plan.intent != "critique"
        if len(fits) > 1 and sight.focus in fits and sight.focus in sight.shown:
            fits = [sight.focus]
        elif len(fits) > 1 and not owned & set(fits) and not set(sight.shown) & set(fits):
            fits = [self._best_for(person, fits)]
        if len(fits) > 1 and may_ask:
            turn.asks = True
            turn.plan = replace(plan, candidates=tuple(fits[:MAX_CANDIDATES]))
        else:
            turn.plan = replace(plan, target_id=fits[0] if fits else None)

    def _best_for(self, person: Person, item_ids: list[str]) -> str:
        """Of products that a name fits equally well, the one this person would be recommended first."""
        kinds = {kind.lower() for i in item_ids if (kind := self.shop.items[i].kind)}
        wishes = Constraints(kinds=tuple(sorted(kinds)))
        ranked = self.shop.recommend(person, wishes, len(self.shop.items))
        return next((each.item.item_id for each in ranked if each.item.item_id in item_ids), item_ids[0])

    def _sight(self, conversation: Conversation, person: Person) -> InSight:
        shown = [card["id"] for card in conversation["shown"]]
        return InSight(shown, conversation["focus"], person.history)

    # recommend

    def _wishes(
        self, conversation: Conversation, turn: Turn, current: Wishes, shown: list[Item]
    ) -> Wishes:
        """What to look for now: a new search starts afresh, a critique builds on the one before."""
        plan = turn.plan
        assert turn.person is not None
        wishes = plan.wishes
        if plan.intent == "critique":
            about = self.shop.items[plan.target_id] if plan.target_id else (shown[0] if shown else None)
            wishes = refine(current, plan, about, shown)
        if plan.like is not None and plan.change != "more_like":
            sight = self._sight(conversation, turn.person)
            liked = tuple(resolve(plan.like, sight, self.catalogue)[:N_LIKED])
            asked = wishes.constraints
            if liked:
                asked = replace(asked, like_ids=liked)
            else:
                asked = replace(asked, words=f"{asked.words} {plan.like.words}".strip())
            wishes = replace(wishes, constraints=asked)
        if conversation["user_id"] is None and not _says_what(wishes.constraints):
            # All that is known of a newcomer is what they said they like.
            likes = [each.item_id for each in turn.stated if (each.rating or 0) >= LIKED_FROM]
            asked = replace(wishes.constraints, like_ids=tuple(likes[-N_LIKED:]))
            wishes = replace(wishes, constraints=asked)
        return self.filters.priced(wishes)

    def _find(self, person: Person, wishes: Wishes, disliked: Wishes, k: int) -> list[Recommendation]:
        """At most ``k`` products that fit the wishes and nothing disliked."""
        # what is wished for now outweighs an earlier dislike
        return self.shop.recommend(person, self.filters.of(merge(disliked, wishes)), k)

    def _in_the_way(self, turn: Turn) -> list[Facet]:
        """The facets whose wishes, dropped one by one, would let something through."""
        assert turn.person is not None
        blocking: list[Facet] = []
        for facet in _RELAXABLE:
            relaxed = relax(turn.wishes, facet)
            if relaxed != turn.wishes and self._find(turn.person, relaxed, turn.disliked, 1):
                blocking.append(facet)
        return blocking

    # narrate

    def _can_tell(self, turn: Turn) -> bool:
        """Whether the narrator has something true to tell: a target where one is needed, else a history."""
        assert turn.person is not None
        if turn.asks:
            return False
        if turn.plan.intent == "about_me":
            return bool(turn.person.history)
        return turn.plan.target_id is not None

    def _opening(self, turn: Turn, rng: random.Random) -> tuple[str, list[Facet]]:
        """The assistant's sentence before the narrator's, and the facets that keep all products out."""
        assert turn.person is not None
        plan, n_purchases = turn.plan, len(turn.person.history)
        if turn.asks:
            return phrasing.which_one([self.shop.items[i] for i in plan.candidates]), []
        if not turn.message.strip():
            return phrasing.nothing_said(), []
        if len(turn.message) > MAX_MESSAGE:
            return phrasing.too_long(len(turn.message), MAX_MESSAGE), []
        if plan.intent == "introduce":
            matched = [(words, self.shop.items[item_id]) for words, item_id in turn.matched]
            refused = phrasing.refused(turn.disliked) if any(s.disliked for s in plan.stated) else []
            return phrasing.introduced(rng, matched, turn.unmatched, refused), []
        if plan.intent in ("recommend", "critique"):
            if turn.recommendations:
                found = len(turn.recommendations)
                return phrasing.recommending(rng, found, turn.wishes, n_purchases), []
            in_the_way = self._in_the_way(turn)
            return phrasing.nothing_fits(turn.wishes, in_the_way), in_the_way
        if plan.intent == "why_bought" and plan.target_id is None:
            return (phrasing.not_bought(rng) if n_purchases else phrasing.no_history()), []
        if plan.intent in _ABOUT_AN_ITEM and plan.target_id is None:
            return phrasing.not_found(), []
        if plan.intent == "about_me":
            return ("" if n_purchases else phrasing.no_history()), []
        sentences: Mapping[str, Callable[[], str]] = {
            "greeting": lambda: phrasing.greeting(rng, n_purchases),
            "help": lambda: phrasing.help_text(rng),
            "thanks": lambda: phrasing.thanks(rng),
            "out_of_scope": lambda: phrasing.out_of_scope(rng),
            "pick_item": lambda: phrasing.picked(rng),
        }
        return sentences.get(plan.intent, str)(), []

    def _answer(
        self, conversation: Conversation, turn: Turn, speech: Speech, in_the_way: list[Facet]
    ) -> Answer:
        assert turn.person is not None
        plan, person, segments = turn.plan, turn.person, speech.segments()
        cards = tuple(_card(each) for each in turn.recommendations)
        candidates = [self.shop.items[i] for i in plan.candidates] if turn.asks else []
        return Answer(
            message_id=uuid.uuid4().hex,
            conversation_id=conversation["conversation_id"],
            user_id=person.user_id,
            intent=plan.intent,
            constraints=_set_fields(turn.wishes) if plan.intent in _FINDING else {},
            items=cards,
            text=plain(segments),
            segments=segments,
            cites=speech.cites(),
            chips=chips_for(plan, speech.target, person.history, self.shop.items, candidates, in_the_way),
            told=tuple(speech.told),
            history_ids=tuple(interaction.item_id for interaction in person.history),
            seed=turn.seed,
            model=self.shop.storyteller.model.name,
            bundle=self.shop.bundle.version,
            stopped=turn.stop.is_set(),
            created_s=time.time(),
        )


def guest_id(conversation: Conversation) -> str:
    """The id under which someone new is remembered."""
    return f"guest-{conversation['conversation_id']}"


def _shares_of(item_id: str, conversation: Conversation) -> Mapping[str, float]:
    """The signal shares with which an item was shown; empty where it was not."""
    return next((card["shares"] for card in conversation["shown"] if card["id"] == item_id), {})


def _card(recommendation: Recommendation) -> Card:
    item = recommendation.item
    shares = dict(recommendation.shares)
    return Card(item.item_id, item.title, item.price, item.brand, recommendation.score, shares)


def _set_fields(wishes: Wishes) -> dict[str, Any]:
    """The wishes that are set, by name, ready for JSON."""
    fields = asdict(wishes.constraints) | {"avoid": wishes.avoid, "price": wishes.price}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in fields.items()
        if value not in (None, (), "")
    }


def _says_what(asked: Constraints) -> bool:
    """Whether a wish names what sort of thing is wanted."""
    return bool(asked.words or asked.kinds or asked.departments or asked.like_ids)


def _refusing(found: Wishes) -> Wishes:
    """What was named, as something to leave out."""
    named = found.constraints
    refused = Constraints(
        not_brands=named.brands,
        not_colors=named.colors,
        not_kinds=named.kinds,
        not_departments=named.departments,
    )
    return Wishes(refused, avoid=tuple(named.words.split()))
