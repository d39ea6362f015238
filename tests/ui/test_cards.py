"""The HTML of answers: what it says, and that nothing a store or a model says becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from ui_fakes import ITEMS

from agents.comparison import Table
from agents.render import Segment
from knowledge.types import Item
from ui import cards
from ui.cards import Evidence, Verdict
from ui.icons import HUES, ICON_OF_WORD, ICONS_DIR, icon_for

EVIL = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"
    "![x](http://evil.example/p.png) `${alert(3)}` {{value}}"
)
EVIL_ITEM = Item("<i>", EVIL, EVIL, EVIL, 9.0, EVIL, EVIL)


class _Tags(HTMLParser):
    """Collects tags and attribute names, and the text between tags."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> _Tags:
    parser = _Tags()
    parser.feed(html)
    return parser


def test_price_and_date_read_as_people_write_them() -> None:
    assert cards.price_text(1234.5) == "$1,234.50"
    assert cards.price_text(0.0) == "$0.00"
    assert cards.price_text(None) == ""
    assert cards.date_text("2021-03-02") == "2 March 2021"


@pytest.mark.parametrize(("rating", "full"), [(5, 5), (4.5, 4), (3.6, 4), (1, 1), (0, 0)])
def test_stars_are_drawn_and_said(rating: float, full: int) -> None:
    html = cards.stars(rating)
    assert html.count("★") == 5
    assert html.split("<i>")[0].count("★") == full
    assert f'aria-label="{rating:g} of 5 stars"' in html


def test_no_rating_draws_no_stars() -> None:
    assert cards.stars(None) == ""


def test_a_product_card_shows_title_price_brand_stars_and_why() -> None:
    text = parsed(cards.product_card(ITEMS[0], why="Because.", rating=4.0)).text
    for part in ("Tarnlow Enamel Camp Kettle, 1.5 L", "$32.50", "Tarnlow · Camping", "★★★★", "Because."):
        assert part in text


def test_a_card_without_price_brand_or_stars_leaves_them_out() -> None:
    text = parsed(cards.product_card(Item("x", "Plain thing"), why="Why.")).text
    assert text.split() == ["Plain", "thing", "Why."]


def test_the_why_names_the_leading_signal() -> None:
    by_people = cards.why_line({"cf": 0.7, "content": 0.3}, newcomer=False)
    by_words = cards.why_line({"cf": 0.2, "content": 0.8}, newcomer=False)
    assert "people" in by_people and by_people != by_words
    assert "own" not in cards.why_line({"content": 1.0}, newcomer=True)
    # someone without purchases cannot have been matched to other people's shelves
    assert cards.why_line({"cf": 1.0}, newcomer=True) == cards.why_line({}, newcomer=False)


def test_an_answer_places_the_cards_after_its_first_paragraph() -> None:
    html = cards.answer("m", [Segment("Lead.\n\nStory. "), Segment("End.")], [], ["<li>card</li>"], None)
    assert html.index("Lead.") < html.index("card</li>") < html.index("Story. End.")
    assert "rc-live" not in html and "rc-rating" not in html


def test_a_citation_opens_the_panel_with_its_evidence() -> None:
    evidence = [
        Evidence(2, ITEMS[1], "Went through clay.", 4.0, "2021-01-08"),
        Evidence(0, ITEMS[5]),
    ]
    segments = [Segment("The "), Segment(" trowel", "i2", 2), Segment(" and "), Segment("can", "i6", 0)]
    html = cards.answer("m7", segments, evidence, [], Verdict())
    targets = re.findall(r'class="rc-cite" popovertarget="([^"]+)"', html)
    assert len(targets) == 2
    for target in targets:
        assert html.count(f'id="{target}"') == 1
    panel = html[html.index(f'id="{targets[0]}"') :].split("popover class")[0]
    for part in (
        "Purchase 2",
        "Fernwick Hand Trowel",
        "8 January 2021",
        "4 of 5 stars",
        "Went through clay.",
    ):
        assert part in panel
    assert "A long neck." in html  # the product's own words where there is no purchase
    assert 'The  <label class="rc-cited"' in html  # the space stays outside the cited words


def test_purchases_are_marked_at_each_mention_and_the_target_once() -> None:
    evidence = [Evidence(0, ITEMS[5]), Evidence(1, ITEMS[0], "", 5.0, "2020-01-01")]
    segments = [Segment("can", "i6", 0), Segment("kettle", "i1", 1)] * 2
    html = cards.answer("m", segments, evidence, [], None)
    assert re.findall(r'class="rc-cite"[^>]*>(\w)<', html) == ["i", "1", "1"]


def test_a_pointer_without_evidence_stays_plain_text() -> None:
    html = cards.answer("m", [Segment("kettle", "i1", 9)], [], [], None)
    assert "rc-cite" not in html and "kettle" in html


