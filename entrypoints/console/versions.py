"""That two people do not overwrite each other: a form says which version of a thing it was made of."""

from __future__ import annotations

from flask import request

from core.errors import Invalid

CHANGED = (
    "Somebody changed this meanwhile, and nothing of yours is saved yet. Look at what is there now, and save again "
    "where yours still holds."
)


def sent_version() -> int:
    """Raises `Invalid` where the form has none: it is none of ours, then."""
    written = request.form.get("version", "")
    if not (written.isascii() and written.isdecimal() and len(written) <= 9):
        raise Invalid("this form says not what it was made of: open the page again")
    return int(written)
