"""Agreements with tenants who pay by invoice: how they come about, and what the clock makes of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from core.domain.billing import ENDED, Subscription, SubscriptionStatus
from core.domain.minor_units import ISO_DECIMALS
from core.domain.payments import Invoice
from core.domain.plans import MOST
from core.errors import Conflict, Invalid

MAX_NUMBER = 100
MOST_AHEAD = timedelta(days=3_660)
"""How far ahead may be paid for: about ten years."""
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A plan by its price, ordered then, and paid until then; None: not paid yet. `ends_at` is when it ends without
    being renewed; `invoices` are the tenant's, also of agreements before this one, the oldest first."""

    tenant_id: UUID
    price_id: str
    ordered_at: datetime
    trial_end: datetime | None = None
    paid_from: datetime | None = None
    paid_until: datetime | None = None
    ends_at: datetime | None = None
    invoices: tuple[Invoice, ...] = ()

    @property
    def runs_until(self) -> datetime | None:
        """How long it is paid, or tried; None before either."""
        return max((end for end in (self.trial_end, self.paid_until) if end is not None), default=None)


def subscription_at(agreement: Agreement, now: datetime) -> Subscription | None:
    """What the agreement is then. None for an order that was taken back before it was paid or tried."""
    over = agreement.ends_at is not None and now >= agreement.ends_at
    if over and agreement.runs_until is None:
        return None
    status = SubscriptionStatus.CANCELED if over else _status(agreement, now)
    start, end = _period(agreement, now)
    return Subscription(
        id=f"{agreement.tenant_id}/{agreement.ordered_at.isoformat()}",
        status=status,
        price_id=agreement.price_id,
        created_at=agreement.ordered_at,
        period_start=start,
        period_end=end,
        trial_end=agreement.trial_end,
        cancel_at=agreement.ends_at,
        past_due_since=agreement.runs_until if status is SubscriptionStatus.PAST_DUE else None,
    )


def _status(agreement: Agreement, now: datetime) -> SubscriptionStatus:
    if agreement.runs_until is None:
        return SubscriptionStatus.INCOMPLETE
    if now >= agreement.runs_until:
        return SubscriptionStatus.PAST_DUE
    if agreement.trial_end is not None and now < agreement.trial_end:
        return SubscriptionStatus.TRIALING
    return SubscriptionStatus.ACTIVE


def _period(agreement: Agreement, now: datetime) -> tuple[datetime, datetime]:
    """That of the last invoice that had begun by then; before the first, the trial."""
    for invoice in reversed(agreement.invoices):
        if agreement.ordered_at <= invoice.period_start <= now:
            return invoice.period_start, invoice.period_end
    return agreement.ordered_at, agreement.trial_end or agreement.ordered_at


def ordered(former: Agreement | None, *, tenant_id: UUID, price_id: str, trial_days: int, now: datetime) -> Agreement:
    """What an order makes of the tenant's agreement. One that runs keeps what is paid, and goes on at the new price; an
    order that waits for its payment becomes the new one; what has ended is followed by another agreement."""
    trial_end = now + timedelta(days=trial_days) if trial_days > 0 else None
    present = None if former is None else subscription_at(former, now)
    if former is None or present is None or present.status in ENDED:
        return Agreement(
            tenant_id=tenant_id,
            price_id=price_id,
            ordered_at=now,
            trial_end=trial_end,
            invoices=() if former is None else former.invoices,
        )
    if present.status is not SubscriptionStatus.INCOMPLETE:
        trial_end = former.trial_end
    return replace(former, price_id=price_id, trial_end=trial_end, ends_at=None)


def canceled(agreement: Agreement, now: datetime) -> Agreement:
    """It ends with what is paid, or tried; at once where neither runs."""
    if agreement.ends_at is not None:
        return agreement
    return replace(agreement, ends_at=max(agreement.runs_until or now, now))


def paid(agreement: Agreement, *, until: date, number: str, total: Decimal, currency: str, now: datetime) -> Agreement:
    """The agreement once its invoice is paid, which covers the days from what was paid or tried before to `until`, that
    one included (UTC). It is renewed by that, if it was to end.

    `total` is in whole units of `currency` (ISO 4217). Raises `Invalid`, and `Conflict` for an agreement that has ended
    and for an invoice that is known.
    """
    number = number.strip()
    if not 0 < len(number) <= MAX_NUMBER or not number.isprintable():
        raise Invalid(f"the number of an invoice has 1 to {MAX_NUMBER} characters and no line breaks")
    _check_total(total, currency)
    if agreement.ends_at is not None and now >= agreement.ends_at:
        raise Conflict("this agreement has ended: a plan is to be ordered anew before it is paid")
    if any(invoice.number == number for invoice in agreement.invoices):
        raise Conflict(f"the invoice {number} is noted already")
    if until > (now + MOST_AHEAD).date():
        raise Invalid(f"what is paid now reaches at most to {(now + MOST_AHEAD).date().isoformat()}")
    start = agreement.runs_until or now
    end = datetime.combine(until + timedelta(days=1), time(), UTC)
    if end <= start:
        raise Invalid(f"what is paid now begins on {start.date().isoformat()}: the last day is one from there on")
    invoice = Invoice(
        id=number,
        number=number,
        status="paid",
        currency=currency,
        total=total,
        due=Decimal(0),
        created_at=now,
        period_start=start,
        period_end=end,
        url=None,
    )
    return replace(
        agreement,
        paid_from=agreement.paid_from or start,
        paid_until=end,
        ends_at=None,
        invoices=(*agreement.invoices, invoice),
    )


def _check_total(total: Decimal, currency: str) -> None:
    if not _CURRENCY.fullmatch(currency):
        raise Invalid(f"currency {currency!r} is not an ISO 4217 code")
    if not total.is_finite() or not 0 <= total < MOST:
        raise Invalid("the total of an invoice is an amount from 0")
    exponent = total.as_tuple().exponent
    decimals = ISO_DECIMALS.get(currency, 2)
    if isinstance(exponent, int) and -exponent > decimals:
        raise Invalid(f"amounts in {currency} have at most {decimals} decimals")
