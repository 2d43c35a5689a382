"""What people send by forms, and how it is told that something in it does not hold."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from flask import request
from marshmallow import ValidationError

from core.errors import Invalid

CHANGED = (
    "Somebody changed this meanwhile, and nothing of yours is saved yet. Look at what is there now, and save again "
    "where yours still holds."
)
"""That two people do not overwrite each other, a form says which version of a thing it was made of."""
STALE = (
    "Somebody changed this meanwhile, and nothing of yours is saved. What you typed stands below; open the page again "
    "to see how it is now."
)
"""Of a form of many fields, which is not to be saved over what there is now: it keeps the version it was made of."""


def sent_version() -> int:
    """Raises `Invalid` where the form has none: it is none of ours, then."""
    written = request.form.get("version", "")
    if not (written.isascii() and written.isdecimal() and len(written) <= 9):
        raise Invalid("this form says not what it was made of: open the page again")
    return int(written)


def an_id(written: str | None) -> UUID | None:
    """None for what is none."""
    try:
        return UUID(written or "")
    except ValueError:
        return None


def said_of(wrong: ValidationError) -> dict[str, str]:
    """By field the first of what a schema complains of."""
    messages = cast("dict[str, object]", wrong.normalized_messages())  # type: ignore[no-untyped-call]
    return {name: _first(said) for name, said in messages.items()}


def _first(said: object) -> str:
    while isinstance(said, dict | list):
        said = next(iter(said.values() if isinstance(said, dict) else said), "")
    return str(said)
