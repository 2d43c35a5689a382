"""What files are, by their first bytes: puremagic's table, and what it lacks of those that receipts are."""

from __future__ import annotations

import re

import puremagic

from core.domain.receipts import EXTENSIONS, MAIL

_BRANDS = frozenset((b"mif1", b"msf1", b"heix", b"hevc", b"hevx", b"heim", b"heis"))
"""Of HEIF, beside those that the table knows."""
_FIELD = re.compile(rb"(?:[!-9;-~]+:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n)+")
_OF_MAIL = re.compile(rb"^(from|date|subject|received|message-id|mime-version|return-path|delivered-to):", re.I | re.M)
_ENOUGH = 3
"""Fields by which a message is known: one or two may begin any text."""


class ContentSniffer:
    def kind_of(self, head: bytes) -> str | None:
        if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
            return "image/heif"
        if _is_mail(head):
            return MAIL
        try:
            found = puremagic.magic_string(head)
        except puremagic.PureError:
            return None
        likeliest = found[0].mime_type if found else ""
        return likeliest if likeliest in EXTENSIONS and likeliest != MAIL else None


def _is_mail(head: bytes) -> bool:
    """Whether it begins with the fields of a message, as none of the other kinds does."""
    fields = _FIELD.match(head)
    return fields is not None and len({name.lower() for name in _OF_MAIL.findall(fields[0])}) >= _ENOUGH
