"""The steps of one turn: understand -> recall -> recommend -> narrate -> remember.

A step reads the `Conversation` (what is kept) and fills in the `Turn` (what lives for this message). Only
`remember` returns something to keep, so a turn that fails leaves the conversation as it was.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.messages import HumanMessage

from agents import comparison, note_phrasing, phrasing
from agents.catalogue import Catalogue
from agents.chips import N_CHIPS, chips_for
from agents.critique import refine
from agents.events import Answer, Card, Cards, Done, Event, Understood, Waiting
from agents.filters import Filters
from agents.lexicon import Lexicon
from agents.narrator_chat import NarratorChatModel, narration_of
from agents.note_steps import note_dislike, plan_on_notes, write_notes
from agents.openings import ABOUT_AN_ITEM, MAX_MESSAGE, Openings
from agents.people import People, guest_id
from agents.plan import Facet, Plan, Reference, Stated, Wishes, wishes_from_json
from agents.preferences import Preferences
from agents.questions import find_answers
from agents.references import InSight, choose, names_place, resolve, resolve_several
from agents.render import plain
from agents.search import N_CARDS, Search
from agents.several import kinds_in_turn, listed_first, one_at_a_time
from agents.speech import Speech
from agents.state import Conversation, Turn
from agents.understand import Planning, Situation, Understanding, is_short
from agents.words import plural
from knowledge.types import MAX_HISTORY, Constraints, Interaction, Item, Recommendation

if TYPE_CHECKING:
    from crs.shop import Shop
    from knowledge.memory import Person

Emit = Callable[[Event], None]

PLANNER = "RACONTEUR_PLANNER"  # names a language model that plans turns (agents/planner.py)
MAX_CANDIDATES = 4  # products a clarifying question can name
N_LIKED = 3  # purchases that "like my pens" follows
LIKED_FROM = 4  # stars of something stated
ENOUGH_LIKE = 0.25  # cosine between what was stated and the product that stands for it
_FINDING = frozenset({"recommend", "critique", "introduce"})


class Steps:
    """The steps over one shop; holds nothing of a conversation."""

    def __init__(self, shop: Shop, people: People) -> None:
        self.shop, self.people = shop, people
        self.catalogue = Catalogue(shop.items)
        self.lexicon = Lexicon(shop.vocabulary, self.catalogue.listing_words())
        self.filters = Filters(self.catalogue, self.lexicon)
        self.understanding = Understanding(shop.encoder, self.lexicon)
        self.preferences = Preferences(shop, self.catalogue, self.lexicon, self.understanding.wishes)
        self.search = Search(shop, self.filters, self.preferences)
        self.openings = Openings(shop, self.catalogue, self.preferences, self.search)
        self.narrator = NarratorChatModel(shop=shop)
        self.planner: Planning = self._open_planner()

    def _open_planner(self) -> Planning:
        """What makes plans of messages: a language model where one is named, else the understanding."""
        if not os.environ.get(PLANNER):
            return self.understanding
        from agents.planner import open_planner

        return open_planner(os.environ[PLANNER], self.understanding, self.lexicon, self.shop.vocabulary)

    def understand(self, conversation: Conversation, turn: Turn) -> None:
        """The message as a plan; its references are still words."""
        if not turn.message.strip():
            turn.plan = Plan("help")
        elif len(turn.message) > MAX_MESSAGE:
            turn.plan = Plan("out_of_scope")
        else:
            wishes = wishes_from_json(conversation["wishes"])
            searching = bool(conversation["shown"]) or bool(wishes)
            in_sight = bool(conversation["shown"] or conversation["focus"])
            situation = Situation(searching, wishes.constraints, in_sight)
            settled = self._answer_to_question(conversation, turn) or plan_on_notes(
                conversation, turn, self.people, self.understanding
            )
            turn.plan = settled or self.planner.plan(turn.message, situation)
            if settled is None or settled.intent == "about_me":
                plan_of = partial(self.understanding.plan, situation=situation)
                turn.plan, turn.later = one_at_a_time(turn.message, turn.plan, plan_of)

    def recall(self, conversation: Conversation, turn: Turn, emit: Emit) -> None:
        """Who is talking, with what they bought and stated, and which products the message points at."""
        turn.stated = [Interaction(**stated) for stated in conversation["stated"]]
        for stated in turn.plan.stated:
            self._note(stated, conversation, turn)
        turn.notes += turn.noted
        turn.person = self._person(conversation, turn.stated)
        if turn.plan.intent == "compare" and turn.plan.reference is not None:
            sight = self._sight(conversation, turn.person)
            compared = resolve_several(turn.plan.reference, sight, self.catalogue, comparison.MOST)
            turn.plan = replace(turn.plan, compared=listed_first(compared, sight.shown))
        elif turn.plan.reference is not None and turn.plan.target_id is None:
            self._resolve(conversation, turn, turn.person)
        emit(Understood(turn.plan))

    def recommend(self, conversation: Conversation, turn: Turn, emit: Emit) -> None:
        """Products to show: found by wishes, or the one that is talked about."""
        assert turn.person is not None
        plan, current = turn.plan, wishes_from_json(conversation["wishes"])
        shown = [self.shop.items[card["id"]] for card in conversation["shown"]]
        if plan.intent in _FINDING and not (plan.intent == "introduce" and not turn.person.history):
            turn.wishes = self._wishes(conversation, turn, current, shown)
            shape = partial(self.search.shaped, turn.person, turn.notes)
            shaped, turn.missing = kinds_in_turn(turn.wishes, shape, N_CARDS)
            turn.recommendations, turn.heeded = shaped.recommendations, shaped.heeded
            if turn.recommendations:
                plan = replace(plan, target_id=turn.recommendations[0].item.item_id)
        else:
            turn.wishes = current
            if plan.intent in ABOUT_AN_ITEM and plan.target_id:
                shares = _shares_of(plan.target_id, conversation)
                item = self.shop.items[plan.target_id]
                turn.recommendations = [Recommendation(item, 0.0, shares)]
            elif plan.compared:
                turn.recommendations = [
                    Recommendation(self.shop.items[i], 0.0, _shares_of(i, conversation))
                    for i in plan.compared
                ]
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
        speech = Speech(emit, self.shop.items, turn.person.history, target, n_stated=len(turn.stated))
        opening, in_the_way = self.openings.say(conversation, turn, rng)
        speech.say(opening)
        if plan.intent == "ask" and target is not None and not turn.asks:
            self._answer_from_listing(turn, speech, target)
        if self._can_tell(turn):
            for task in plan.tasks:
                if not turn.stop.is_set():
                    told = self.narrator.stream(
                        [HumanMessage(turn.message)],
                        person=turn.person, task=task, target_id=plan.target_id, seed=turn.seed,
                        stop_event=turn.stop, caller=conversation.get("owner"),
                        on_wait=lambda place: emit(Waiting(place)),
                    )  # fmt: skip
                    speech.tell(narration_of(told), task, turn.seed)
        if plan.intent == "why_this" and turn.recommendations and not turn.stop.is_set():
            speech.say(phrasing.shares_in_words(turn.recommendations[0].shares))
        if not turn.stop.is_set():
            speech.say(phrasing.left_for_later(turn.later))
        if (not conversation["messages"] or plan.intent == "help") and not turn.stop.is_set():
            speech.say(" ".join(self.shop.caveats))
        turn.answer = self._answer(conversation, turn, speech, in_the_way)

    def remember(self, conversation: Conversation, turn: Turn, emit: Emit) -> Conversation:
        """What the conversation keeps of this turn; a newcomer's statements go to the memory too."""
        assert turn.answer is not None and turn.person is not None
        plan, answer = turn.plan, turn.answer
        if conversation["user_id"] is None and plan.stated and turn.person.history:
            self.shop.remember(turn.person)
        write_notes(conversation, turn, self.people)
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
            return self.shop.newcomer(guest_id(conversation["conversation_id"]), stated[-MAX_HISTORY:])
        person = self.shop.person(user_id)
        if not stated and len(person.history) <= MAX_HISTORY:
            return person
        return self.shop.newcomer(user_id, [*person.history, *stated][-MAX_HISTORY:])

    def _note(self, stated: Stated, conversation: Conversation, turn: Turn) -> None:
        """Keep what was stated: a like as a purchase of a product that stands for it, a dislike as a note."""
        if stated.disliked:
            kinds = self.understanding.wishes(stated.words).constraints.kinds
            note_dislike(stated, plural(stated.words) if kinds else stated.words, conversation, turn)
            return
        found = self.understanding.wishes(stated.words)
        item = self._stand_in(stated.words, found)
        if item is None:
            turn.unmatched.append(stated.words)
            return
        user_id = conversation["user_id"] or guest_id(conversation["conversation_id"])
        turn.matched.append((stated.words, item.item_id))
        turn.stated.append(
            Interaction(user_id, item.item_id, int(time.time()), stated.rating, "", turn.message.strip())
        )

    def _stand_in(self, words: str, found: Wishes) -> Item | None:
        """The product nearest to what was said; None where nothing in the store is like it."""
        nobody = self.shop.newcomer("nobody")
        wishes = Wishes(replace(found.constraints, words=words))
        best = self.search.find(nobody, wishes, Wishes(), 1)
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
        in_sight = [*sight.shown, *([sight.focus] if sight.focus else [])]
        if in_sight and fits and not {*in_sight, *owned} & set(fits) and not self._names(plan.reference):
            fits = [sight.focus or sight.shown[0]]  # loose words, not the name of something else
        if plan.intent == "why_this" and fits and fits[0] in owned and fits[0] not in sight.shown:
            plan = replace(plan, intent="why_bought")
        if plan.intent == "why_bought":
            fits = [item_id for item_id in fits if item_id in owned]
        may_ask = conversation["question"] is None and plan.intent != "critique"
        is_told = plan.reference is not None and names_place(plan.reference.words)  # "the first two"
        if len(fits) > 1 and sight.focus in fits and sight.focus in sight.shown and not is_told:
            fits = [sight.focus]
        elif len(fits) > 1 and not owned & set(fits) and not set(sight.shown) & set(fits):
            fits = [self.search.best_for(person, fits)]
        if len(fits) > 1 and may_ask:
            turn.asks = True
            turn.plan = replace(plan, candidates=tuple(fits[:MAX_CANDIDATES]))
        else:
            turn.plan = replace(plan, target_id=fits[0] if fits else None)

    def _names(self, reference: Reference) -> bool:
        """Whether a reference names a kind of product or a brand."""
        return any(hit.field in ("kind", "brand") for hit in self.lexicon.find(reference.words))

    def _sight(self, conversation: Conversation, person: Person) -> InSight:
        shown = [card["id"] for card in conversation["shown"]]
        return InSight(shown, conversation["focus"], person.history)

    # recommend

    def _wishes(self, conversation: Conversation, turn: Turn, current: Wishes, shown: list[Item]) -> Wishes:
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

    # narrate

    def _answer_from_listing(self, turn: Turn, speech: Speech, target: Item) -> None:
        """Quote what the listing or a review says of what was asked."""
        question = self.lexicon.correct(turn.message)
        bought = self.shop.purchases_of(target.item_id)
        speech.answer(
            [
                phrasing.quoted(quote.sentence, quote.review)
                for quote in find_answers(question, target, bought, self.shop.encoder)
            ]
            or [phrasing.not_listed()]
        )

    def _can_tell(self, turn: Turn) -> bool:
        """Whether the narrator has something true to tell: a target where one is needed, else a history."""
        assert turn.person is not None
        if turn.asks:
            return False
        if turn.plan.intent == "about_me":
            return bool(turn.person.history)
        return turn.plan.target_id is not None

    def _answer(
        self, conversation: Conversation, turn: Turn, speech: Speech, in_the_way: list[tuple[Facet, ...]]
    ) -> Answer:
        assert turn.person is not None
        plan, person, segments = turn.plan, turn.person, speech.segments()
        cards = tuple(_card(each) for each in turn.recommendations)
        candidates = [self.shop.items[i] for i in plan.candidates] if turn.asks else []
        bought = person.history[: len(person.history) - len(turn.stated)]
        chips = chips_for(
            plan, speech.target, person.history, bought, self.shop.items, candidates, in_the_way
        )
        chips = chips if turn.asks else (*turn.later, *chips)[:N_CHIPS]
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
            chips=note_phrasing.FORGET_ME_CHIPS if turn.asks and plan.intent == "forget_me" else chips,
            told=tuple(speech.told),
            history_ids=tuple(interaction.item_id for interaction in person.history),
            seed=turn.seed,
            model=self.shop.storyteller.model.name,
            bundle=self.shop.bundle.version,
            stopped=turn.stop.is_set(),
            created_s=time.time(),
            table=turn.table,
        )


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
