"""How alike the name on a receipt and the texts of a record are: banks cut names, add places, and drop spaces."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+")
_SMALL = (
    "gmbh mbh ag kg ug ohg ev eg gbr se co inc llc ltd plc corp limited company sa sas sarl srl spa bv nv oy ab as aps "
    "sro sp zoo the der die das und and et le la les de di van von fur for www com"
)
_OF_NO_ONE = frozenset(_SMALL.split())
"""Legal forms and small words, which tell nobody from others."""
_SHORTEST = 4
"""Letters from which on the beginning of a word stands for it, and words without their spaces for a name."""


def similarity(merchant: str, text: str, counterparty: str) -> float | None:
    """How much of the name is found in the record's texts: 0 to 1, longer words counting for more. None where either
    side has no words."""
    wanted = words(merchant)
    there = words(f"{counterparty} {text}")
    if not wanted or not there:
        return None
    joined = "".join(wanted)
    if len(joined) > _SHORTEST and joined in "".join(there):
        return 1.0
    known = frozenset(there)
    found = sum(len(word) for word in wanted if word in known or _begun(word, there))
    return found / sum(map(len, wanted))


@lru_cache(maxsize=4_096)
def words(text: str) -> tuple[str, ...]:
    """In their order, without accents, numbers and what names nobody."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return tuple(word for word in _WORD.findall(plain) if _names(word))


def _names(word: str) -> bool:
    return len(word) > 1 and word not in _OF_NO_ONE and not word.isdigit()


def _begun(word: str, there: tuple[str, ...]) -> bool:
    """Whether one of them is the beginning of the other."""
    return any(
        len(short) >= _SHORTEST and long.startswith(short)
        for short, long in ((word, other) if len(word) < len(other) else (other, word) for other in there)
    )
