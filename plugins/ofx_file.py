"""OFX and QFX files of banks, credit cards and brokers, parsed by `ofxparse`.

The library's parser is extended where it would lose something: it shifts dates into UTC, drops a transaction with an
empty tag and all that follow an unreadable investment, ignores the currency of a single transaction, and takes a file
that declares no encoding for ASCII.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from ofxparse import OfxParser
from ofxparse.ofxparse import OfxParserException

from plugins.statements import Item, Sums, batched, read_whole, readable, shortened
from sortation import Batch, ConnectorManifest, Context, Draft, ReadRequest, Refusal, UnreadableFile, hookimpl

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
_UTF8 = b"OFXHEADER:100\r\nDATA:OFXSGML\r\nENCODING:UTF-8\r\nCHARSET:NONE\r\n\r\n"
_NO_ID = "\x00"
_READ_ERRORS = (OfxParserException, ValueError, IndexError, TypeError, AttributeError, InvalidOperation)


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
        found = list(readable(_items(_parse(body), ctx.default_currency)))
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


class _Unread:
    """Stands for a transaction that can't be read, at its place among the others."""

    def __init__(self, error: Exception) -> None:
        self.reason = shortened(str(error)) or type(error).__name__


class _Parser(OfxParser):  # type: ignore[misc]
    @classmethod
    def parseOfxDateTime(cls, text: str) -> datetime | None:  # noqa: N802 (the library's name)
        """The calendar day as the bank wrote it: the times are mostly made up, and UTC may shift the day."""
        if text.startswith("00000000"):
            return None
        try:
            return datetime.strptime(text[:8], "%Y%m%d")  # noqa: DTZ007
        except ValueError:
            raise ValueError(f"{text!r} is not a date") from None

    @classmethod
    def parseTransaction(cls, tag: Any) -> Any:  # noqa: N802
        for empty in [child for child in tag.find_all(True) if not child.get_text(strip=True)]:
            empty.decompose()
        if tag.find("fitid") is None:
            missing = type(tag)(name="fitid")
            missing.string = _NO_ID
            tag.append(missing)
        try:
            transaction = super().parseTransaction(tag)
        except _READ_ERRORS as error:
            return _Unread(error)
        currency = tag.find("currency")
        symbol = currency and currency.find("cursym")
        transaction.currency = symbol.get_text(strip=True) if symbol else None
        transaction.raw = _leaves(tag)
        return transaction

    @classmethod
    def parseInvestmentTransaction(cls, tag: Any) -> Any:  # noqa: N802
        try:
            transaction = super().parseInvestmentTransaction(tag)
        except _READ_ERRORS as error:
            return _Unread(error)
        transaction.raw = _leaves(tag)
        return transaction


def _leaves(tag: Any) -> dict[str, str]:
    leaves = (child for child in tag.find_all(True) if not child.find(True))
    return {leaf.name.upper(): text for leaf in leaves if (text := leaf.get_text(strip=True)) and text != _NO_ID}


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


def _parse(body: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library calls deprecated names of BeautifulSoup
        try:
            return _Parser.parse(io.BytesIO(_UTF8 + body.encode("utf-8", "replace")), fail_fast=False)
        except Exception as error:  # whatever the parsers below raise, they say that this is no OFX
            raise UnreadableFile(f"the file breaks the rules of OFX: {_Unread(error).reason}") from error


def _items(ofx: Any, default_currency: str) -> Iterator[Item]:
    """A draft or refusal for each transaction and the statement's balance, account by account (of a broker's, kind by
    kind).

    The id within an account is the FITID; where a bank gives one twice for different things, the later one gets a
    suffix made of its content, so that neither is lost.
    """
    names = {s.uniqueid: s.name for s in getattr(ofx, "security_list", None) or ()}
    seen: dict[tuple[str, str], set[str]] = {}
    position = 0
    for account in ofx.accounts:
        currency = (account.curdef or getattr(account.statement, "currency", "") or default_currency).upper()
        sums = Sums()
        for entry in account.statement.transactions:
            position += 1
            try:
                if isinstance(entry, _Unread):
                    raise ValueError(entry.reason)
                make = _banking if hasattr(entry, "payee") else _investment
                draft = _distinct(make(entry, account.account_id, currency, names), seen)
            except ValueError as error:
                yield Refusal(position=position, reason=str(error))
                continue
            sums.add(draft)
            yield draft
        balance = getattr(account.statement, "balance", None)
        if isinstance(balance, Decimal) and balance.is_finite():
            yield from sums.statements(account.account_id, None, (balance, currency))


def _distinct(draft: Draft, seen: dict[tuple[str, str], set[str]]) -> Draft:
    """The draft under an id of its own; raises `ValueError` when it was there before."""
    if draft.external_id is None:
        return draft
    contents = seen.setdefault((draft.account, draft.external_id), set())
    content = hashlib.sha256(repr(draft).encode()).hexdigest()[:8]
    if content in contents:
        raise ValueError(f"transaction {draft.external_id} again, unchanged")
    if contents:
        draft = replace(draft, external_id=f"{draft.external_id}#{content}")
    contents.add(content)
    return draft


def _banking(entry: Any, account: str, currency: str, _names: Mapping[str, str]) -> Draft:
    if entry.date is None:
        raise ValueError("the transaction has no date")
    payee, memo = entry.payee or "", entry.memo or ""
    text = memo if memo.casefold().startswith(payee.casefold()) else f"{payee} {memo}".strip()
    number = entry.checknum.lstrip("0")
    if not text or (entry.type == "check" and number not in text):
        text = " ".join(part for part in (text or entry.type, number) if part)
    details = {"type": entry.type, "checknum": number, "sic": entry.sic}
    return Draft(
        text=text,
        occurred_at=entry.date.date(),
        account=account,
        external_id=None if entry.id == _NO_ID else entry.id,
        counterparty=payee,
        amount=Decimal(entry.amount),
        currency=(entry.currency or currency).upper(),
        attributes={key: value for key, value in details.items() if value},
        raw=entry.raw,
    )


def _investment(entry: Any, account: str, currency: str, names: Mapping[str, str]) -> Draft:
    """A purchase, sale, income or transfer of a security; one without a total (units moved) has no amount."""
    if entry.tradeDate is None:
        raise ValueError(f"the {entry.type} has no trade date")
    security = names.get(entry.security, entry.security)
    details = {"type": entry.type, "security": entry.security, "income_type": entry.income_type}
    figures = {"units": entry.units, "unit_price": entry.unit_price, "commission": entry.commission, "fees": entry.fees}
    return Draft(
        kind="investment",
        text=" ".join(part for part in (entry.type, security, entry.memo) if part),
        occurred_at=entry.tradeDate.date(),
        account=account,
        external_id=getattr(entry, "id", None) or None,
        amount=entry.total or None,
        currency=currency if entry.total else None,
        attributes={key: str(value) for key, value in (details | figures).items() if value},
        raw=entry.raw,
    )


def _bank_errors(body: str) -> Iterator[Refusal]:
    """A statement that the bank did not deliver, as the bank says it."""
    for position, match in enumerate(_ERROR.finditer(body), start=1):
        message = " ".join((match[2] or "").split()) or "no message"
        yield Refusal(position=position, reason=f"the bank answered with error {match[1]}: {message}")
