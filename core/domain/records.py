"""Records: one normalised thing to sort, and the drafts that connectors make of them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from core.errors import Invalid

MAX_TEXT = 4_000
"""Characters of `text` that a draft may have: no bank sends more, and a page of log is not a record."""
MAX_SHORT = 512
MAX_CATEGORY = 120
MAX_KEY_BYTES = 2_000
"""Of what identifies a record: an index entry of PostgreSQL has room for 2,704 bytes."""
MAX_AMOUNT = Decimal(10) ** 24
MAX_DECIMALS = 12
_WHITE = re.compile(r"\s+")
_FORBIDDEN = re.compile(r"[\x00\ud800-\udfff]")
_CURRENCY = re.compile(r"[A-Z]{3}")


class RecordStatus(StrEnum):
    INGESTED = "ingested"
    PROCESSED = "processed"
    NEEDS_REVIEW = "needs_review"
    APPROVED = "approved"
    OVERRIDDEN = "overridden"
    HELD = "held"
    FAILED = "failed"


DECIDED_BY_PERSON = frozenset({RecordStatus.APPROVED, RecordStatus.OVERRIDDEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A record as a connector yields it, before it has an identity of ours.

    `occurred_at` is a `date` where the source knows only the calendar day, else an aware `datetime`.
    `external_id` is the source's own stable id within `account`, or None: then a fingerprint stands in.
    `amount` is signed (money out is negative) in `currency` (ISO 4217); both or neither are given.
    `category` is set only by sources that are already sorted (imported history): its name, path or key.
    """

    text: str
    occurred_at: date | datetime
    kind: str = "transaction"
    account: str = ""
    external_id: str | None = None
    counterparty: str = ""
    amount: Decimal | None = None
    currency: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)
    pending: bool = False
    pending_external_id: str | None = None
    """The id that this record had while it was pending, where the source gives a posted record a new one."""
    category: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A part of the input that could not become a record: where (1-based line or item) and why."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A stored record; see DESIGN's words. `version` rises with every change and is the ETag."""

    id: UUID
    tenant_id: UUID
    connection_id: UUID
    import_id: UUID | None
    kind: str
    account: str
    external_id: str
    occurred_at: date | datetime
    text: str
    counterparty: str
    amount: Decimal | None
    currency: str | None
    attributes: Mapping[str, Any]
    raw: Mapping[str, Any]
    pending: bool
    status: RecordStatus
    category_id: UUID | None
    stage: str | None
    confidence: float | None
    threshold: float | None
    model_version: str | None
    selection_probability: float | None
    reasoning_trace: Mapping[str, Any] | None
    failure: str | None
    tags: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    version: int
    rule_id: UUID | None = None
    """The rule that decided it, asked for a person, or (from an untrusted pack) suggested."""


