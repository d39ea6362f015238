"""The taste map as SVG: products by department, other shoppers, and the one who asks among them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from crs.taste_map import TasteMap
from knowledge.types import Interaction, Item
from ui.cards import dialog, escape, price_text
from ui.icons import icon_for

WIDTH, HEIGHT, MARGIN = 640, 440, 26
MIN_LABELLED = 12  # products that a department needs for a name on the map
PANEL_ID = "rc-map-panel"
_HINT = "Hover or tap a dot to see what it is."
_KEY = (
    '<ul class="rc-map-key" aria-hidden="true"><li><i class="rc-key-you">★</i> you</li>'
    '<li><i class="rc-key-yours"></i> what you bought, by number</li>'
    '<li><i class="rc-key-person"></i> another shopper</li>'
    '<li><i class="rc-key-item"></i> a product</li></ul>'
)


def taste_map_panel(
    taste_map: TasteMap,
    items: Mapping[str, Item],
    history: Sequence[Interaction],
    you: tuple[float, float] | None,
) -> str:
    """The dialog with the map. ``history`` oldest first; ``you``: where its owner lies, None for nobody."""
    bought = [(k, each.item_id) for k, each in enumerate(history, start=1)]
    place_of = dict(zip(taste_map.item_ids, taste_map.places.tolist(), strict=True))
    people = "".join(_person(x, y) for x, y in taste_map.people.tolist())
    products = "".join(_product(items[item_id], *place_of[item_id]) for item_id in taste_map.item_ids)
    yours = "".join(
        _purchase(k, items[item_id], *place_of[item_id]) for k, item_id in bought if item_id in place_of
    )
    self_mark = _you(*you) if you else ""
    n_yours = len({item_id for _, item_id in bought if item_id in place_of})
    summary = f"{len(taste_map.item_ids):,} products; {len(taste_map.people):,} other shoppers" + (
        f"; {n_yours} of the products are yours." if n_yours else "."
    )
    body = (
        f'<p class="rc-panel-facts">Products that the same people buy, or that read alike, lie together. '
        f'{summary}</p><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-label="Taste map. {summary}">'
        f"{people}{products}{_departments(taste_map, items)}{self_mark}{yours}</svg>"
        f'<p class="rc-map-name" aria-live="polite">{_HINT}</p>{_KEY}'
    )
    return dialog(PANEL_ID, "Taste map", body, eyebrow="Where you are in this shop", look="rc-map")


def _spot(x: float, y: float) -> tuple[float, float]:
    return (
        round(MARGIN + x * (WIDTH - 2 * MARGIN), 1),
        round(HEIGHT - MARGIN - y * (HEIGHT - 2 * MARGIN), 1),
    )


def _named(item: Item) -> str:
    return " · ".join(part for part in (item.title, item.department or "", price_text(item.price)) if part)


def _product(item: Item, x: float, y: float) -> str:
    cx, cy = _spot(x, y)
    hue = icon_for(item.department, item.kind).hue
    return (
        f'<circle class="rc-dot" cx="{cx}" cy="{cy}" r="3.4" style="--hue:{hue}" '
        f'data-name="{escape(_named(item))}"/>'
    )


def _person(x: float, y: float) -> str:
    cx, cy = _spot(x, y)
    return f'<circle class="rc-person" cx="{cx}" cy="{cy}" r="5" data-name="Another shopper"/>'


def _purchase(k: int, item: Item, x: float, y: float) -> str:
    cx, cy = _spot(x, y)
    name = escape(f"Your purchase {k}: {_named(item)}")
    return (
        f'<g class="rc-own" tabindex="0" role="img" aria-label="{name}" data-name="{name}">'
        f'<circle cx="{cx}" cy="{cy}" r="9"/><text x="{cx}" y="{cy + 3.6:.1f}">{k}</text></g>'
    )


def _you(x: float, y: float) -> str:
    cx, cy = _spot(x, y)
    return (
        '<g class="rc-you" tabindex="0" role="img" aria-label="You are here" '
        'data-name="You: amid what you bought, taken together">'
        f'<circle cx="{cx}" cy="{cy}" r="13"/><text x="{cx}" y="{cy + 6:.1f}">★</text></g>'
    )


def _departments(taste_map: TasteMap, items: Mapping[str, Item]) -> str:
    """Each large department's name, amid its products."""
    spots: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for item_id, (x, y) in zip(taste_map.item_ids, taste_map.places.tolist(), strict=True):
        if department := items[item_id].department:
            spots[department].append(_spot(x, y))
    return "".join(
        f'<text class="rc-map-label" x="{median(x for x, _ in found):.1f}" '
        f'y="{median(y for _, y in found):.1f}">{escape(name)}</text>'
        for name, found in spots.items()
        if len(found) >= MIN_LABELLED
    )
