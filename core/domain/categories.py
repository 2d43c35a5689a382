"""Categories: the tenant's tree of what records are sorted into."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from core.domain.records import normalise
from core.errors import Invalid

KEY = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*(?:\.[a-z0-9]+(?:[-_][a-z0-9]+)*)*")
"""Of a category: lower-case words joined by dots, dashes or underscores."""
_NOT_KEY = re.compile(r"[^a-z0-9]+")
MAX_NAME = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """`key` is stable and unique in the tenant (`food.groceries`); `name` is what people read."""

    id: UUID
    tenant_id: UUID
    parent_id: UUID | None
    key: str
    name: str
    description: str
    created_at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CategorySeed:
    """A category of a default tree: `parent` is the key of another seed that comes before it."""

    key: str
    name: str
    parent: str | None = None
    description: str = ""


def check_key(key: str) -> str:
    """Raises `Invalid` unless `key` is lower-case words joined by dots, dashes or underscores."""
    if len(key) > MAX_NAME or not KEY.fullmatch(key):
        raise Invalid(f"{key!r} is not a category key: use lower-case words joined by dots, such as food.groceries")
    return key


def key_from_name(name: str) -> str:
    """A key made of a name: `Bars & Cafés` gives `bars-cafes`; other scripts keep their code points as numbers."""
    import unicodedata

    plain = unicodedata.normalize("NFKD", name).casefold()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    key = _NOT_KEY.sub("-", plain).strip("-")
    return key or "-".join(f"u{ord(c):x}" for c in name.strip()[:20]) or "category"


def paths(categories: Iterable[Category]) -> dict[UUID, str]:
    """The readable path of each category, from the root: `Food > Groceries`."""
    by_id = {c.id: c for c in categories}
    found: dict[UUID, str] = {}

    def path(category: Category) -> str:
        if category.id not in found:
            parent = by_id.get(category.parent_id) if category.parent_id else None
            found[category.id] = f"{path(parent)} > {category.name}" if parent else category.name
        return found[category.id]

    for category in by_id.values():
        path(category)
    return found


def check_parent(category_id: UUID, parent_id: UUID | None, parents: Mapping[UUID, UUID | None]) -> None:
    """Raises `Invalid` when `parent_id` does not exist or would make the category its own ancestor."""
    seen = parent_id
    while seen is not None:
        if seen == category_id:
            raise Invalid("a category can't stand below itself")
        if seen not in parents:
            raise Invalid("the parent category does not exist")
        seen = parents[seen]


def resolver(categories: Iterable[Category], aliases: Mapping[str, UUID] = MappingProxyType({})) -> dict[str, UUID]:
    """What people may write for a category → its id: key, path and (where unambiguous) name, all normalised; where none
    has that name, what a category was known by before (`aliases`, which also hold the ids of merged ones as texts)."""
    everything = list(categories)
    by_path = paths(everything)
    names: dict[str, UUID | None] = {}
    for category in everything:
        name = normalise(category.name)
        names[name] = None if name in names else category.id
    found = {name: id_ for name, id_ in names.items() if id_ is not None}
    found |= {normalise(by_path[c.id]): c.id for c in everything}
    found |= {c.key: c.id for c in everything}
    former = {alias: id for alias, id in aliases.items() if alias not in names}
    return former | found