class Sortable(Protocol):
    """What rules see of a record: what came, and nothing of what became of it."""

    @property
    def id(self) -> UUID: ...
    @property
    def connection_id(self) -> UUID: ...
    @property
    def kind(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def occurred_at(self) -> date | datetime: ...
    @property
    def text(self) -> str: ...
    @property
    def counterparty(self) -> str: ...
    @property
    def amount(self) -> Decimal | None: ...
    @property
    def currency(self) -> str | None: ...
    @property
    def attributes(self) -> Mapping[str, Any]: ...


class Snapshot(NamedTuple):
    """A stored record in short, for looking at very many: what rules see (`Sortable`), and what became of it.

    `rule_id` is the rule that decided it or asked for a person, and `asked` says that an open review item is there
    because a rule asked. A tuple, since 100,000 of them are read at once.
    """

    id: UUID
    connection_id: UUID
    kind: str
    account: str
    occurred_at: date | datetime
    text: str
    counterparty: str
    amount: Decimal | None
    currency: str | None
    attributes: Mapping[str, Any]
    status: RecordStatus
    category_id: UUID | None
    stage: str | None
    rule_id: UUID | None
    asked: bool
    version: int


def clean_text(value: str) -> str:
    """Whitespace collapsed, Unicode composed (NFC): what is stored as `text` and `counterparty`."""
    return _WHITE.sub(" ", unicodedata.normalize("NFC", value)).strip()


def normalise(value: str) -> str:
    """The form in which texts are compared: NFKC, case-folded, one space between words."""
    return _WHITE.sub(" ", unicodedata.normalize("NFKC", value).casefold()).strip()


def occurred_on(occurred_at: date | datetime, zone: ZoneInfo) -> date:
    """The calendar day in the tenant's time zone; a bare date stays what the source said."""
    if isinstance(occurred_at, datetime):
        return occurred_at.astimezone(zone).date()
    return occurred_at


def check_draft(draft: Draft) -> Draft:
    """The draft with its texts cleaned and its instant in UTC.

    Raises `Invalid` with a reason that a person understands when it cannot become a record.
    """
    for name in ("text", "counterparty", "account", "kind", "external_id", "pending_external_id", "category"):
        value = getattr(draft, name)
        if value and _FORBIDDEN.search(value):
            raise Invalid(f"{name} has a NUL or half a surrogate pair")
    text, counterparty = clean_text(draft.text), clean_text(draft.counterparty)
    if not text and not counterparty:
        raise Invalid("neither text nor counterparty says what this is")
    if len(text) > MAX_TEXT:
        raise Invalid(f"text is longer than {MAX_TEXT} characters")
    for name, value in (("counterparty", counterparty), ("account", draft.account), ("kind", draft.kind)):
        if len(value) > MAX_SHORT:
            raise Invalid(f"{name} is longer than {MAX_SHORT} characters")
    if draft.external_id is not None and not 0 < len(draft.external_id) <= MAX_SHORT:
        raise Invalid(f"external_id must have 1 to {MAX_SHORT} characters")
    if len(f"{draft.account}{draft.external_id or ''}".encode()) > MAX_KEY_BYTES:
        raise Invalid(f"account and external_id have more than {MAX_KEY_BYTES} bytes together")
    if draft.category is not None and len(draft.category) > MAX_CATEGORY:
        raise Invalid(f"category is longer than {MAX_CATEGORY} characters")
    _check_money(draft.amount, draft.currency)
    instant = draft.occurred_at
    if not 1900 <= instant.year <= 2200:
        raise Invalid(f"the date {instant.isoformat()} is out of range")
    if isinstance(instant, datetime):
        if instant.tzinfo is None:
            raise Invalid("occurred_at has no time zone")
        instant = instant.astimezone(UTC)
    text = text or counterparty
    if (text, counterparty) == (draft.text, draft.counterparty) and instant is draft.occurred_at:
        return draft
    return replace(draft, text=text, counterparty=counterparty, occurred_at=instant)


def _check_money(amount: Decimal | None, currency: str | None) -> None:
    if amount is None:
        return
    if not amount.is_finite():
        raise Invalid("amount is not a finite number")
    if abs(amount) >= MAX_AMOUNT:
        raise Invalid("amount is too large")
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > MAX_DECIMALS:
        raise Invalid(f"amount has more than {MAX_DECIMALS} decimals")
    if currency is None:
        raise Invalid("amount has no currency")
    if not _CURRENCY.fullmatch(currency):
        raise Invalid(f"currency {currency!r} is not an ISO 4217 code")


def fingerprint(draft: Draft) -> str:
    """What identifies a draft without an id of its source: day, amount, currency and texts."""
    amount = "" if draft.amount is None else format(draft.amount.normalize(), "f")
    parts = (draft.kind, draft.occurred_at.isoformat(), amount, draft.currency or "", draft.text, draft.counterparty)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def identify(drafts: Iterable[Draft], counts: dict[tuple[str, str], int] | None = None) -> Iterator[Draft]:
    """Gives each draft without an `external_id` one: its fingerprint and how often that occurred in the file so far.

    So two real identical purchases stay two, while an overlapping file adds none. `counts` carries the occurrences
    on, by (account, fingerprint), when a file is read in batches.
    """
    counts = {} if counts is None else counts
    for draft in drafts:
        if draft.external_id is not None:
            yield draft
            continue
        key = (draft.account, fingerprint(draft))
        counts[key] = counts.get(key, 0) + 1
        yield replace(draft, external_id=f"fp:{key[1]}:{counts[key]}")


def text_digest(text: str) -> bytes:
    """The content address of a text as it is compared (SHA-256 of `normalise`)."""
    return hashlib.sha256(normalise(text).encode()).digest()


def similarity_text(text: str, counterparty: str) -> str:
    """What is embedded and searched: the text, led by the counterparty where the text does not name it."""
    if counterparty and normalise(counterparty) not in normalise(text):
        return f"{counterparty} {text}"
    return text


def chunked(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
