"""A batch of texts normalised at once, as one run of bytes: normalising each alone would take longer than matching."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.domain.records import normalise

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_SEPARATOR = "\0"
"""Stored texts have none, and nothing that normalising does reaches across it: it is no whitespace, composes with
nothing, and folds to itself."""
_OTHER_WHITE = ("\x85", "\u1680", "\u2028", "\u2029")
"""Whitespace beyond ASCII that NFKC and case-folding leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Texts as UTF-8, one segment of `data` each (bytes `starts[i]` to `ends[i]`), in no particular order.

    `owner` is the place that a segment's text had. The first `plain` segments are the texts as
    `core.domain.records.normalise` makes them; the others are texts as they are stored, case-folded, of those that
    differ from it.
    """

    data: bytes
    starts: Ints
    ends: Ints
    owner: Ints
    plain: int


def join(texts: Sequence[str]) -> Joined:
    """`texts` is not empty."""
    is_ascii = np.fromiter(map(str.isascii, texts), dtype=np.bool_, count=len(texts))
    pieces = []
    for some, fold in ((is_ascii, str.lower), (~is_ascii, _fold)):
        if some.any():
            whole = _SEPARATOR.join(compress(texts, some.tolist()))
            pieces.append(_Piece(np.flatnonzero(some), *_normalised(whole, fold)))
    data = b"\0".join(piece.normal for piece in pieces)
    ends = _ends(data)
    if len(ends) > len(texts):
        return _with_separators(texts)
    owner = np.concatenate([piece.places for piece in pieces])
    return _with_stored(data, ends, owner, [one for piece in pieces for one in piece.differing()])


class _Piece(NamedTuple):
    """Some of the texts, by their places: normalised, and as they are stored but case-folded."""

    places: Ints
    normal: bytes
    stored: bytes

    def differing(self) -> list[tuple[int, bytes]]:
        if self.normal is self.stored:
            return []
        each = zip(self.places.tolist(), self.normal.split(b"\0"), self.stored.split(b"\0"), strict=True)
        return [(place, stored) for place, normal, stored in each if normal != stored]


def _normalised(whole: str, fold: Callable[[str], str]) -> tuple[bytes, bytes]:
    """Joined texts normalised, and case-folded only; the same object where these don't differ."""
    composed = whole if whole.isascii() else unicodedata.normalize("NFKC", whole)
    folded = fold(composed)
    data = _bytes(folded)
    normal = data if _is_collapsed(folded, data) else _bytes(_collapse(folded))
    stored = data if composed == whole else _bytes(fold(whole))
    return normal, normal if normal == stored else stored


def _fold(text: str) -> str:
    return text.casefold()


def _is_collapsed(text: str, data: bytes) -> bool:
    """Whether no whitespace but single spaces between words is in the joined texts. `data` is the text in UTF-8."""
    seen = np.frombuffer(b"\0%b\0" % data, dtype=np.uint8)
    space, separator = seen == 32, seen == 0
    if np.count_nonzero(seen < 32) != np.count_nonzero(separator) or any(white in text for white in _OTHER_WHITE):
        return False
    gap = space | separator
    return not ((space[:-1] & gap[1:]).any() or (gap[:-1] & space[1:]).any())


def _collapse(whole: str) -> str:
    collapsed = " ".join(f"{_SEPARATOR}{whole}{_SEPARATOR}".split())
    return collapsed.replace(f" {_SEPARATOR}", _SEPARATOR).replace(f"{_SEPARATOR} ", _SEPARATOR)[1:-1]


def _with_stored(data: bytes, ends: Ints, owner: Ints, stored: Sequence[tuple[int, bytes]]) -> Joined:
    plain = len(owner)
    if stored:
        more = np.cumsum([len(text) + 1 for _, text in stored])
        data = b"\0".join([data, *(text for _, text in stored)])
        ends = np.concatenate([ends, ends[-1] + more])
        owner = np.concatenate([owner, [place for place, _ in stored]])
    return Joined(data=data, starts=np.append(0, ends[:-1] + 1), ends=ends, owner=owner, plain=plain)


def _with_separators(texts: Sequence[str]) -> Joined:
    """Where a text has the separator itself the bounds are told by the lengths."""
    normal = [_bytes(normalise(text)) for text in texts]
    folded = [_bytes(text.casefold()) for text in texts]
    stored = [(place, text) for place, text in enumerate(folded) if text != normal[place]]
    ends = np.cumsum([len(text) + 1 for text in normal]) - 1
    return _with_stored(b"\0".join(normal), ends, np.arange(len(texts)), stored)


def _ends(data: bytes) -> Ints:
    return np.append(np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 0), len(data))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
