"""Simulated shoppers: what they say, what they never say, and what is counted."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from fake_shop import ITEMS, FakeShop

from agents.simulator.goal import Goal, facet, plain_color, round_budget
from agents.simulator.persona import STYLES, Persona, draw_persona
from agents.simulator.play import Exchange, Played, Stage, fingerprint, play_all
from agents.simulator.report import figures
from agents.simulator.shopper import HABITS, Habit, Message, Shopper
from agents.simulator.wording import phrases, say, wish
from agents.words import STOPWORDS, singular, words
from crs.recommender import color_of
from crs.shop import Shop
from knowledge.store import Store
from knowledge.types import Constraints, Item

COLORS = sorted({color for item in ITEMS.values() if (color := color_of(item))})
PLACES = ("first", "second", "third", "fourth", "fifth")
PERSONA = Persona("need", ("kind", "color", "brand", "budget"), 6, "plain", 0.0, shortens=False)


def shopper(item_id: str, persona: Persona = PERSONA, habit: Habit = "critiques", seed: int = 0) -> Shopper:
    return Shopper(Goal(ITEMS[item_id]), persona, ITEMS, COLORS, habit=habit, seed=seed)


def talk(one: Shopper, rng: random.Random, item_ids: list[str]) -> list[tuple[Message, list[str]]]:
    """All that a shopper says, each message with the cards it answers, when shown cards at random."""
    said = [(one.opening(), list[str]())]
    while True:
        cards = rng.sample([i for i in item_ids if i != one.goal.item_id], rng.choice((0, 1, 5)))
        message = one.reaction(cards)
        if message is None:
            return said
        said.append((message, cards))


def test_no_title_leaks(demo_store: Store) -> None:
    """Beyond brand, kind and color, which can be asked for, no word of a title is said."""
    rng = random.Random(1)
    items, item_ids = demo_store.items, demo_store.item_ids
    colors = {color for item in items.values() if (color := color_of(item))}
    for user_id, goal_id in demo_store.held_out.items():
        goal = Goal(items[goal_id])
        askable = {word for need in goal.needs for word in words(goal.value(need) or "")}
        named = {word for word in words(items[goal_id].title) if word not in STOPWORDS}
        secret = {word for word in named if singular(word) not in askable} - askable
        for habit in HABITS:
            persona = draw_persona(rng, goal.needs)
            one = Shopper(goal, persona, items, colors, habit=habit, seed=user_id)
            for message, _ in talk(one, rng, item_ids):
                assert not secret & set(words(message.text)), (items[goal_id].title, message.text)
                assert goal_id not in message.text


def test_critiques_are_true_of_the_goal_and_of_the_cards(demo_store: Store) -> None:
    rng = random.Random(2)
    items = {i: item for i, item in demo_store.items.items() if item.kind in ("tent", "kettle")}
    colors = {color for item in items.values() if (color := color_of(item))}
    seen = set()
    for number in range(200):
        goal = items[rng.choice(list(items))]
        one = Shopper(Goal(goal), PERSONA, items, colors, habit="critiques", seed=number)
        for message, cards in talk(one, rng, list(items)):
            seen.add(message.act)
            if message.act == "cheaper":
                assert cast(float, goal.price) < cast(float, items[cards[0]].price)
            if message.act == "other_brand":
                assert goal.brand != items[cards[0]].brand
            if message.act == "not_color":
                assert color_of(goal) not in message.text.split()
            if message.act == "more_like":
                place = next(at for at, name in enumerate(PLACES) if name in message.text)
                assert items[cards[place]].kind == goal.kind
            for need in message.needs:
                assert (one.goal.value(need) or "?") in message.text.lower()
    assert seen - {"more"} == {"ask", "tell", "cheaper", "other_brand", "not_color", "more_like"}


def test_a_shopper_knows_the_product_by_its_id_and_gives_up_at_last() -> None:
    one = shopper("i2", replace(PERSONA, patience=4))
    assert one.opening().text
    assert not one.found(["i1", "i3"])
    assert [one.reaction(["i1", "i3"]) is None for _ in range(4)] == [False, False, False, True]
    assert one.found(["i5", "i2"]) and one.reaction(["i2"]) is None
    impatient = shopper("i2")
    impatient.opening()
    assert impatient.reaction([]) is not None and impatient.reaction([]) is None  # nothing twice


def test_controls_tell_or_ask_for_more_whatever_the_cards() -> None:
    asks = shopper("i2", habit="more")
    asks.opening()
    reactions = [asks.reaction(["i6"]) for _ in range(4)]
    assert {message.act for message in reactions if message} == {"more"}
    tells = shopper("i2", habit="needs")
    opening = tells.opening()
    reactions = [tells.reaction(["i2x"]) for _ in range(4)]
    told = [need for message in [opening, *reactions] if message for need in message.needs]
    assert told == ["kind", "color", "brand", "budget"]
    assert {message.act for message in reactions if message} == {"tell", "more"}


def test_needs_in_words() -> None:
    rng = random.Random(0)
    assert wish(rng, {"kind": "umbrella"}) == "an umbrella"
    assert wish(rng, {"kind": "ukulele"}) == "a ukulele"
    assert wish(rng, {"kind": "work gloves", "color": "blue"}) == "some work gloves in blue"
    assert wish(rng, {"budget": "40"}).startswith("something ") and "$40" in wish(rng, {"budget": "40"})
    assert [round_budget(price) for price in (7.0, 15.0, 61.0, 219.0)] == [10.0, 15.0, 70.0, 250.0]
    assert plain_color("storm blue", {"blue"}) == "blue"
    assert plain_color("slate gray", {"blue"}) == "slate gray"
    assert plain_color("black and tan", {"tan"}) == "black and tan"
    priceless = Item("x", "Thing", kind="thing")
    assert Goal(priceless).needs == ("kind",) and facet(priceless, "brand") is None
    assert not Goal(ITEMS["i1"]).is_met("budget", priceless)


def test_filters_leave_the_goal_in_or_out() -> None:
    goal = Goal(ITEMS["i2"])  # Tarnwick kettle, rust red, $24.50
    for asked in (
        Constraints(), Constraints(max_price=24.5, kinds=("kettle", "teapot"), not_colors=("white",)),
    ):  # fmt: skip
        assert goal.is_let_through(asked)
    for asked in (
        Constraints(max_price=24.49), Constraints(min_price=30.0), Constraints(kinds=("teapot",)),
        Constraints(not_brands=("tarnwick",)), Constraints(exclude_ids=("i2",)),
    ):  # fmt: skip
        assert not goal.is_let_through(asked)


def test_every_act_can_be_said_in_every_style() -> None:
    rng = random.Random(0)
    for act in phrases():
        texts = {style: say(rng, act, style, needs={"kind": "teapot"}, value="red") for style in STYLES}  # type: ignore[arg-type]
        assert all(texts.values()) and "{" not in "".join(texts.values())
        assert texts["sloppy"] == texts["sloppy"].lower()


def fake_shop() -> FakeShop:
    shop = FakeShop()
    shop.bundle.store = SimpleNamespace(held_out={"anna": "i2", "ben": "i12"})
    return shop


def test_conversations_go_through_the_assistant_without_a_narrative(tmp_path: Path) -> None:
    shop = fake_shop()
    kept_in = tmp_path / "kept" / "conversations.jsonl"
    played = play_all(lambda: Stage(cast(Shop, shop)), ["anna", "ben"], kept_in)
    assert [(each.user_id, each.habit) for each in played] == [
        (user_id, habit) for user_id in ("anna", "ben") for habit in HABITS
    ]
    assert shop.narrated == []
    openings = {(each.user_id, each.exchanges[0].said) for each in played}
    assert len(openings) == 2  # the same first message, whatever the habit
    found = [each for each in played if each.turns_to_success]
    assert found and all(each.exchanges[-1].found and not each.exchanges[-1].shut_out for each in found)

    lines = kept_in.read_text().splitlines()
    kept_in.write_text("\n".join(lines[:3]) + '\n{"user_id": "an')  # killed while it wrote
    assert play_all(lambda: Stage(cast(Shop, fake_shop())), ["anna", "ben"], kept_in) == played

    def nobody() -> Stage:
        raise AssertionError("everything was played before")

    assert play_all(nobody, ["anna", "ben"], kept_in) == played


def test_the_file_of_conversations_is_named_by_bundle_and_code() -> None:
    assert fingerprint("a") == fingerprint("a") != fingerprint("b")


def _played(user_id: str, habit: Habit, n: int, *, found: bool, shut_out: bool = False) -> Played:
    exchanges = [
        Exchange("said", "tell", ("kind",), "critique", 5, shut_out, found and at == n)
        for at in range(1, n + 1)
    ]
    return Played(user_id, habit, 0, PERSONA, tuple(exchanges))


def test_figures_by_hand() -> None:
    played = [
        _played("a", "critiques", 2, found=True),
        _played("b", "critiques", 4, found=True),
        _played("c", "critiques", 6, found=True),  # too late
        _played("d", "critiques", 2, found=False, shut_out=True),
        *(_played(user_id, "needs", 1, found=False) for user_id in "abcd"),
        _played("a", "more", 1, found=True),
        *(_played(user_id, "more", 1, found=False) for user_id in "bcd"),
    ]
    report = figures(played)
    critiques = report["habits"]["critiques"]
    assert [critiques[f"success@{k}"] for k in (1, 2, 3, 4, 5)] == [0.0, 0.25, 0.25, 0.5, 0.5]
    assert critiques["success"] == 0.75 and critiques["turns to success"] == 4.0
    low, high = critiques["success@5 95%"]
    assert 0.0 <= low < 0.5 < high <= 1.0
    assert report["critiques help"]["over more"]["times"] == 2.0
    assert report["critiques help"]["over needs"] == {"times": None, "95%": None}
    assert report["by"]["opening"]["need"]["success@5, more"] == 0.25
    assert report["messages"]["tell"] == {"said": 14, "not a wish": 0, "shut out": 1}


@pytest.mark.parametrize("habit", HABITS)
def test_the_same_seed_says_the_same(habit: Habit) -> None:
    said = [
        [message.text for message, _ in talk(shopper("i9", habit=habit), random.Random(4), list(ITEMS))]
        for _ in range(2)
    ]
    assert said[0] == said[1]
