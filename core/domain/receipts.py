"""Receipts: files that prove what a record was for, what they say, and which records they are of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import PurePosixPath
from uuid import UUID

from core.domain.records import MAX_AMOUNT, MAX_DECIMALS, clean_text
from core.errors import Invalid

MAX_MERCHANT = 200
MAX_FILENAME = 255
MAIL = "message/rfc822"
PDF = "application/pdf"
EXTENSIONS = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg", ".jfif"),
    "image/webp": (".webp",),
    "image/gif": (".gif",),
    "image/heif": (".heic", ".heif"),
    "image/tiff": (".tif", ".tiff"),
    PDF: (".pdf",),
    MAIL: (".eml",),
}
"""What a receipt may be, with the endings of such files' names. Nothing that a browser would run is among them."""
SHOWN_INLINE = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
"""What a page may show: browsers draw these, and do no more with them."""
READABLE = frozenset({PDF, MAIL})
"""What has text to be read; what a picture says, people say."""
SAID = ("amount", "currency", "day", "merchant")
_CURRENCY = re.compile(r"[A-Z]{3}")
FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""What no name has."""


class ReceiptSource(StrEnum):
    UPLOAD = "upload"
    CONNECTION = "connection"


class ReceiptState(StrEnum):
    """How far it is read."""

    READING = "reading"
    READ = "read"
    UNREADABLE = "unreadable"
    PICTURE = "picture"
    """It has no text: it says what people say it does."""


class MatchState(StrEnum):
    SUGGESTED = "suggested"
    LINKED = "linked"
    REJECTED = "rejected"
    """Somebody said that the receipt is not of this record: it is suggested no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a receipt says: `amount` is what was to be paid, without a sign, in `currency` (ISO 4217); `day` that of the
    purchase. None is unknown."""

    amount: Decimal | None = None
    currency: str | None = None
    day: date | None = None
    merchant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A file, whose it is, what it says, and how many records it is linked to.

    `mime_type` is what its content is; `filename` what it was called, which nothing believes. What people said of it is
    named in `by_person`, all else was read out of it.
    """

    id: UUID
    tenant_id: UUID
    filename: str
    mime_type: str
    bytes: int
    sha256: str
    source: ReceiptSource
    connection_id: UUID | None
    uploaded_by: str
    uploaded_at: datetime
    state: ReceiptState
    failure: str | None
    said: Said
    by_person: tuple[str, ...]
    links: int
    version: int

    @property
    def path(self) -> str:
        """Where its file is in the file store: by its content, so that what is written again takes its own place."""
        return receipt_path(self.tenant_id, self.sha256)


def receipt_path(tenant_id: UUID, sha256: str) -> str:
    return f"{tenant_id}/receipts/{sha256}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptDraft:
    """A receipt as a connector gives it: the file as it is, and what it was called."""

    content: bytes
    filename: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A record that a receipt may be of: of the record, what is compared."""

    receipt_id: UUID
    record_id: UUID
    amount: Decimal
    currency: str | None
    day: date
    text: str
    counterparty: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What is thought of a receipt and a record. `score` is the probability that they belong together, as it was worked
    out last; None for a pair that a person brought together before anything was."""

    receipt_id: UUID
    record_id: UUID
    state: MatchState
    score: float | None
    decided_by: str | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReceipt:
    """A receipt of a record, or one that is suggested for it."""

    match: Match
    filename: str
    mime_type: str
    said: Said


def check_said(said: Said) -> Said:
    """With the merchant's name cleaned. Raises `Invalid`, naming the field."""
    amount, currency = said.amount, said.currency
    if amount is not None:
        exponent = amount.as_tuple().exponent
        if not amount.is_finite() or not 0 <= amount < MAX_AMOUNT:
            raise _wrong("amount", "an amount is a number from 0 on")
        if isinstance(exponent, int) and -exponent > MAX_DECIMALS:
            raise _wrong("amount", f"an amount has at most {MAX_DECIMALS} decimals")
        amount = Decimal(format(amount, "f"))  # never as 1E+2
    if currency is not None and not _CURRENCY.fullmatch(currency):
        raise _wrong("currency", "a currency is an ISO 4217 code such as EUR")
    if said.day is not None and not 1900 <= said.day.year <= 2200:
        raise _wrong("day", "the day is out of range")
    merchant = said.merchant
    if merchant is not None:
        merchant = clean_text(merchant)
        if FORBIDDEN.search(merchant):
            raise _wrong("merchant", "a name has no control characters")
        if not 0 < len(merchant) <= MAX_MERCHANT:
            raise _wrong("merchant", f"a name has 1 to {MAX_MERCHANT} characters")
    return replace(said, amount=amount, merchant=merchant)


def said_by_person(receipt: Receipt, changes: Said, named: Sequence[str]) -> Receipt:
    """The receipt after a person said what the fields in `named` are; None takes a value away, also one that was read.
    Raises `Invalid`."""
    given = check_said(replace(receipt.said, **{name: getattr(changes, name) for name in named}))
    by_person = tuple(name for name in SAID if name in receipt.by_person or name in named)
    return replace(receipt, said=given, by_person=by_person)


def said_by_itself(receipt: Receipt, found: Said) -> Receipt:
    """The receipt once it was read: what people said stays."""
    kept = {name: getattr(receipt.said, name) for name in receipt.by_person}
    return replace(receipt, state=ReceiptState.READ, failure=None, said=replace(found, **kept))


def download_name(receipt: Receipt) -> str:
    """The name with which it may be kept: whatever it was called, it ends as its content says, so that no machine takes
    it for something else."""
    endings = EXTENSIONS[receipt.mime_type]
    name = FORBIDDEN.sub("", receipt.filename).strip(" .") or "receipt"
    return name if PurePosixPath(name).suffix.casefold() in endings else f"{name}{endings[0]}"


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(message, fields={field: [f"{message[0].upper()}{message[1:]}."]})
