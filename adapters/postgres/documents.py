"""Values that are kept as JSON documents: their fields by name, those that are None left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def written(value: Any) -> Any:
    """A dataclass as an object, tuples as arrays; instants and amounts as texts."""
    match value:
        case datetime():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case tuple():
            return [written(one) for one in value]
        case _ if is_dataclass(value):
            kept = {f.name: getattr(value, f.name) for f in fields(value)}
            return {name: written(one) for name, one in kept.items() if one is not None}
        case _:
            return value


def read(type: type[T], stored: Mapping[str, Any], **others: Any) -> T:
    """The dataclass; `others` are fields that were not kept in the document."""
    hints = get_type_hints(type)
    given = {name: _read(hint, stored.get(name)) for name, hint in hints.items() if name not in others}
    return type(**given, **others)


def _read(hint: Any, kept: Any) -> Any:
    if get_origin(hint) is UnionType:
        hint = next(one for one in get_args(hint) if one is not None.__class__)
    if kept is None:
        return () if get_origin(hint) is tuple else None
    if get_origin(hint) is tuple:
        return tuple(_read(get_args(hint)[0], one) for one in kept)
    if hint is datetime:
        return datetime.fromisoformat(kept)
    if is_dataclass(hint):
        return read(hint, kept)  # type: ignore[arg-type]
    return hint(kept) if hint is Decimal or issubclass(hint, Enum) else kept
