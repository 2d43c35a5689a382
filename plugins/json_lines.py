"""Records as JSON: one object per line (NDJSON), or one array of objects, with the field names of a record."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from math import isfinite
from typing import Any, BinaryIO

from core.domain.nesting import MAX_NESTING, too_deep
from plugins.statements import shortened
from sortation import Batch, ConnectorManifest, Context, Draft, ReadRequest, Refusal, UnreadableFile, hookimpl

MAX_LINE = 1 << 20
MAX_ARRAY = 32 << 20
"""Bytes: an array is read as a whole, and takes up to forty times as much memory; objects on lines of their own have
no such limit."""
_TEXTS = ("text", "kind", "account", "external_id", "counterparty", "currency", "category", "pending_external_id")
_FIELDS = frozenset({*_TEXTS, "occurred_at", "amount", "attributes", "raw", "pending"})
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_BOM = b"\xef\xbb\xbf"
_BIG = 1 << 63


class JsonLines:
    """The connector of JSON files; it needs no configuration."""

    def detect(self, sample: bytes, filename: str) -> float:
        head = sample.removeprefix(_BOM).lstrip()
        if head[:1] not in (b"{", b"["):
            return 0.0
        if b'"occurred_at"' in head:
            return 0.95 if b'"text"' in head or b'"counterparty"' in head else 0.6
        return 0.4 if filename.lower().endswith((".json", ".jsonl", ".ndjson")) else 0.1

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        if request.file is None:
            raise UnreadableFile("a JSON connection reads a file, and there is none")
        items = _drafts(_objects(request.file), ctx.default_currency)
        while part := list(islice(items, request.batch_size)):
            yield Batch(
                drafts=tuple(item for item in part if isinstance(item, Draft)),
                refusals=tuple(item for item in part if isinstance(item, Refusal)),
            )


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="json",
            version="1.0.0",
            title="JSON records",
            factory="plugins.json_lines:JsonLines",
            file_extensions=(".json", ".ndjson", ".jsonl"),
        )
    ]


def draft_of(given: Any, default_currency: str) -> Draft:
    """The draft that a JSON object describes; numbers must have been read as `Decimal` or `int`.

    `occurred_at` is an ISO 8601 date, or an instant with its zone; `amount` a number or a text with one. An amount
    without a currency is in `default_currency`. Raises `ValueError` with the reason.
    """
    if not isinstance(given, dict):
        raise ValueError("not a JSON object")
    if too_deep(given):
        raise ValueError(f"nested deeper than {MAX_NESTING} objects and lists")
    unknown = sorted(given.keys() - _FIELDS)
    if unknown:
        raise ValueError(f"unknown fields: {', '.join(unknown)}")
    fields = {name: value for name, value in given.items() if value is not None}
    for name in _TEXTS:
        if not isinstance(fields.get(name, ""), str):
            raise ValueError(f"{name} must be text")
    for name in ("attributes", "raw"):
        if not isinstance(fields.get(name, {}), dict):
            raise ValueError(f"{name} must be an object")
        if name in fields:
            fields[name] = plain(fields[name])
    if not isinstance(fields.get("pending", False), bool):
        raise ValueError("pending must be true or false")
    fields["occurred_at"] = _moment(fields.get("occurred_at"))
    if "amount" in fields:
        fields["amount"] = _amount(fields["amount"])
        fields.setdefault("currency", default_currency)
    else:
        fields.pop("currency", None)
    return Draft(**{"text": fields.get("counterparty", ""), **fields})


def _drafts(objects: Iterator[tuple[int, Any]], default_currency: str) -> Iterator[Draft | Refusal]:
    for position, given in objects:
        try:
            if isinstance(given, ValueError):
                raise given
            yield draft_of(given, default_currency)
        except ValueError as error:
            yield Refusal(position=position, reason=shortened(str(error)))


def _objects(file: BinaryIO) -> Iterator[tuple[int, Any]]:
    """What stands on each line or in each place of the array, or the `ValueError` that says why it can't be read."""
    head = file.read(MAX_LINE).removeprefix(_BOM).lstrip()
    file.seek(0)
    if not head:
        raise UnreadableFile("the file is empty")
    if head.startswith(b"["):
        yield from enumerate(_array(file), start=1)
        return
    if not head.startswith(b"{"):
        raise UnreadableFile("the file is neither lines of JSON objects nor an array of them")
    if head.partition(b"\n")[0].strip() == b"{":
        raise UnreadableFile("each object must stand on one line of its own, or all of them in one array")
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        long = len(line) == MAX_LINE and not line.endswith(b"\n")
        while long and (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
            pass
        if long:
            yield number, ValueError(f"the line is longer than {MAX_LINE >> 20} MiB")
        elif line := line.removeprefix(_BOM).strip():
            yield number, parsed(line)


def _array(file: BinaryIO) -> list[Any]:
    content = file.read(MAX_ARRAY + 1)
    if len(content) > MAX_ARRAY:
        raise UnreadableFile(f"an array may have {MAX_ARRAY >> 20} MiB: write one object per line instead")
    found = parsed(content.removeprefix(_BOM))
    if isinstance(found, ValueError):
        raise UnreadableFile(f"the array can't be read: {shortened(str(found))}")
    items: list[Any] = found
    return items


def parsed(text: bytes) -> Any:
    """What the JSON says, or the `ValueError` with the reason why it can't be read."""
    try:
        found = decoded(text)
        if may_spell_unstorable(text):
            check_characters(found)
    except RecursionError:
        return ValueError("nested too deeply")
    except ValueError as error:
        return error
    return found


def decoded(text: bytes) -> Any:
    """What the JSON says, its fractions as `Decimal`. Raises `ValueError` with the reason where it is none."""
    try:
        return _DECODER.decode(text.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None


def may_spell_unstorable(text: bytes) -> bool:
    """Whether what the JSON says is worth `check_characters`."""
    return b"\\u" in text or b"\0" in text


def check_characters(found: Any) -> None:
    """Raises `ValueError` for what JSON can spell and no database can store."""
    written = json.dumps(found, ensure_ascii=False, default=str)
    if "\\u0000" in written:
        raise ValueError("a NUL character")
    try:
        written.encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_constant)
"""Made once: `json.loads` would make one for each line, which takes as long as reading it."""


def _moment(value: object) -> date | datetime:
    if not isinstance(value, str):
        raise ValueError("occurred_at must be text: an ISO 8601 date, or an instant with its zone")
    try:
        if _DATE.fullmatch(value):
            return date.fromisoformat(value)
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"occurred_at {value!r} is not an ISO 8601 date or instant") from None
    if instant.tzinfo is None:
        raise ValueError(f"occurred_at {value!r} has no time zone")
    return instant


def _amount(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("amount must be a number, or text with one")
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"amount {value!r} is not a number") from None
    if not amount.is_finite():
        raise ValueError(f"amount {value!r} is not a number")
    return amount


def plain(value: Any) -> Any:
    """Without `Decimal`, which JSON has not: in attributes a number is just a number; a text where it has no place in
    64 bits."""
    if isinstance(value, Decimal):
        number = float(value)
        return number if isfinite(number) else str(value)
    if isinstance(value, int):
        return value if -_BIG <= value < _BIG else str(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
