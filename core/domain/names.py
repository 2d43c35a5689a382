"""Names that people may not give themselves, since the log and traces tell others by them."""

from __future__ import annotations

from core.errors import Invalid

ERASED, FORGOTTEN = "erased person", "somebody"
"""What stands for who acted when they were erased, or when the tenant no longer keeps who it was."""
RESERVED = frozenset({"operator", "sortation", "webhook", ERASED, FORGOTTEN})
KEY = "key "
"""What the names of API keys begin with, in the log."""


def is_reserved(name: str) -> bool:
    """Whether it tells a program, the operator or nobody: however it is spaced and in whatever letters."""
    folded = " ".join(name.split()).casefold()
    return folded in RESERVED or f"{folded} ".startswith(KEY)


def check_name(name: str) -> str:
    """The name as it is. Raises `Invalid` for a reserved one."""
    if is_reserved(name):
        raise Invalid("the log calls others by this name: take another")
    return name
