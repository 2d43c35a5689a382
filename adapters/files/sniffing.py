"""What files are, by their first bytes: puremagic's table, and what it lacks of those that receipts are."""

from __future__ import annotations

import puremagic

from core.domain.mail_texts import is_mail
from core.domain.receipts import EXTENSIONS, MAIL

_BRANDS = frozenset((b"mif1", b"msf1", b"heix", b"hevc", b"hevx", b"heim", b"heis"))
"""Of HEIF, beside those that the table knows."""


class ContentSniffer:
    def kind_of(self, head: bytes) -> str | None:
        if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
            return "image/heif"
        if is_mail(head):
            return MAIL
        try:
            found = puremagic.magic_string(head)
        except (puremagic.PureError, ValueError):  # nothing that it knows; nothing at all
            return None
        likeliest = found[0].mime_type if found else ""
        return likeliest if likeliest in EXTENSIONS and likeliest != MAIL else None
