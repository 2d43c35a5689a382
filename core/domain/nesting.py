"""How deep what others send may be nested: what is read and written by functions that call themselves has to end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MAX_NESTING = 64


def too_deep(value: Any, most: int = MAX_NESTING) -> bool:
    """Whether more than `most` objects and lists lie within each other. Takes no stack of its own, however deep."""
    level: list[Any] = [value]
    for _ in range(most):
        level = [part for one in level for part in _parts(one) if isinstance(part, Mapping | list | tuple)]
        if not level:
            return False
    return True


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
