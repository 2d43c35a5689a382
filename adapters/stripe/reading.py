"""What Stripe has of a customer, in our words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import stripe

from core.domain.billing import Subscription, SubscriptionStatus
from core.domain.minor_units import STRIPE_DECIMALS, from_minor
from core.domain.payments import Invoice

_UNPAID = ("open", "uncollectible")


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def plan_item(subscription: stripe.Subscription) -> stripe.SubscriptionItem:
    """The item that is the plan: the first one that is not counted by use."""
    items = subscription.items.data
    return next((item for item in items if not is_by_use(price_of(item))), items[0])


def is_by_use(price: stripe.Price | stripe.Plan) -> bool:
    """Whether a meter says how much of it is paid."""
    recurring = getattr(price, "recurring", None)
    return recurring is not None and recurring.usage_type == "metered"


def price_of(item: stripe.SubscriptionItem) -> stripe.Price | stripe.Plan:
    """Servers that stand in for Stripe, and know its former versions, have a plan in the place of a price."""
    return getattr(item, "price", None) or item.plan


def subscription_of(subscription: stripe.Subscription, past_due_since: datetime | None) -> Subscription:
    item = plan_item(subscription)
    dated: Any = item if hasattr(item, "current_period_end") else subscription  # as above
    start, end = dated.current_period_start, dated.current_period_end
    ends = subscription.cancel_at or (end if subscription.cancel_at_period_end else None)
    return Subscription(
        id=subscription.id,
        status=SubscriptionStatus(subscription.status),
        price_id=price_of(item).id,
        created_at=moment(subscription.created),
        period_start=moment(start),
        period_end=moment(end),
        trial_end=None if subscription.trial_end is None else moment(subscription.trial_end),
        cancel_at=None if ends is None else moment(ends),
        past_due_since=past_due_since,
    )


def unpaid_since(invoices: Iterable[stripe.Invoice]) -> datetime | None:
    """When the first bill was due of those that nobody paid since the last one that was paid; `invoices` are a
    subscription's, newest first. Not the latest one's time, or each bill that is added would begin the wait anew."""
    first = None
    for invoice in invoices:
        if invoice.status == "paid":
            break
        if invoice.status in _UNPAID:
            first = getattr(invoice, "due_date", None) or invoice.created
    return None if first is None else moment(first)


def invoice_of(invoice: stripe.Invoice) -> Invoice:
    """The period is that of its lines: an invoice's own is the one before, in which such lines were collected."""
    currency = invoice.currency.upper()
    periods = [line.period for line in invoice.lines.data]
    left = invoice.amount_due - invoice.amount_paid if invoice.status in _UNPAID else 0
    return Invoice(
        id=invoice.id,
        number=getattr(invoice, "number", None),
        status=str(invoice.status),
        currency=currency,
        total=_money(invoice.total, currency),
        due=_money(left, currency),
        created_at=moment(invoice.created),
        period_start=moment(min((period.start for period in periods), default=invoice.period_start)),
        period_end=moment(max((period.end for period in periods), default=invoice.period_end)),
        url=getattr(invoice, "hosted_invoice_url", None),
    )


def _money(amount: int, currency: str) -> Decimal:
    return from_minor(amount, currency, STRIPE_DECIMALS)
