"""Escaped HTML for everything the conversation shows: answers, product cards, evidence, rating rows.

Every text that comes from a store, a person or a model passes through :func:`escape` here, so nothing
a product says can become markup. The page only places the strings made by this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape as _escape
from typing import TYPE_CHECKING, Literal

from agents.comparison import Table
from agents.render import Segment
from knowledge.types import Item
from ui.icons import icon_for

if TYPE_CHECKING:
    from crs.narrator.engine import Load

MAX_STARS = 5
ZERO_WIDTH = "\u200b"
WORD_JOINER = "\u2060"  # keeps the punctuation after a mark on its line
_TAG_START = re.compile(r"<(?=[A-Za-z/!?])")

# Outlines of an answer that is being thought of; who reads by ear is told in words.
THINKING = (
    '<p class="sr-only" role="status">Thinking…</p>'
    f'<p class="rc-bones" aria-hidden="true">{"<i></i>" * 3}</p>'
)

# What each signal of a score means to a person.
_WHY = {
    "cf": "Bought by people whose shelves look like yours",
    "together": "Often bought soon after what you own",
    "content": "Close to what you own or asked for",
    "popularity": "Bought by many people here",
    "again": "Bought again and again",
    "replacement": "Instead of the one that disappointed you",
}
# The same for someone new, who has no shelf yet.
_WHY_NEW = {"content": "Close to what you said", "popularity": _WHY["popularity"]}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a citation opens: a product and the ``k``-th purchase of it (``k`` 0: the product talked about).

    ``date`` as YYYY-MM-DD and ``rating`` 1 to 5; both None where no purchase tells them. ``stated``: it was
    not bought, it stands for what the person told of, ``review`` being their words.
    """

    k: int
    item: Item
    review: str = ""
    rating: float | None = None
    date: str | None = None
    stated: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The rating of one answer; ``saved`` acknowledges what is on disk, ``problem`` what is not.

    ``consent``: it waits for "may your ratings be kept?" (ask), or they said before that it may not.
    """

    thumb: int | None = None
    stars: int | None = None
    reason: str = ""
    saved: str = ""
    problem: str = ""
    consent: Literal["", "ask", "refused"] = ""


def escape(text: object) -> str:
    """The text as HTML shows it, quotes included, so that it is safe in attributes too."""
    return _escape(str(text), quote=True)


def untagged(text: str) -> str:
    """Plain text for a place that reads tags: a zero-width space after ``<`` keeps a tag from opening."""
    return _TAG_START.sub(f"<{ZERO_WIDTH}", text)


def price_text(price: float | None) -> str:
    """US dollars as people write them; empty where the price is unknown."""
    return "" if price is None else f"${price:,.2f}"


def date_text(iso_day: str) -> str:
    """``2021-03-12`` as ``12 March 2021``."""
    day = date.fromisoformat(iso_day)
    return f"{day.day} {day:%B %Y}"


def stars(rating: float | None) -> str:
    """One to five stars, read aloud as a number; empty where nobody rated."""
    if rating is None:
        return ""
    full = max(0, min(MAX_STARS, round(rating)))
    label = f"{rating:g} of {MAX_STARS} stars"
    return (
        f'<span class="rc-stars" role="img" aria-label="{escape(label)}">'
        f'<span aria-hidden="true">{"★" * full}<i>{"★" * (MAX_STARS - full)}</i></span></span>'
    )


def picture(item: Item) -> str:
    """The department's drawing on its tint; decoration, since the card names the product in words."""
    icon = icon_for(item.department, item.kind)
    return f'<span class="rc-picture" style="--hue:{icon.hue}" aria-hidden="true">{icon.svg}</span>'


def why_line(shares: Mapping[str, float], *, newcomer: bool) -> str:
    """One plain line on what moved this product up, from the shares of the signals in its score."""
    leading = max(shares, key=lambda name: shares[name], default="")
    return (_WHY_NEW if newcomer else _WHY).get(leading, "A match for what you said")


def product_card(item: Item, *, why: str, rating: float | None = None) -> str:
    """A recommended product; ``rating`` is the mean of all who rated it, ``why`` one line."""
    facts = " · ".join(escape(fact) for fact in (item.brand, item.department) if fact)
    return (
        f'<li class="rc-card" data-item="{escape(item.item_id)}">{picture(item)}'
        f'<span class="rc-card-text"><strong class="rc-card-title">{escape(item.title)}</strong>'
        f'<span class="rc-card-facts">{facts} {stars(rating)}</span>'
        f'<span class="rc-card-why">{escape(why)}</span></span>'
        f'<span class="rc-card-price">{escape(price_text(item.price))}</span></li>'
    )


def card_list(cards: Sequence[str]) -> str:
    """Product cards as the list beneath an answer, best first."""
    if not cards:
        return ""
    return f'<ol class="rc-cards" tabindex="0" aria-label="Recommended products">{"".join(cards)}</ol>'


