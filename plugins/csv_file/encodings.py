"""Which encoding a file is in, decided over all its bytes."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import charset_normalizer

from core.errors import UnreadableFile

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK = 1 << 20
_HEAD = 1 << 16
_WESTERN = frozenset("äöüÄÖÜßéèêëÉÈÊàâáãåæÀÂÁÅÆçÇñÑóòôõøœÓÖØŒíìîïÍúùûÚýÿ€£§°´`–—‘’“”„«»·•…¿¡ªº²³½¼®©™&\u00a0")
"""What occurs in western European statements, as cp1252 has it."""


def find_encoding(file: BinaryIO, named: str | None = None) -> str:
    """The codec that decodes the whole of `file`: `named` if given, a byte order mark's, UTF-8, else a guess.

    Raises `UnreadableFile` when the file is binary, or `named` is unknown or does not fit.
    """
    file.seek(0)
    head = file.read(_HEAD)
    if named:
        return _checked(file, named)
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return _checked(file, encoding)
    if wide := _wide(head):
        return _checked(file, wide)
    if head.count(0) > len(head) // 100:
        raise UnreadableFile("this is a binary file, not CSV")
    if _broken_at(file, "utf-8") is None:
        return "utf-8"
    guess = _guess(_around(file, _broken_at(file, "utf-8") or 0))
    return next(e for e in (guess, "cp1252", "latin-1") if _broken_at(file, e) is None)


@contextmanager
def as_text(file: BinaryIO, encoding: str) -> Iterator[io.TextIOWrapper]:
    """`file` from its start as text with its line ends untouched; `file` stays open."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        yield text
    finally:
        text.detach()


def _wide(head: bytes) -> str | None:
    """UTF-16 without a byte order mark: of text in Latin letters every other byte is NUL."""
    even, odd = head[0::2], head[1::2]
    if len(odd) > 8 and odd.count(0) > len(odd) * 0.6 and even.count(0) < len(even) * 0.1:
        return "utf-16-le"
    if len(odd) > 8 and even.count(0) > len(even) * 0.6 and odd.count(0) < len(odd) * 0.1:
        return "utf-16-be"
    return None


def _broken_at(file: BinaryIO, encoding: str) -> int | None:
    """The offset of the first byte that `encoding` can't decode, or None."""
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    done = 0
    try:
        while chunk := file.read(_CHUNK):
            decoder.decode(chunk)
            done += len(chunk)
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        return done + getattr(error, "start", 0)
    return None


def _checked(file: BinaryIO, encoding: str) -> str:
    try:
        codec = codecs.lookup(encoding)
    except LookupError:
        raise UnreadableFile(f"the encoding {encoding!r} is unknown") from None
    if not getattr(codec, "_is_text_encoding", True):
        raise UnreadableFile(f"{encoding!r} is no text encoding")
    broken = _broken_at(file, encoding)
    if broken is not None:
        raise UnreadableFile(f"the file is not {encoding}: the byte at offset {broken} does not decode")
    return encoding


def _around(file: BinaryIO, offset: int) -> bytes:
    file.seek(max(0, offset - _HEAD // 2))
    return file.read(_HEAD)


def _guess(sample: bytes) -> str:
    high = {c for c in sample.decode("cp1252", "replace") if c > "\x7f"}
    if high <= _WESTERN:
        return "cp1252"
    best = charset_normalizer.from_bytes(sample).best()
    return best.encoding if best else "cp1252"
