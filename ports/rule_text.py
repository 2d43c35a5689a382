"""Rule texts: conditions as people write them in one line."""

from __future__ import annotations

from typing import Protocol

from core.domain.conditions import Condition
from core.errors import RuleInvalid


class RuleTextParser(Protocol):
    """Reads what `core.domain.condition_text` writes, and what people write like it. Safe to share between threads."""

    def parse(self, text: str) -> Condition:
        """The condition that the text describes.

        Raises `RuleInvalid` whose one line begins with the place, `when, column 17: ...`. Columns are characters of
        the text, counted from 1, line breaks among them.
        """
        ...

    def at_column(self, text: str, error: RuleInvalid) -> RuleInvalid:
        """The error with the path that its message begins with (`when.all[1].value: ...`, of the JSON form of what
        `text` says) turned into the column of that part. Any other error, and any of a text that can't be parsed,
        comes back as it is."""
        ...