def comparison(table: Table | None) -> str:
    """Products side by side as a table that scrolls sideways on a phone; empty where nothing is compared."""
    if table is None:
        return ""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.head)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in table.rows
    )
    return (
        '<div class="rc-compared" role="region" aria-label="Products side by side" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def citation(text: str, panel_id: str, evidence: Evidence) -> str:
    """Words of an answer with a mark that opens what is behind them.

    The words are the mark's label, so they open it too and still wrap like text, which a button does not.
    """
    words = text.strip()
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    first, space, last = words.rpartition(" ")
    label = f"{words}: show {_name(evidence).lower()}, {evidence.item.title}"
    return (
        f'{before}<label class="rc-cited">{escape(first + space)}<span class="rc-keep">{escape(last)}'
        f'<button type="button" class="rc-cite" popovertarget="{escape(panel_id)}" '
        f'aria-label="{escape(label)}">{evidence.k or "i"}</button>{WORD_JOINER}</span></label>{after}'
    )


def _name(evidence: Evidence) -> str:
    if evidence.stated:
        return "Stands for what you told me"
    return f"Purchase {evidence.k}" if evidence.k else "The product"


def evidence_panel(panel_id: str, evidence: Evidence) -> str:
    """The purchase behind a claim: title, date, stars and review, in the browser's own popover."""
    item = evidence.item
    facts = [item.brand, item.department, price_text(item.price)]
    rows = [f'<p class="rc-panel-facts">{" · ".join(escape(fact) for fact in facts if fact)}</p>']
    if evidence.date:
        when = escape(date_text(evidence.date))
        rows.append(f'<p class="rc-panel-when">Bought on {when} {stars(evidence.rating)}</p>')
    if evidence.stated:
        rows.append('<p class="rc-panel-when">Not bought here: the nearest we have to what you said.</p>')
    if evidence.review:
        rows.append(f'<blockquote class="rc-review">{escape(evidence.review)}</blockquote>')
    elif evidence.date:
        rows.append('<p class="rc-quiet">No review was written.</p>')
    elif item.description:
        rows.append(f"<p>{escape(item.description)}</p>")
    return dialog(panel_id, item.title, "".join(rows), eyebrow=_name(evidence), drawn=picture(item))


def dialog(
    panel_id: str, title: str, body: str, *, eyebrow: str = "", drawn: str = "", look: str = ""
) -> str:
    """A panel in the browser's own popover: ``body`` and ``drawn`` are HTML, the rest is text.

    ``look``: a class of its own beside that of all panels.
    """
    name = escape(panel_id)
    over = f'<span class="rc-eyebrow">{escape(eyebrow)}</span>' if eyebrow else ""
    return (
        f'<div popover class="rc-panel {look}" id="{name}" role="dialog" aria-labelledby="{name}-title">'
        f'<div class="rc-panel-head">{drawn}<div>{over}'
        f'<strong id="{name}-title">{escape(title)}</strong></div>'
        f'<button type="button" class="rc-close" popovertarget="{name}" popovertargetaction="hide" '
        f'autofocus aria-label="Close">✕</button></div>{body}</div>'
    )


def rating_row(message_id: str, verdict: Verdict) -> str:
    """Stars, the reason form once stars were given, and the acknowledgement of what is on disk."""
    name = escape(message_id)
    buttons = "".join(
        f'<button type="button" class="rc-star" data-message="{name}" data-stars="{n}" '
        f'aria-pressed="{str(n == verdict.stars).lower()}"'
        f"{' data-on' if verdict.stars and n <= verdict.stars else ''} "
        f'aria-label="Rate this answer {n} of {MAX_STARS}"><span aria-hidden="true">★</span></button>'
        for n in range(1, MAX_STARS + 1)
    )
    form = ""
    if verdict.consent:
        form = _consent_question(verdict)
    elif verdict.stars or verdict.thumb:
        form = (
            f'<form class="rc-reason" data-message="{name}">'
            f'<label for="reason-{name}">Why? (optional)</label>'
            f'<input id="reason-{name}" name="reason" maxlength="2000" autocomplete="off" '
            f'value="{escape(verdict.reason)}"><button type="submit">Save</button></form>'
        )
    status = verdict.problem or verdict.saved
    tone = " rc-problem" if verdict.problem else ""
    return (
        f'<div class="rc-rating"><span class="rc-star-row" role="group" aria-label="Rate this answer">'
        f'{buttons}</span><span class="rc-saved{tone}" role="status">{escape(status)}</span>{form}</div>'
    )


def _consent_question(verdict: Verdict) -> str:
    if verdict.consent == "refused":
        words, yes, no = "Not kept, as you wished.", "Keep my ratings after all", ""
    else:
        words = (
            "May I keep your ratings, with the answers they are about, to learn from them? "
            "“Forget me” deletes them at any time."
        )
        yes = "Yes, keep them"
        no = '<button type="button" class="rc-consent" data-given="no">No, keep nothing</button>'
    return (
        f'<div class="rc-consents" role="group" aria-label="Keeping your ratings"><span>{words}</span> '
        f'<button type="button" class="rc-consent" data-given="yes">{yes}</button>{no}</div>'
    )


def answer(
    message_id: str,
    segments: Iterable[Segment],
    evidence: Sequence[Evidence],
    cards: Sequence[str],
    verdict: Verdict | None,
    *,
    live: bool = False,
    note: str = "",
    table: Table | None = None,
) -> str:
    """One answer: first paragraph, product cards, the rest; every part keeps its place while it streams.

    ``verdict`` None: not ratable (yet); ``note``: a quiet line after the text; ``table``: products compared,
    shown in place of their cards. While nothing is said yet,
    outlines of what is to come.
    """
    panel_ids = [f"evidence-{message_id}-{number}" for number in range(len(evidence))]
    panels_of = zip(panel_ids, evidence, strict=True)
    opens = {(each.k, each.item.item_id): (panel_id, each) for panel_id, each in panels_of}
    lead, *others = _paragraphs(segments, opens)
    panels = "".join(evidence_panel(name, each) for name, each in opens.values())
    rating = rating_row(message_id, verdict) if verdict is not None else ""
    shown = comparison(table) or card_list(cards)
    thinking = live and not cards and lead == "<p></p>"
    quiet = f'<p class="rc-quiet">{escape(note)}</p>' if note else ""
    return (
        f'<div class="rc-answer{" rc-live" if live else ""}" aria-busy="{str(live).lower()}">'
        f'<div class="rc-prose">{lead}</div><div>{THINKING if thinking else shown}</div>'
        f'<div class="rc-prose">{"".join(others)}{quiet}</div><div>{panels}</div><div>{rating}</div></div>'
    )


def busy_line(load: Load | None) -> str:
    """What the narrator is busy with, in one quiet line; empty where that is not known."""
    if load is None:
        return ""
    told = "The narrator is free."
    if load.n_live or load.n_waiting:
        told = f"The narrator is telling {load.n_live} of at most {load.n_rooms} at once"
        told += f"; {load.n_waiting} in line." if load.n_waiting else "."
    return f'<p class="rc-quiet">{told}</p>'


def in_line(place: int) -> str:
    """What someone in line for the narrator is told; ``place`` from 1."""
    if place == 1:
        return "The narrator is busy with others; you are next."
    return f"The narrator is busy with others; {place - 1} before you."


def _paragraphs(
    segments: Iterable[Segment], opens: Mapping[tuple[int, str], tuple[str, Evidence]]
) -> list[str]:
    """At least one. ``opens``: the panel and the evidence behind each (``k``, item id) that is cited.

    Each mention of a purchase has its mark, as each may carry a claim; the target needs only one.
    """
    paragraphs, introduced = [""], set[str]()
    for segment in segments:
        key = (segment.k or 0, segment.item_id or "")
        if segment.k is not None and key in opens and segment.item_id not in introduced:
            paragraphs[-1] += citation(segment.text, *opens[key])
            introduced.update([key[1]] if segment.k == 0 else [])
            continue
        first, *others = segment.text.split("\n\n")
        paragraphs[-1] += escape(first)
        paragraphs.extend(escape(other) for other in others)
    return [f"<p>{text}</p>" for text in paragraphs]


def purchase_strip(title: str, purchases: Sequence[Evidence], *, may_pick: bool = False) -> str:
    """A shopper's purchases in the order given, each opening its evidence panel.

    ``may_pick``: another shopper can be picked on the page.
    """
    if not purchases:
        known = "pick a shopper above to see how I talk to someone whose purchases I know"
        or_else = f", or {known}" if may_pick else ", and suggestions will follow that"
        return f'<p class="rc-quiet">No purchases yet. Say what you own and like{or_else}.</p>'
    tiles, panels = [], []
    for each in purchases:
        panel_id = f"purchase-{each.k}"
        when = "a stand-in" if each.stated else escape(date_text(each.date)) if each.date else ""
        tiles.append(
            f'<li><button type="button" class="rc-tile" popovertarget="{panel_id}">{picture(each.item)}'
            f'<span class="rc-tile-text"><span class="rc-tile-title">{escape(each.item.title)}</span>'
            f'<span class="rc-tile-facts">{when} {stars(each.rating)}</span></span></button></li>'
        )
        panels.append(evidence_panel(panel_id, each))
    return (
        f'<h2 class="rc-eyebrow">{escape(title)}</h2>'
        f'<ul class="rc-strip" aria-label="{escape(title)}">{"".join(tiles)}</ul>'
        f"{''.join(panels)}"
    )


def header(notes: Sequence[str]) -> str:
    """The masthead: name, what it is, and what people should know about this run."""
    pills = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        '<header class="rc-masthead"><div class="rc-name"><h1>Raconteur</h1>'
        "<p>A shop assistant that knows your shelves and can say why.</p></div>"
        f'<ul class="rc-notes" aria-label="About this run">{pills}</ul></header>'
    )
