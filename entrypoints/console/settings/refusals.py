"""What is refused of what somebody asked for, told where they asked."""

from __future__ import annotations

from core.errors import Forbidden, SortationError
from entrypoints.api.denials import note
from entrypoints.console.words import as_sentence


def told(error: SortationError) -> str:
    """As a sentence. What somebody may not do is noted, as it is at the API."""
    if isinstance(error, Forbidden):
        note(error)
    return as_sentence(error)