def test_a_purchase_without_review_says_so() -> None:
    bought = Evidence(1, ITEMS[0], "", None, "2020-01-01")
    assert "No review was written." in cards.evidence_panel("p", bought)


def test_the_rating_row_shows_what_was_given() -> None:
    html = cards.rating_row("m1", Verdict(stars=3, reason="Too <long>", saved="Saved"))
    assert html.count('aria-pressed="true"') == 1 and html.count(" data-on") == 3
    assert 'data-stars="5"' in html and 'role="status">Saved<' in html
    assert 'value="Too &lt;long&gt;"' in html
    assert "<form" not in cards.rating_row("m1", Verdict())


def test_a_problem_outranks_an_acknowledgement() -> None:
    html = cards.rating_row("m1", Verdict(stars=1, saved="Saved", problem="Not saved: disk"))
    assert "Not saved: disk" in html and ">Saved<" not in html and "rc-problem" in html


def test_the_strip_lists_purchases_or_invites() -> None:
    html = cards.purchase_strip("Recent purchases", [Evidence(3, ITEMS[2], "Found.", 5.0, "2021-05-26")])
    assert "Fernwick Seed Tin" in html and "26 May 2021" in html and 'popovertarget="purchase-3"' in html
    assert "pick a shopper" not in cards.purchase_strip("Recent purchases", [])
    assert "No purchases yet" in cards.purchase_strip("Recent purchases", [], may_pick=True)


def test_what_stands_for_something_told_is_not_called_a_purchase() -> None:
    told = Evidence(1, ITEMS[0], "I own a kettle", 4.0, None, stated=True)
    strip = cards.purchase_strip("What you told me", [told])
    assert "a stand-in" in strip and "Not bought here" in strip and "I own a kettle" in strip
    assert "Bought on" not in strip and "Purchase 1" not in strip


ALLOWED_TAGS = {
    "blockquote", "button", "div", "form", "h1", "h2", "header", "i", "input", "label", "li", "ol", "p",
    "path", "rect", "circle", "ellipse", "span", "strong", "sup", "svg", "ul",
}  # fmt: skip


def test_planted_markup_never_becomes_markup() -> None:
    evidence = [Evidence(1, EVIL_ITEM, EVIL, 5.0, "2020-01-01"), Evidence(0, EVIL_ITEM)]
    segments = [Segment(EVIL), Segment(EVIL, "<i>", 1), Segment(EVIL, "<i>", 0)]
    card, verdict = cards.product_card(EVIL_ITEM, why=EVIL), Verdict(None, 2, EVIL, EVIL)
    pages = [
        cards.answer(EVIL, segments, evidence, [card], verdict, note=EVIL),
        cards.purchase_strip(EVIL, evidence),
        cards.header([EVIL]),
    ]
    for html in pages:
        found = parsed(html)
        assert set(found.tags) <= ALLOWED_TAGS
        assert not [name for name in found.attributes if name.startswith("on") or name in ("src", "href")]
        assert "<script>alert(1)</script>" in found.text  # shown as the text it is


def test_every_icon_word_has_a_drawing_and_a_hue() -> None:
    for icon in {*ICON_OF_WORD.values(), "goods"}:
        assert (ICONS_DIR / f"{icon}.svg").read_text(encoding="utf-8").startswith("<svg")
    assert set(ICON_OF_WORD.values()) == set(HUES)


@pytest.mark.parametrize(
    ("department", "icon"),
    [("Crafts", "crafts"), ("Desk & Study", "office"), ("Fitness", "sports"), ("Pets", "pets"),
     ("Tech", "electronics"), ("Toys & Games", "games"), ("Tools", "tools"), ("Office Products", "office")],
)  # fmt: skip
def test_departments_find_their_icon(department: str, icon: str) -> None:
    assert icon_for(department, None).hue == HUES[icon]


def test_icons_follow_the_department_then_the_kind() -> None:
    assert icon_for("Patio & Garden", None) == icon_for(None, "garden hose")
    assert icon_for("Camping", "kettle") == icon_for("Outdoors", None)
    assert icon_for("Carpets", None).svg == icon_for(None, None).svg  # "car" is not "carpets"
    assert icon_for("Zorbing", None) == icon_for("Zorbing", "x")


def test_untagged_text_opens_no_tag_and_reads_the_same() -> None:
    assert parsed(cards.untagged(EVIL)).tags == []
    assert cards.untagged(EVIL).replace(cards.ZERO_WIDTH, "") == EVIL
    assert cards.untagged("under < $20 & 3<4") == "under < $20 & 3<4"


def test_a_comparison_is_a_table_of_escaped_text() -> None:
    table = Table(("", "<b>One</b>", "Two"), (("Price", "$1.00", "<script>alert(1)</script>"),))
    html = cards.comparison(table)
    assert "<script>" not in html and "<b>" not in html
    assert '<th scope="col">&lt;b&gt;One&lt;/b&gt;</th>' in html and '<th scope="row">Price</th>' in html
    assert cards.comparison(None) == ""
