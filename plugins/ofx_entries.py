"""What the statements of an OFX file become, account by account, by way of `ofxparse`.

The library's parser is extended where it would lose something: it shifts dates into UTC, drops a transaction with an
empty tag and all that follow an unreadable investment, and ignores the currency of a single transaction.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from ofxparse import OfxParser
from ofxparse.ofxparse import OfxParserException

from plugins.statements import Item, Sums, shortened
from sortation import Draft, Refusal, UnreadableFile

_UTF8 = b"OFXHEADER:100\r\nDATA:OFXSGML\r\nENCODING:UTF-8\r\nCHARSET:NONE\r\n\r\n"
_NO_ID = "\x00"
_READ_ERRORS = (OfxParserException, ValueError, IndexError, TypeError, AttributeError, InvalidOperation)


def parsed(body: str) -> Any:
    """The library's view of a document whose tags are all closed. Raises `UnreadableFile`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library calls deprecated names of BeautifulSoup
        try:
            return _Parser.parse(io.BytesIO(_UTF8 + body.encode("utf-8", "replace")), fail_fast=False)
        except Exception as error:  # whatever the parsers below raise, they say that this is no OFX
            raise UnreadableFile(f"the file breaks the rules of OFX: {_Unread(error).reason}") from error


def items_of(ofx: Any, default_currency: str) -> Iterator[Item]:
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
