"""What an e-mail looks like, to who has its first bytes."""

from __future__ import annotations

import re

_FIELDS = re.compile(rb"(?:[!-9;-~]{1,100}:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n)+")
_OF_MAIL = re.compile(
    rb"^(from|to|date|subject|received|message-id|mime-version|return-path|delivered-to):", re.IGNORECASE | re.MULTILINE
)
_POSTMARK = re.compile(rb"From [^\s:][^\r\n]*\r?\n")
_ENOUGH = 3
"""Fields by which a message is known: one or two may begin any text."""


def without_postmark(content: bytes) -> bytes:
    """The message without the line `From sender date` before it, which mail servers write for a program that takes it
    in, and which is none of its fields."""
    line = _POSTMARK.match(content)
    return content if line is None else content[line.end() :]


def is_mail(head: bytes) -> bool:
    """Whether a file that begins so begins with the fields of a message (RFC 5322), which no other kind does."""
    fields = _FIELDS.match(head)
    return fields is not None and len({name.lower() for name in _OF_MAIL.findall(fields[0])}) >= _ENOUGH
