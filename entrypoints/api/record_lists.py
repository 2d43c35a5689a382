"""The body of POST /records, record by record: 32 MiB of small things take thirty times as much memory, where they are
read before it is known how many they are."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8, utf_8_decode
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson

from core.errors import Invalid, SortationError
from entrypoints.api.errors import MalformedJson

MAX_RECORDS = 10_000
MAX_RECORD = 1 << 20
"""Bytes of one record, with the comma behind it."""
_SPACE = r"[ \t\n\r]*"
_HEAD = re.compile(rf'{_SPACE}\{{{_SPACE}"records"{_SPACE}:{_SPACE}\[{_SPACE}'.encode())
_TAIL = re.compile(rf"{_SPACE}\}}{_SPACE}".encode())
_EMPTY = re.compile(rb"[ \t\n\r]*")
_BETWEEN = re.compile(rf"{_SPACE}([],]){_SPACE}")
_AT_END = 16
"""Characters: a fault nearer to the end of a piece may come from its having been cut off there."""


def lines_of(body: bytes) -> Iterator[bytes]:
    """The records of `{"records": [...]}`, a line each, their amounts to the last digit: no float comes in between.

    Of the body no more than `MAX_RECORD` bytes are in memory as objects at a time. Raises `MalformedJson`, and
    `Invalid` for what has another shape, for too many records and for one that is too large.
    """
    odd: dict[str, list[str]] = {}
    count = 0
    for count, record in enumerate(_records(body.removeprefix(BOM_UTF8)), start=1):
        if count > MAX_RECORDS:
            break
        if isinstance(record, dict):
            yield _written(record) + b"\n"
        else:
            odd[str(count - 1)] = ["Not an object."]
    if not 0 < count <= MAX_RECORDS:
        told = f"1 to {MAX_RECORDS} records go in a request; application/x-ndjson takes more."
        raise Invalid(told, fields={"records": [told]})
    if odd:
        raise Invalid("every record is a JSON object", fields={"records": odd})


def _records(body: bytes) -> Iterator[Any]:
    head = _HEAD.match(body)
    if head is None:
        raise _misshapen(body)
    at = head.end()
    if body[at : at + 1] == b"]":
        _check_tail(body, at + 1)
        return
    while True:
        text = _piece(body, at)
        place = 0
        while (found := _next(text, place)) is not None:
            record, mark, place = found
            yield record
            if mark == "]":
                _check_tail(body, at + _size(text[:place]))
                return
        if place == 0:
            raise _fault(text, cut=at + MAX_RECORD < len(body))
        at = _after_space(body, at + _size(text[:place]))


def _piece(body: bytes, at: int) -> str:
    """What begins there, without the part of a character at its end."""
    end = at + MAX_RECORD
    try:
        return utf_8_decode(body[at:end], "surrogatepass", end >= len(body))[0]
    except UnicodeDecodeError as error:
        raise MalformedJson(f"the body is not JSON: {error}") from None


def _next(text: str, place: int) -> tuple[Any, str, int] | None:
    """The record there, the comma or bracket behind it, and where what follows begins; None where it isn't whole."""
    try:
        record, end = _DECODER.raw_decode(text, place)
    except (ValueError, RecursionError):
        return None
    behind = _BETWEEN.match(text, end)
    return None if behind is None else (record, behind[1], behind.end())


def _fault(text: str, *, cut: bool) -> SortationError:
    """Why no record is there."""
    why = "a comma or a bracket is missing"
    try:
        _, end = _DECODER.raw_decode(text)
        too_large = cut and not text[end:].strip(" \t\n\r")
    except (ValueError, RecursionError) as error:
        why, too_large = str(error), False
        if isinstance(error, json.JSONDecodeError):
            too_large = cut and (error.pos > len(text) - _AT_END or error.msg.startswith("Unterminated"))
    if too_large:
        told = f"a record may have {MAX_RECORD >> 20} MiB"
        return Invalid(told, fields={"records": [told]})
    return MalformedJson(f"the body is not JSON: {why}")


def _check_tail(body: bytes, at: int) -> None:
    if _TAIL.fullmatch(body, at) is None:
        at = _after_space(body, at)
        raise _shape() if body[at : at + 1] == b"," else MalformedJson("the body is not JSON: it does not end in }")


def _misshapen(body: bytes) -> SortationError:
    if len(body) <= MAX_RECORD:
        try:
            json.loads(body, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            return MalformedJson(f"the body is not JSON: {error}")
    return _shape()


def _shape() -> Invalid:
    return Invalid('the body is {"records": [...]}', fields={"records": ["Send a list of records, and nothing else."]})


def _after_space(body: bytes, at: int) -> int:
    found = _EMPTY.match(body, at)
    return at if found is None else found.end()


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _written(record: dict[str, Any]) -> bytes:
    if isinstance(record.get("amount"), Decimal):
        record["amount"] = str(record["amount"])
    try:
        return orjson.dumps(record, default=float)
    except TypeError:
        # Halves of surrogate pairs and huge integers: the connector refuses such a record alone, and says why.
        return json.dumps(record, default=float).encode()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_constant)
