"""The drawing that stands for a product: one small line icon a department, bundled with the app."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ICONS_DIR = Path(__file__).resolve().parent.parent / "assets" / "icons"

# Words that appear in department names, and the icon each one asks for; the first hit wins.
ICON_OF_WORD = {
    "garden": "garden", "plant": "garden", "patio": "garden", "lawn": "garden",
    "kitchen": "kitchen", "cook": "kitchen", "dining": "kitchen", "tea": "kitchen", "coffee": "kitchen",
    "office": "office", "stationery": "office", "school": "office", "desk": "office",
    "outdoor": "outdoors", "camping": "outdoors", "hiking": "outdoors", "trail": "outdoors",
    "sport": "sports", "fitness": "sports", "cycling": "sports", "ball": "sports",
    "music": "music", "instrument": "music", "audio": "music",
    "pet": "pets", "dog": "pets", "cat": "pets", "aquarium": "pets",
    "game": "games", "puzzle": "games", "toy": "toys", "kid": "toys",
    "book": "books", "reading": "books",
    "beauty": "beauty", "personal": "beauty", "bath": "beauty", "skin": "beauty", "grooming": "beauty",
    "health": "health", "wellness": "health",
    "tool": "tools", "hardware": "tools", "workshop": "tools", "diy": "tools", "improvement": "tools",
    "photo": "photo", "camera": "photo",
    "electronic": "electronics", "computer": "electronics", "tech": "electronics", "phone": "electronics",
    "cloth": "clothing", "fashion": "clothing", "apparel": "clothing", "shoe": "clothing",
    "travel": "travel", "luggage": "travel",
    "craft": "crafts", "sewing": "crafts", "art": "crafts", "knit": "crafts", "hobby": "crafts",
    "baby": "baby", "nursery": "baby",
    "auto": "car", "car": "car", "motor": "car", "bike": "car",
    "grocery": "food", "food": "food", "pantry": "food", "snack": "food",
    "clean": "cleaning", "laundry": "cleaning", "household": "cleaning",
    "gift": "gifts", "party": "gifts",
    "home": "home", "light": "home", "furniture": "home", "bedroom": "home", "decor": "home",
}  # fmt: skip


# Hues in degrees, spread so that neighbours in a list differ.
HUES = {
    "baby": 20, "beauty": 335, "books": 28, "car": 210, "cleaning": 190, "clothing": 265, "crafts": 312,
    "electronics": 222, "food": 8, "games": 280, "garden": 120, "gifts": 350, "health": 0, "home": 45,
    "kitchen": 34, "music": 250, "office": 205, "outdoors": 95, "pets": 60, "photo": 235, "sports": 165,
    "tools": 180, "toys": 325, "travel": 150,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Icon:
    """Inline SVG in the current colour, and the hue in degrees of the tint behind it."""

    svg: str
    hue: int


def icon_for(department: str | None, kind: str | None) -> Icon:
    """The icon of a product's department (or kind, where the store has no departments)."""
    for name in (department, kind):
        words = re.findall(r"[a-z]+", (name or "").lower())
        for stem, icon in ICON_OF_WORD.items():
            # short stems only as whole words: "pets" is a pet, "carpets" is no car
            if any(word in (stem, f"{stem}s") or (len(stem) > 3 and word.startswith(stem)) for word in words):
                return Icon(_svg(icon), HUES[icon])
    # an unknown department still keeps one hue of its own
    return Icon(_svg("goods"), zlib.crc32((department or kind or "").encode()) % 360)


@lru_cache(maxsize=64)
def _svg(name: str) -> str:
    return (ICONS_DIR / f"{name}.svg").read_text(encoding="utf-8").strip()
