"""The messages of a file and their fields, as they stand in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.errors import UnreadableFile
from plugins.statements import lines_of

_TAG = re.compile(r"(?:\{[^{}]*\}|\{4:)*\s*:((?:13|2[0158]|34|6[01245]|86|90)[A-Z]?|NS):(.*)", re.DOTALL)
"""Only the tags that there are: a time such as `:26:37` may begin a line as well."""
_END = re.compile(r"\s*-(?:\}.*|[A-Z]{3})?\s*")
MAX_FIELDS = 500_000
"""Of a file: some 150,000 transactions."""


@dataclass(slots=True)
class Field:
    """A field: its tag (`61`, `60F`), the lines of its value, and the line of the file that it begins on."""

    tag: str
    lines: list[str]
    at: int

    @property
    def value(self) -> str:
        return "\n".join(self.lines).rstrip()


@dataclass(slots=True)
class Message:
    """One statement, or one page of it: everything from `:20:` to the next."""

    fields: list[Field] = field(default_factory=list)

    def first(self, *tags: str) -> Field | None:
        return next((field for tag in tags for field in self.fields if field.tag == tag), None)


def messages(text: str) -> Iterator[Message]:
    """Raises `UnreadableFile` when a message has two accounts, or the file too many fields."""
    message = Message()
    current: Field | None = None
    count = 0
    for number, line in enumerate(lines_of(text), start=1):
        match = _TAG.fullmatch(line)
        if match:
            current = Field(match[1], [match[2]], number)
            count += 1
            if count > MAX_FIELDS:
                raise UnreadableFile(f"the file has more than {MAX_FIELDS:,} fields: export a shorter time at once")
            if current.tag == "20" and message.fields:
                yield message
                message = Message()
            elif current.tag == "25" and message.first("25"):
                raise UnreadableFile(f"line {number}: a second account (:25:) in one statement")
            message.fields.append(current)
        elif _END.fullmatch(line):
            current = None  # what banks write between two messages belongs to neither
        elif current is not None:
            current.lines.append(line)
    if message.fields:
        yield message
