"""The demo store's word lists (``assets/words``), loaded and checked once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from knowledge.errors import InputError

WORDS_DIR = Path(__file__).resolve().parents[2] / "assets" / "words"
FEATURES_PER_KIND = 8


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of product, named by its noun; ``price`` is its range in US dollars."""

    kind: str
    a: str  # with its article or measure word: "a kettle", "a pair of pruning shears"
    plural: str
    number: str  # "singular" or "plural": how verbs agree with ``kind``
    price: tuple[float, float]
    consumable: bool
    styles: tuple[str, ...]
    colors: tuple[str, ...]
    materials: tuple[str, ...]
    sizes: tuple[str, ...]
    features: tuple[str, ...]
    purposes: tuple[str, ...]
    gains: tuple[str, ...]
    praise: tuple[str, ...]
    gripes: tuple[str, ...]
    quality: tuple[str, ...]
    goes_with: tuple[str, ...]
    department: str

    @property
    def is_plural(self) -> bool:
        return self.number == "plural"


@dataclass(frozen=True, slots=True)
class Need:
    """What someone is up to, as a bare infinitive, and the kinds of product it leads to."""

    to: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Persona:
    """A sort of shopper; ``tier`` 0 thrifty, 1 middling, 2 free with money."""

    label: str
    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    values: tuple[str, ...]
    tier: int
    colors: tuple[str, ...]
    materials: tuple[str, ...]
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Occasion:
    """A gift, an event or a season that leads to some kinds; ``months`` only for seasons (1-12)."""

    phrase: str
    kinds: tuple[str, ...]
    months: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CircleWords:
    """How narratives speak of a hidden circle; ``word`` must not occur in any item or review."""

    word: str
    group: str
    list_name: str
    to: str
    departments: tuple[str, ...]
    system: bool = False


@dataclass(frozen=True)
class Words:
    """All word lists of the demo store."""

    kinds: dict[str, Kind]
    departments: dict[str, str]  # file name -> name as shown
    brands: tuple[str, ...]
    models: tuple[str, ...]
    personas: tuple[Persona, ...]
    gifts: tuple[Occasion, ...]
    events: tuple[Occasion, ...]
    seasons: tuple[Occasion, ...]
    circles: tuple[CircleWords, ...]


def read_toml(path: Path) -> dict[str, Any]:
    """One TOML file. Raises InputError with the parser's complaint when it is missing or broken."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise InputError(path, "word list is missing; restore it from the repository") from exc
    except tomllib.TOMLDecodeError as exc:
        raise InputError(path, f"not valid TOML ({exc}); correct the syntax") from exc


@cache
def load_words(words_dir: Path = WORDS_DIR) -> Words:
    """Read and check every list under ``words_dir``. Raises InputError naming file and field."""
    kinds: dict[str, Kind] = {}
    departments: dict[str, str] = {}
    for path in sorted((words_dir / "departments").glob("*.toml")):
        data = read_toml(path)
        departments[path.stem] = str(_get(data, "name", path))
        for table in _get(data, "types", path):
            kind = _kind(table, path)
            kinds[kind.kind] = kind
    if not kinds:
        raise InputError(words_dir / "departments", "no department files; restore them from the repository")
    brands = read_toml(words_dir / "brands.toml")
    occasions = read_toml(words_dir / "occasions.toml")
    words = Words(
        kinds=kinds,
        departments=departments,
        brands=tuple(_get(brands, "names", words_dir / "brands.toml")),
        models=tuple(_get(brands, "models", words_dir / "brands.toml")),
        personas=_personas(words_dir / "personas.toml"),
        gifts=_occasions(occasions, "gift", words_dir / "occasions.toml"),
        events=_occasions(occasions, "event", words_dir / "occasions.toml"),
        seasons=_occasions(occasions, "season", words_dir / "occasions.toml"),
        circles=_circles(words_dir / "circles.toml"),
    )
    _check_kinds(words, words_dir)
    return words


def _get(table: dict[str, Any], key: str, path: Path) -> Any:
    if key not in table:
        raise InputError(path, "is missing; add it", field=key)
    return table[key]


def _kind(table: dict[str, Any], path: Path) -> Kind:
    def words(key: str) -> tuple[str, ...]:
        return tuple(str(word) for word in _get(table, key, path))

    price = _get(table, "price", path)
    features = words("features")
    if len(features) < FEATURES_PER_KIND:
        raise InputError(path, f"'{table['kind']}' has {len(features)} of 8; add more", field="features")
    return Kind(
        kind=str(_get(table, "kind", path)),
        a=str(_get(table, "a", path)),
        plural=str(_get(table, "plural", path)),
        number=str(_get(table, "number", path)),
        price=(float(price[0]), float(price[1])),
        consumable=bool(_get(table, "consumable", path)),
        styles=words("styles"),
        colors=words("colors"),
        materials=words("materials"),
        sizes=words("sizes"),
        features=features,
        purposes=words("purposes"),
        gains=words("gains"),
        praise=words("praise"),
        gripes=words("gripes"),
        quality=words("quality"),
        goes_with=words("goes_with"),
        department=path.stem,
    )


def _personas(path: Path) -> tuple[Persona, ...]:
    return tuple(
        Persona(
            label=_get(table, "label", path),
            adjectives=tuple(_get(table, "adjectives", path)),
            nouns=tuple(_get(table, "nouns", path)),
            values=tuple(_get(table, "values", path)),
            tier=int(_get(table, "tier", path)),
            colors=tuple(_get(table, "colors", path)),
            materials=tuple(_get(table, "materials", path)),
            needs=tuple(Need(need["to"], tuple(need["kinds"])) for need in _get(table, "needs", path)),
        )
        for table in _get(read_toml(path), "persona", path)
    )


def _occasions(data: dict[str, Any], key: str, path: Path) -> tuple[Occasion, ...]:
    return tuple(
        Occasion(
            _get(table, "phrase", path), tuple(_get(table, "kinds", path)), tuple(table.get("months", ()))
        )
        for table in _get(data, key, path)
    )


def _circles(path: Path) -> tuple[CircleWords, ...]:
    return tuple(
        CircleWords(
            word=_get(table, "word", path),
            group=_get(table, "group", path),
            list_name=_get(table, "list", path),
            to=_get(table, "to", path),
            departments=tuple(_get(table, "departments", path)),
            system=bool(table.get("system", False)),
        )
        for table in _get(read_toml(path), "circle", path)
    )


def _check_kinds(words: Words, words_dir: Path) -> None:
    """Every kind that a persona or an occasion names must exist."""
    named = [(n.kinds, "personas.toml") for p in words.personas for n in p.needs]
    named += [(o.kinds, "occasions.toml") for o in (*words.gifts, *words.events, *words.seasons)]
    for kinds, file in named:
        for kind in kinds:
            if kind not in words.kinds:
                raise InputError(
                    words_dir / file, f"'{kind}' is no kind of any department; correct it", field="kinds"
                )
    for circle in words.circles:
        for department in circle.departments:
            if department not in words.departments:
                raise InputError(
                    words_dir / "circles.toml",
                    f"'{department}' is no department; correct it",
                    field="departments",
                )
