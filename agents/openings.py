"""The assistant's sentences before the narrator's: what was found, asked, guessed or not understood."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from agents import comparison, note_phrasing, phrasing, wish_phrasing
from agents.catalogue import Catalogue
from agents.note_steps import say_on_notes
from agents.plan import NOTE_INTENTS, Facet
from agents.preferences import Preferences
from agents.render import short_title
from agents.search import Search
from agents.state import Conversation, Turn
from knowledge.types import Constraints

if TYPE_CHECKING:
    from crs.shop import Shop

MAX_MESSAGE = 1_000  # characters
ABOUT_AN_ITEM = frozenset({"why_this", "pitch", "pick_item", "ask"})


class Openings:
    """The first sentences of an answer; holds nothing of a conversation."""

    def __init__(self, shop: Shop, catalogue: Catalogue, preferences: Preferences, search: Search) -> None:
        self._shop, self._catalogue, self._preferences, self._search = shop, catalogue, preferences, search

    def say(
        self, conversation: Conversation, turn: Turn, rng: random.Random
    ) -> tuple[str, list[tuple[Facet, ...]]]:
        """The assistant's sentences, and the wishes that keep all products out."""
        assert turn.person is not None
        plan, n_purchases = turn.plan, len(turn.person.history)
        is_guest = conversation["user_id"] is None
        if plan.intent in NOTE_INTENTS:
            return say_on_notes(turn), []
        if turn.asks:
            return phrasing.which_one([self._shop.items[i] for i in plan.candidates]), []
        if not turn.message.strip():
            return phrasing.nothing_said(), []
        if len(turn.message) > MAX_MESSAGE:
            return phrasing.too_long(len(turn.message), MAX_MESSAGE), []
        if plan.intent == "introduce":
            matched = [(words, self._shop.items[item_id]) for words, item_id in turn.matched]
            refused = wish_phrasing.refused(self._preferences.unwanted(turn.noted))
            return phrasing.introduced(rng, matched, turn.unmatched, refused), []
        if plan.intent in ("recommend", "critique"):
            if turn.recommendations:
                return self._recommending(conversation, turn, rng), []
            in_the_way = self._search.in_the_way(turn.person, turn.notes, turn.wishes)
            nothing = wish_phrasing.nothing_fits(turn.wishes, in_the_way)
            return f"{nothing} {note_phrasing.in_the_way(turn.heeded)}".strip(), list(in_the_way)
        if plan.intent == "why_bought" and plan.target_id is None:
            return (phrasing.not_bought(rng) if n_purchases else phrasing.no_history()), []
        if plan.intent == "why_bought":
            return self._guessing(turn), []
        if plan.intent in ABOUT_AN_ITEM and plan.target_id is None:
            return phrasing.not_found(), []
        if plan.intent == "compare":
            return self._compare(turn), []
        if plan.intent == "about_me" and turn.kept is not None:
            history = turn.person.history
            told = {each.item_id for each in turn.stated}
            return note_phrasing.known(history, self._shop.items, turn.notes, turn.kept, told), []
        if plan.intent == "about_me":
            return ("" if n_purchases else phrasing.no_history()), []
        sentences: Mapping[str, Callable[[], str]] = {
            "greeting": lambda: phrasing.greeting(rng, n_purchases, told=is_guest),
            "help": lambda: phrasing.help_text(rng),
            "thanks": lambda: phrasing.thanks(rng),
            "out_of_scope": lambda: phrasing.out_of_scope(rng),
            "pick_item": lambda: phrasing.picked(rng),
        }
        return sentences.get(plan.intent, str)(), []

    def _recommending(self, conversation: Conversation, turn: Turn, rng: random.Random) -> str:
        """The line above the cards."""
        assert turn.person is not None
        plan, wishes, is_guest = turn.plan, turn.wishes, conversation["user_id"] is None
        unlisted = self._unlisted(plan.wishes.constraints)
        asked = wishes.constraints
        found = tuple(kind for kind in asked.kinds if kind not in turn.missing)
        words = "" if unlisted else asked.words
        wishes = replace(wishes, constraints=replace(asked, kinds=found, words=words))
        # what a newcomer likes is looked for whether they ask for it or not
        is_like = plan.like is not None or plan.change == "more_like" or not is_guest
        likes = [short_title(self._shop.items[i]) for i in wishes.constraints.like_ids if is_like]
        wished, n_purchases = wish_phrasing.describe(wishes, likes), len(turn.person.history)
        said = [phrasing.unlisted(unlisted)]
        if wished or not unlisted:
            first = not conversation["shown"]
            basis = phrasing.basis(n_purchases, told=is_guest, said=bool(words), first=first)
            n_items, more = len(turn.recommendations), plan.change == "more"
            said.append(phrasing.recommending(rng, wished, basis, n_items=n_items, more=more))
        if wished and not n_purchases and not conversation["shown"]:
            said.append(phrasing.by_wish_alone())
        said += [phrasing.missing(turn.missing), note_phrasing.heeded(turn.heeded)]
        return " ".join(filter(None, said))

    def _guessing(self, turn: Turn) -> str:
        """The line before a reason, which nobody told."""
        assert turn.person is not None and turn.plan.target_id is not None
        target_id = turn.plan.target_id
        is_first = turn.person.history[0].item_id == target_id
        stated = any(each.item_id == target_id for each in turn.stated)
        return phrasing.guessing(self._shop.items[target_id], told=stated, is_first=is_first)

    def _unlisted(self, asked: Constraints) -> str:
        """The words of a wish that names nothing listed: one or two that no listing says together, or
        more of which no listing says a single one."""
        if asked.kinds or asked.departments or asked.like_ids or not asked.words:
            return ""
        saying = [self._catalogue.saying(word) for word in asked.words.split()]
        is_said = frozenset.intersection(*saying) if len(saying) <= 2 else any(saying)
        return "" if is_said else asked.words

    def _compare(self, turn: Turn) -> str:
        """The table of the products to compare, and the line above it."""
        items = [self._shop.items[item_id] for item_id in turn.plan.compared]
        if len(items) < 2:
            return phrasing.nothing_to_compare()
        bought = {item.item_id: self._shop.purchases_of(item.item_id) for item in items}
        turn.table = comparison.compare(items, bought.__getitem__)
        return comparison.in_words(items, bought.__getitem__)
