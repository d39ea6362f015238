"""How people say what they want, refuse, let go and add: classes of wording, many of each."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest

from agents.critique import refine
from agents.letting_go import let_go
from agents.lexicon import Lexicon
from agents.parse_constraints import parse_constraints
from agents.plan import Plan, Wishes
from agents.read_critique import parse_critique
from knowledge.types import Constraints

COLORS = """
black, blue, burgundy, cream, golden, green, honey, mustard, navy, orange, pink, red, rose, rust, teal,
terracotta, white, yellow"""
KINDS = """
apron, board game, candle, card game, cat scratcher, chew toy, computer mouse, curtain, cushion, bath
towel, daypack, desk lamp, table lamp, dog bed, dog leash, fountain pen, gym towel, guitar strap,
hammock, headlamp, hiking poles, ink bottle, jigsaw puzzle, kettle, keyboard, laptop sleeve, litter mat,
packing cube, pet bowl, pet carrier, mixing bowl, planter, ring binder, saucepan, sketchbook, sleeping
bag, stapler, storage jar, suitcase, tape measure, teapot, tent, throw blanket, tote bag, ukulele,
umbrella, wall clock, water bottle, watering can, wool socks, work gloves, yoga mat"""
VOCABULARY = SimpleNamespace(
    brands=("Birchwold", "Heronspar", "Kestrow", "Loomandra", "Nimbury", "Saltrowan"),
    colors=tuple(" ".join(COLORS.split()).split(", ")),
    departments=("Pets", "Tech", "Tools", "Garden", "Kitchen"),
    kinds=tuple(" ".join(KINDS.split()).split(", ")),
)
LISTED = {"plastic", "leather", "wool", "cotton", "steel", "glass", "pockets", "metal"}
LOOSE = ("words", "like_ids", "exclude_ids")


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon(VOCABULARY, LISTED)  # type: ignore[arg-type]


def read(text: str, lexicon: Lexicon) -> Wishes:
    return parse_constraints(let_go(lexicon.correct(text), lexicon).rest, lexicon)


def read_critique(text: str, lexicon: Lexicon) -> Plan:
    text = lexicon.correct(text)
    dropped = let_go(text, lexicon)
    return parse_critique(Plan("critique"), text, dropped, parse_constraints(dropped.rest, lexicon))


def said(wishes: Wishes) -> dict[str, Any]:
    """What is set, lists in alphabetical order."""
    found = {field.name: getattr(wishes.constraints, field.name) for field in fields(Constraints)}
    found |= {"avoid": wishes.avoid, "price": wishes.price}
    return {
        name: tuple(sorted(value)) if isinstance(value, tuple) else value
        for name, value in found.items()
        if value and name not in LOOSE
    }


def expected(wanted: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(sorted(value)) if isinstance(value, tuple) else value for name, value in wanted.items()
    }


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("cat scratcher no sisal no carpet", {"kinds": ("cat scratcher",), "avoid": ("sisal", "carpet")}),
        ("curtains, anything but blue", {"kinds": ("curtain",), "not_colors": ("blue",)}),
        ("a kettle without plastic", {"kinds": ("kettle",), "avoid": ("plastic",)}),
        ("plastic-free water bottle", {"kinds": ("water bottle",), "avoid": ("plastic",)}),
        ("water bottle free of bpa", {"kinds": ("water bottle",), "avoid": ("bpa",)}),
        ("non-leather guitar strap", {"kinds": ("guitar strap",), "avoid": ("leather",)}),
        (
            "i'm allergic to wool so a throw blanket in cotton",
            {"kinds": ("throw blanket",), "avoid": ("wool",)},
        ),
        ("i hate yellow, a tent please", {"kinds": ("tent",), "not_colors": ("yellow",)}),
        ("my mum loathes pink, cushion for her", {"kinds": ("cushion",), "not_colors": ("pink",)}),
        ("any colour bar white, bath towels", {"kinds": ("bath towel",), "not_colors": ("white",)}),
        ("everything except Tools", {"not_departments": ("tools",)}),
        ("a tote bag by anyone but Loomandra", {"kinds": ("tote bag",), "not_brands": ("loomandra",)}),
        ("anybody but Kestrow, keyboards", {"kinds": ("keyboard",), "not_brands": ("kestrow",)}),
        (
            "im done w Heronspar, a daypack from somebody else",
            {"kinds": ("daypack",), "not_brands": ("heronspar",)},
        ),
        ("fed up with Nimbury. dog bed", {"kinds": ("dog bed",), "not_brands": ("nimbury",)}),
        ("a planter. terracotta is a no-go", {"kinds": ("planter",), "not_colors": ("terracotta",)}),
        ("a planter but green is out", {"kinds": ("planter",), "not_colors": ("green",)}),
        ("umbrella, never ever black", {"kinds": ("umbrella",), "not_colors": ("black",)}),
        ("saucepan, no glass lid", {"kinds": ("saucepan",), "avoid": ("glass",)}),
        ("sleeping bag, nothing with feathers in it", {"kinds": ("sleeping bag",), "avoid": ("feathers",)}),
        ("i have no clue about tents, show me some", {"kinds": ("tent",)}),
        ("a tent, no rush", {"kinds": ("tent",)}),
        ("no idea what to get, something under 20", {"max_price": 20}),
        ("fountain pen + ink", {"kinds": ("fountain pen", "ink bottle")}),
        ("fountain pen and some ink", {"kinds": ("fountain pen", "ink bottle")}),
        ("sketchbook for ink", {"kinds": ("sketchbook",)}),
        ("morning honey, any teapots?", {"kinds": ("teapot",)}),
        ("thanks honey. a blue kettle", {"kinds": ("kettle",), "colors": ("blue",)}),
        ("a teapot in honey", {"kinds": ("teapot",), "colors": ("honey",)}),
        ("for my niece Rose, a ukulele", {"kinds": ("ukulele",)}),
        ("my daughter wants a rose ukulele", {"kinds": ("ukulele",), "colors": ("rose",)}),
        ("bowl for my golden retriever", {"kinds": ("bowl",)}),
        ("is there anything on sale for black friday, tents", {"kinds": ("tent",)}),
        ("something to light my way at night", {}),
        ("a headtorch", {"kinds": ("headlamp",)}),
        ("settee cushion", {"kinds": ("cushion",)}),
        ("a knapsack", {"kinds": ("daypack",)}),
        ("trekking poles", {"kinds": ("hiking poles",)}),
        ("a torch for my head", {"kinds": ("headlamp",)}),
        ("mat that goes under the litter", {"kinds": ("litter mat",)}),
        ("waffle maker", {}),
        ("a towel for the gym", {"kinds": ("gym towel",)}),
        ("toaster under 30", {"max_price": 30}),
        ("i'd like something nice but posh", {"price": "premium"}),
        ("pens are sorted, now a stapler", {"kinds": ("stapler",)}),
        ("thats the leash done. next a dog bed", {"kinds": ("dog bed",)}),
        ("a lamp for the desk, white or cream", {"kinds": ("desk lamp",), "colors": ("white", "cream")}),
        ("keyboard and mouse, both black", {"kinds": ("keyboard", "computer mouse"), "colors": ("black",)}),
        ("a case for my laptop", {"kinds": ("laptop sleeve",)}),
        ("work gloves, not leather or suede", {"kinds": ("work gloves",), "avoid": ("leather", "suede")}),
        ("tents. i have no garden btw", {"kinds": ("tent",)}),
        ("no returns? a kettle please", {"kinds": ("kettle",)}),
        ("a dog bed, my dog hates fleece", {"kinds": ("dog bed",), "avoid": ("fleece",)}),
        ("an apron with no pockets", {"kinds": ("apron",), "avoid": ("pockets",)}),
        ("apron without pockets", {"kinds": ("apron",), "avoid": ("pockets",)}),
        (
            "i don't want a metal one, a watering can in green",
            {"kinds": ("watering can",), "colors": ("green",), "avoid": ("metal",)},
        ),
        ("anything that isnt plastic, storage jars", {"kinds": ("storage jar",), "avoid": ("plastic",)}),
        ("no to plastic. planters", {"kinds": ("planter",), "avoid": ("plastic",)}),
        ("candles, unscented, 20 tops", {"kinds": ("candle",), "max_price": 20}),
        ("i want neither red nor blue, a kettle", {"kinds": ("kettle",), "not_colors": ("red", "blue")}),
        ("suitcases but Saltrowan can stay on the shelf", {"kinds": ("suitcase",), "brands": ("saltrowan",)}),
        (
            "cushion covers? no just cushions, not mustard not rust",
            {"kinds": ("cushion",), "not_colors": ("mustard", "rust")},
        ),
        ("pots for my plants between 10 & 20", {"kinds": ("planter",), "min_price": 10, "max_price": 20}),
        (
            "a ring binder in red or, failing that, burgundy",
            {"kinds": ("ring binder",), "colors": ("red", "burgundy")},
        ),
        ("no preference on colour, a wall clock", {"kinds": ("wall clock",)}),
        ("wall clock in any colour", {"kinds": ("wall clock",)}),
        ("wool socks, colour's up to you", {"kinds": ("wool socks",)}),
        (
            "ukulele but my brother hates orange so not that",
            {"kinds": ("ukulele",), "not_colors": ("orange",)},
        ),
        ("pet carrier for a 12 pound cat, max fifty", {"kinds": ("pet carrier",), "max_price": 50}),
        ("2 packing cubes for under 30", {"kinds": ("packing cube",), "max_price": 30}),
        ("whatever you've got from Kestrow in Tech", {"brands": ("kestrow",), "departments": ("tech",)}),
        ("need it cheap: tape measure", {"kinds": ("tape measure",), "price": "cheap"}),
        ("tents, none of that Kestrow stuff", {"kinds": ("tent",), "not_brands": ("kestrow",)}),
        ("a kettle. plastic should not be there", {"kinds": ("kettle",), "avoid": ("plastic",)}),
        ("a kettle, glass is not ok", {"kinds": ("kettle",), "avoid": ("glass",)}),
        (
            "cushions in blue or rust, leather can't be used",
            {"kinds": ("cushion",), "colors": ("blue", "rust"), "avoid": ("leather",)},
        ),
        ("the sofa is cream, cushions in mustard", {"kinds": ("cushion",), "colors": ("mustard",)}),
        ("my walls are all white, a navy curtain", {"kinds": ("curtain",), "colors": ("navy",)}),
        ("cushion for a green couch, in rust", {"kinds": ("cushion",), "colors": ("rust",)}),
        ("thirty years in the navy, show me a tent", {"kinds": ("tent",)}),
        ("dog barking, no coffee. a kettle please", {"kinds": ("kettle",)}),
        ("bowls, the mixing ones", {"kinds": ("mixing bowl",)}),
        ("lamps but only desk ones", {"kinds": ("desk lamp",)}),
        ("something that carries my pet", {"kinds": ("pet carrier",)}),
        ("i said navy but i meant teal, curtains", {"kinds": ("curtain",), "colors": ("teal",)}),
        ("curtains. where i wrote navy i wanted to say teal", {"kinds": ("curtain",), "colors": ("teal",)}),
        ("um a kettle, er, in red", {"kinds": ("kettle",), "colors": ("red",)}),
        ("the cheapest hammock", {"kinds": ("hammock",), "price": "cheap"}),
    ],
)
def test_wishes_in_peoples_words(text: str, wanted: dict[str, Any], lexicon: Lexicon) -> None:
    assert said(read(text, lexicon)) == expected(wanted)


@pytest.mark.parametrize(
    ("before", "text", "wanted"),
    [
        (
            "a green dog leash",
            "orange was a dumb idea yellow instead",
            {"kinds": ("dog leash",), "colors": ("yellow",)},
        ),
        ("a red kettle", "red is a terrible idea, blue please", {"kinds": ("kettle",), "colors": ("blue",)}),
        ("a red kettle", "wait no, make it green", {"kinds": ("kettle",), "colors": ("green",)}),
        ("a red kettle", "green instead of red", {"kinds": ("kettle",), "colors": ("green",)}),
        ("a red kettle", "swap the red for cream", {"kinds": ("kettle",), "colors": ("cream",)}),
        ("a red kettle", "change it from red to black", {"kinds": ("kettle",), "colors": ("black",)}),
        ("a red kettle", "forget the color", {"kinds": ("kettle",)}),
        ("a red kettle", "any color is fine really", {"kinds": ("kettle",)}),
        ("a red kettle", "the colour doesn't matter anymore", {"kinds": ("kettle",)}),
        ("a red kettle", "doesn't have to be red", {"kinds": ("kettle",)}),
        ("a red kettle", "red isn't essential", {"kinds": ("kettle",)}),
        ("a red kettle", "i don't care what color it is", {"kinds": ("kettle",)}),
        ("a red kettle", "actually any shade works for me", {"kinds": ("kettle",)}),
        ("kettle under 40", "price doesn't matter anymore", {"kinds": ("kettle",)}),
        ("kettle under 40", "scratch the limit", {"kinds": ("kettle",)}),
        ("kettle under 40", "drop the budget", {"kinds": ("kettle",)}),
        ("kettle under 40", "forget what i said about the budget", {"kinds": ("kettle",)}),
        ("kettle under 40", "money is no object now", {"kinds": ("kettle",)}),
        ("kettle under 40", "never mind the price", {"kinds": ("kettle",)}),
        ("kettle under 40", "i don't care how much it costs", {"kinds": ("kettle",)}),
        ("kettle under 40", "cost is not an issue", {"kinds": ("kettle",)}),
        ("kettle between 20 and 60", "scratch the minimum", {"kinds": ("kettle",), "max_price": 60}),
        ("kettle between 20 and 60", "drop the maximum", {"kinds": ("kettle",), "min_price": 20}),
        ("kettle between 20 and 60", "raise the max to 80", {"kinds": ("kettle",), "max_price": 80}),
        ("kettle by Birchwold", "any brand is ok, doesn't need to be Birchwold", {"kinds": ("kettle",)}),
        ("kettle by Birchwold", "i don't mind who makes it", {"kinds": ("kettle",)}),
        ("kettle by Birchwold", "brand is not important", {"kinds": ("kettle",)}),
        ("kettle by Birchwold", "no need for birchwold", {"kinds": ("kettle",)}),
        ("kettle by Birchwold", "whichever maker is fine", {"kinds": ("kettle",)}),
        ("board games", "throw card games in there too", {"kinds": ("board game", "card game")}),
        ("board games", "add jigsaw puzzles as well", {"kinds": ("board game", "jigsaw puzzle")}),
        ("curtains in navy", "or teal", {"kinds": ("curtain",), "colors": ("navy", "teal")}),
        ("curtains in navy", "teal would be fine too", {"kinds": ("curtain",), "colors": ("navy", "teal")}),
        ("fountain pen", "and ink", {"kinds": ("fountain pen", "ink bottle")}),
        ("tents", "i want a blue one", {"kinds": ("tent",), "colors": ("blue",)}),
        ("kettles", "make that two hundred max", {"kinds": ("kettle",), "max_price": 200}),
        ("kettles", "and nothing over 60", {"kinds": ("kettle",), "max_price": 60}),
        ("kettles under 30", "ok up to 45", {"kinds": ("kettle",), "max_price": 45}),
        ("kettles", "in black though", {"kinds": ("kettle",), "colors": ("black",)}),
        (
            "kettles",
            "no Birchwold or Nimbury",
            {"kinds": ("kettle",), "not_brands": ("birchwold", "nimbury")},
        ),
        ("kettles in black", "also white", {"kinds": ("kettle",), "colors": ("black", "white")}),
        ("kettles in black", "rather white", {"kinds": ("kettle",), "colors": ("white",)}),
        ("kettles in black", "not black anymore", {"kinds": ("kettle",), "not_colors": ("black",)}),
        ("kettles", "at least 50", {"kinds": ("kettle",), "min_price": 50}),
    ],
)
def test_wishes_that_are_changed(before: str, text: str, wanted: dict[str, Any], lexicon: Lexicon) -> None:
    plan = read_critique(text, lexicon)
    assert said(refine(read(before, lexicon), plan, None, [])) == expected(wanted)


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("too rich for my blood", "cheaper"),
        ("you can go up in price", "pricier"),
        ("these colors aint it", "other_color"),
        ("not loving the colours", "other_color"),
        ("those colors are all so drab", "other_color"),
        ("put that down sweetie, in a minute", ""),
        ("bring the price down a bit", "cheaper"),
        ("other colours?", "other_color"),
        ("who else makes these", "other_brand"),
        ("a different company please", "other_brand"),
        ("these look tacky, better quality please", "pricier"),
    ],
)
def test_changes_without_a_figure(text: str, change: str, lexicon: Lexicon) -> None:
    assert read_critique(text, lexicon).change == change


HELD = Constraints(kinds=("kettle",), min_price=30, max_price=70, brands=("kestrow",), colors=("navy",))


@pytest.mark.parametrize(
    ("text", "facets", "refused"),
    [
        ("forget the 30, only the 70 is important", ("min_price",), ()),
        ("ignore the 70", ("max_price",), ()),
        ("drop the $30 minimum", ("min_price",), ()),
        ("forget about the seventy", ("max_price",), ()),
        ("the 30 doesnt matter", ("min_price",), ()),
        ("drop the 70 to 50", (), ()),
        ("forget the kestrow", ("brand",), ()),
        ("lose the navy", ("color",), ()),
        ("lose the red ones", (), ("red",)),
        ("take away the Birchwold and the Nimbury", (), ("birchwold", "nimbury")),
        ("get rid of those Birchwold ones", (), ("birchwold",)),
        ("drop Kestrow and the Nimbury", ("brand",), ("nimbury",)),
        ("scrap the whole kettle idea", ("kind",), ()),
    ],
)
def test_what_is_let_go_of_wishes_that_hold(
    text: str, facets: tuple[str, ...], refused: tuple[str, ...], lexicon: Lexicon
) -> None:
    dropped = let_go(lexicon.correct(text), lexicon, HELD)
    assert (dropped.facets, tuple(hit.name for hit in dropped.refused)) == (facets, refused)
