"""What passes between us and a provider of payments, beside subscriptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from urllib.parse import urlsplit
from uuid import UUID

from core.errors import Invalid

MAX_RETURN_URL = 2_000


class Purpose(StrEnum):
    """What a customer goes to the provider's pages for."""

    MANAGE = "manage"
    PAYMENT_METHOD = "payment_method"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """A bill; amounts in `currency` (ISO 4217). `url` is where the provider shows it, to who has the link."""

    id: str
    number: str | None
    status: str
    currency: str
    total: Decimal
    due: Decimal
    created_at: datetime
    period_start: datetime
    period_end: datetime
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEvent:
    """What a provider tells of its own accord: that something happened to a customer. What is so now, is asked for.
    `known` is whether its type can change what a tenant may do."""

    provider: str
    id: str
    type: str
    customer_id: str | None
    known: bool
    created_at: datetime


class EventOutcome(StrEnum):
    """What became of an event when it was received."""

    ACCEPTED = "accepted"
    IGNORED = "ignored"
    """It is nobody's here, or changes nothing that matters here."""
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReading:
    """Usage that is reported to the provider: `quantity` more of what it counts as `name`. `id` is the same however
    often it is sent."""

    id: UUID
    customer_id: str
    name: str
    quantity: Decimal
    at: datetime


def check_return_url(url: str, origins: Sequence[str]) -> str:
    """The URL to which a provider sends people back. Raises `Invalid` unless it lies at one of these origins (such as
    https://sortation.example)."""
    plain = len(url) <= MAX_RETURN_URL and url.isascii() and url.isprintable() and not set(url) & set(" \\<>\"'")
    try:
        parts = urlsplit(url) if plain else None
    except ValueError:  # brackets that hold no address
        parts = None
    if parts is None or f"{parts.scheme}://{parts.netloc}" not in origins:
        raise Invalid(f"a return URL begins with {' or '.join(origins)}")
    return url
