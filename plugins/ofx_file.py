"""OFX and QFX files of banks, credit cards and brokers, parsed by `ofxparse`: from bytes, in whatever encoding, to a
document that the library can be trusted with."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plugins.statements import batched, read_whole, readable, shortened
from sortation import Batch, ConnectorManifest, Context, ReadRequest, Refusal, UnreadableFile, hookimpl

MAX_BYTES = 8 << 20
"""A statement is read as a whole and takes some 80 times its size in memory: this is 75,000 transactions."""
_BODY = re.compile(r"<OFX>", re.IGNORECASE)
_OPEN = re.compile(r"<([\w.]+)>((?:[^<]|<!\[CDATA\[.*?\]\]>)*)(?=(</\1>)?)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(/?)([\w.]+)[^<>]*>")
MAX_DEPTH = 32
MAX_TAGS = 1_000_000
"""The library looks for each element among all below it: what nests without end would take it without end."""
MAX_NAMES = 1_000
"""Of elements; OFX itself has some 500. Each new one takes the library longer than the one before."""
MAX_EMPTY = 10_000
"""Elements without a value, beside as many as have one: a bank leaves out some, and means the others."""
_CLOSE = re.compile(r"</([\w.]+)>")
_END = re.compile(r"</OFX>\s*$", re.IGNORECASE)
_DECLARED = re.compile(rb'encoding="([\w-]+)"|CHARSET:\s*([\w-]+)', re.IGNORECASE)
_ERROR = re.compile(
    r"<CODE>\s*(\d+)[^<]*(?:</CODE>)?\s*<SEVERITY>\s*ERROR[^<]*(?:</SEVERITY>)?\s*(?:<MESSAGE>([^<]*))?", re.IGNORECASE
)


class OfxFile:
    """The connector of OFX files; it needs no configuration."""

    def detect(self, sample: bytes, filename: str) -> float:
        head = sample[:4096].replace(b"\0", b"").upper()
        if b"OFXHEADER" in head or b"<OFX>" in head:
            return 0.98
        return 0.35 if filename.lower().endswith((".ofx", ".qfx")) else 0.0

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        if request.file is None:
            raise UnreadableFile("an OFX connection reads a file, and there is none")
        body = _body(read_whole(request.file, MAX_BYTES))
        from plugins.ofx_entries import items_of, parsed  # a tenth of a second, and most files are no OFX

        found = list(readable(items_of(parsed(body), ctx.default_currency)))
        errors = list(_bank_errors(body))
        if errors and not found:
            raise UnreadableFile(shortened(errors[0].reason))
        return batched([*found, *errors], request.batch_size)


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="ofx",
            version="1.0.0",
            title="OFX or QFX file",
            factory="plugins.ofx_file:OfxFile",
            file_extensions=(".ofx", ".qfx"),
        )
    ]


def _body(content: bytes) -> str:
    """The document from `<OFX>` on. UTF-8 wins over what the header declares, since banks declare what they like."""
    declared = _DECLARED.search(content[:2048])
    named = ((declared[1] or declared[2]).decode("ascii") if declared else "").lower()
    boms = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ()
    for encoding in (*boms, "utf-8-sig", f"cp{named}" if named.isdigit() else named, "cp1252", "latin-1"):
        try:
            text = content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        break
    text = text.replace("\0", "")
    start = _BODY.search(text)
    if not start:
        raise UnreadableFile("this is no OFX file: it has no <OFX>")
    if not _END.search(text):
        raise UnreadableFile("the file is cut off: it does not end with </OFX>")
    if text.rfind("<![CDATA[") > text.rfind("]]>"):
        raise UnreadableFile("a CDATA section is opened and never closed")
    body = _closed(text[start.start() :])
    _check_elements(body)
    return body


def _closed(body: str) -> str:
    """Every tag closed, as XML has it: SGML leaves out the end of all that holds a value."""
    closed = {name.upper() for name in _CLOSE.findall(body)}

    def close(match: re.Match[str]) -> str:
        name, value, end = match.groups()
        holds_others = name.upper() in closed and not value.strip()
        return match[0] if end or holds_others else f"{match[0]}</{name}>"

    return _OPEN.sub(close, body)


def _check_elements(body: str) -> None:
    """Raises `UnreadableFile` for elements too deep, too many, of too many names, or mostly empty, before anything is
    built of them: each takes its time."""
    opened: list[str] = []
    names: set[str] = set()
    empty, within = 0, None  # where the element begins that was opened last, while nothing else came
    for count, match in enumerate(_TAG.finditer(body)):
        name = match[2].upper()
        if not match[1]:
            opened.append(name)
            names.add(name)
            within = match.end()
        elif name in opened:
            if within is not None and opened[-1] == name:
                empty += -1 if body[within : match.start()].strip() else 1
            while opened.pop() != name:
                pass
            within = None
        if len(opened) > MAX_DEPTH:
            raise _no_ofx(f"nests elements more than {MAX_DEPTH} deep")
        if count > MAX_TAGS:
            raise _no_ofx(f"has over {MAX_TAGS:,} elements")
        if len(names) > MAX_NAMES:
            raise _no_ofx(f"has elements of over {MAX_NAMES:,} names")
        if empty > MAX_EMPTY:
            raise _no_ofx(f"has over {MAX_EMPTY:,} elements with nothing in them")


def _no_ofx(why: str) -> UnreadableFile:
    return UnreadableFile(f"the file {why}: that is no OFX")


def _bank_errors(body: str) -> Iterator[Refusal]:
    """A statement that the bank did not deliver, as the bank says it."""
    for position, match in enumerate(_ERROR.finditer(body), start=1):
        message = " ".join((match[2] or "").split()) or "no message"
        yield Refusal(position=position, reason=f"the bank answered with error {match[1]}: {message}")
