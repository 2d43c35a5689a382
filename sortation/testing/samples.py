"""Files and webhooks that an author gives, and files of others that no connector should take for its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from core.domain.records import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A file of the connector's: its `content` (or the `path` where it lies), how many drafts, refusals and receipts it
    gives, and what the drafts' amounts sum up to, signed. `config` is the connection's, where it is not the suite's.

    `unreadable` says that it is refused as a whole, with `UnreadableFile`."""

    drafts: int = 0
    content: bytes = b""
    path: Path | None = None
    filename: str = ""
    refusals: int = 0
    total: Decimal | None = None
    unreadable: bool = False
    config: Mapping[str, Any] | None = None
    receipts: int = 0

    @property
    def name(self) -> str:
        return self.filename or (self.path.name if self.path else "sample")

    def read(self) -> bytes:
        return self.path.read_bytes() if self.path else self.content


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A webhook of the source: its body (bytes, or what is written as JSON) and how many drafts and receipts it brings;
    none of either for one of no interest. `headers` are as the source sends them; the kit signs anew, by the manifest's
    scheme, and puts `id` where that has the event's."""

    body: bytes | Mapping[str, Any] | list[Any]
    drafts: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    id: str = "evt-1"
    receipts: int = 0

    def written(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


_OFX = b"""OFXHEADER:100
DATA:OFXSGML
VERSION:102
ENCODING:USASCII
CHARSET:1252

<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>EUR<BANKTRANLIST><STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20260302
<TRNAMT>-12.50<FITID>1<NAME>Corner shop</STMTTRN></BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""
_CAMT = b"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt><GrpHdr><MsgId>1</MsgId>
<CreDtTm>2026-03-02T10:00:00</CreDtTm></GrpHdr><Stmt><Id>1</Id></Stmt></BkToCstmrStmt></Document>
"""
FOREIGN: Mapping[str, bytes] = {
    "statement.csv": b"Date,Description,Amount\n2026-03-02,Corner shop,-12.50\n2026-03-03,Salary,2000.00\n",
    "records.jsonl": b'{"occurred_at": "2026-03-02", "text": "Corner shop", "amount": "-12.50"}\n',
    "statement.ofx": _OFX,
    "statement.xml": _CAMT,
    "statement.sta": b":20:STARTUMS\n:25:10020030/1234567\n:28C:1/1\n:60F:C260301EUR100,00\n"
    b":61:2603020302D12,50NMSCNONREF\n:86:Corner shop\n:62F:C260302EUR87,50\n-\n",
    "statement.qif": b"!Type:Bank\nD03/02/2026\nT-12.50\nPCorner shop\n^\n",
    "page.html": b"<!doctype html>\n<html><head><title>Sign in</title></head><body>Please</body></html>\n",
    "letter.md": b"Dear customer,\n\nyour statement is attached. Yours\n\nThe bank\n",
    "statement.pdf": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n%%EOF\n",
    "picture.png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00",
    "files.zip": b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + bytes(range(64)),
    "empty": b"",
    "noise.bin": bytes((i * 197 + i // 7) % 256 for i in range(2_048)),
}
"""What banks and others send, by file name. A suite leaves out those with an extension of its connector's."""


def spoiled(content: bytes) -> Iterator[tuple[str, bytes]]:
    """What may become of a file on its way, and files that never were one."""
    yield "empty", b""
    yield "blank", b"\n\n \t\n"
    yield "noise", FOREIGN["noise.bin"]
    yield "zeros", bytes(4_096)
    yield "its first byte again and again", content[:1] * 70_000
    yield "a picture", FOREIGN["picture.png"]
    yield "UTF-16", content.decode("utf-8", "replace").encode("utf-16")
    for share in (1, 3, 5, 7):
        cut = len(content) * share // 8
        yield f"cut off after {cut} bytes", content[:cut]
        yield f"with noise at byte {cut}", content[:cut] + b"\x00\xff\xfe<\"'{[|;,\n" + content[cut:]
        yield f"without 40 bytes from {cut} on", content[:cut] + content[cut + 40 :]


def monotonous(content: bytes) -> Iterator[tuple[str, bytes]]:
    """64 KiB of one character each, and of the first lines of a file, which patterns may go through again and again."""
    size = 64 << 10
    for character in dict.fromkeys((content[:1] or b"x", *(bytes([c]) for c in b'\n \t"<{[(:;,.-0a'))):
        yield f"{character!r}", character * size
    for line in dict.fromkeys(content.splitlines()[:3]):
        if line:
            yield f"{line[:30]!r}", ((line + b"\n") * (size // (len(line) + 1)))


_ODD: tuple[Any, ...] = (None, {"odd": [1]}, [], "\u0000 odd", -1, True, 1e300)


def odd_rows(content: bytes, drafts: Iterable[Draft]) -> Iterator[tuple[str, bytes]]:
    """A file again and again, each time without the digits of one amount or day of its drafts; at most some dozen
    times."""
    found = {place for draft in drafts for place in _written(content, draft)}
    for start, end in sorted(found)[:: max(1, len(found) // 40)]:
        told = content[start:end]
        yield f"{told.decode()} at byte {start}", content[:start] + re.sub(rb"\d", b"x", told) + content[end:]


def _written(content: bytes, draft: Draft) -> Iterator[tuple[int, int]]:
    """From where to where the file tells the amount and the day of a draft, as far as it can be guessed."""
    day = draft.occurred_at
    forms = {f"{day:{form}}" for form in ("%Y-%m-%d", "%Y%m%d", "%y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")}
    if draft.amount is not None:
        amounts = {f"{abs(draft.amount):{form}}" for form in ("f", ".2f", ",.2f")}
        forms |= amounts | {amount.translate(_COMMAS) for amount in amounts}
    for form in forms:
        for place in islice(re.finditer(rb"(?<!\d)" + re.escape(form.encode()) + rb"(?!\d)", content), 3):
            yield place.span()


_COMMAS = str.maketrans(".,", ",.")


@dataclass(frozen=True, slots=True)
class Oddity:
    """A JSON `document` with `value` at `place` (the keys and positions that lead there), where `before` was."""

    place: tuple[Any, ...]
    value: Any
    before: Any
    document: Any

    def __str__(self) -> str:
        return f"{self.value!r} at {'.'.join(map(str, self.place))}"

    @property
    def usual(self) -> bool:
        """Whether the source may answer such a value there: another number, a list with nothing in it, or the like."""
        return type(self.value) is type(self.before) and not isinstance(self.value, str)


def odd_values(document: Any) -> Iterator[Oddity]:
    """A JSON document again and again, each time with another odd value at one place; at most some hundred times."""
    places = list(_places(document, ()))
    for place, before in places[:: max(1, len(places) // 40)]:
        for value in _ODD:
            yield _odd(document, place, before, value)


def odd_within(document: Any, within: tuple[Any, ...]) -> Iterator[Oddity]:
    """As above, with one odd value at each place of a part of the document."""
    for place, before in _places(document, ()):
        if place[: len(within)] == within:
            yield _odd(document, place, before, _ODD[1])


def _odd(document: Any, place: tuple[Any, ...], before: Any, value: Any) -> Oddity:
    return Oddity(place, value, before, _with(document, place, value))


def _places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    children: list[tuple[Any, Any]] = []
    if isinstance(value, Mapping):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))[:2]
    for key, child in children:
        yield (*path, key), child
        yield from _places(child, (*path, key))


def _with(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(document) if isinstance(document, Mapping) else list(document)
    copy[path[0]] = _with(copy[path[0]], path[1:], value)
    return copy
