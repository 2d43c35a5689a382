"""Agreements with tenants who pay by invoice: what becomes of them, by the clock and by what people do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from core.domain.agreements import MAX_NUMBER, Agreement, canceled, ordered, paid, subscription_at
from core.domain.billing import Subscription, SubscriptionStatus
from core.errors import Conflict, Invalid

TENANT = UUID(int=7)
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
TEAM, BUSINESS = "team@1/month", "business@1/month"


def an_order(former: Agreement | None = None, *, price: str = TEAM, days: int = 0, now: datetime = NOW) -> Agreement:
    return ordered(former, tenant_id=TENANT, price_id=price, trial_days=days, now=now)


def pay(agreement: Agreement, until: date, number: str = "2026-001", *, now: datetime = NOW, **told: Any) -> Agreement:
    return paid(
        agreement,
        until=until,
        number=number,
        total=told.get("total", Decimal("29.00")),
        currency=told.get("currency", "EUR"),
        now=now,
    )


def at(agreement: Agreement, now: datetime) -> Subscription:
    subscription = subscription_at(agreement, now)
    assert subscription is not None
    return subscription


def status(agreement: Agreement, now: datetime) -> SubscriptionStatus:
    return at(agreement, now).status


def test_an_order_waits_for_its_payment_and_is_paid_to_the_end_of_the_day() -> None:
    agreement = an_order()
    assert status(agreement, NOW + 100 * DAY) is SubscriptionStatus.INCOMPLETE
    agreement = pay(agreement, date(2026, 2, 4), now=NOW + DAY)
    ends = datetime(2026, 2, 5, tzinfo=UTC)
    assert (agreement.paid_from, agreement.paid_until) == (NOW + DAY, ends)
    assert status(agreement, ends - timedelta(microseconds=1)) is SubscriptionStatus.ACTIVE
    late = at(agreement, ends)
    assert (late.status, late.past_due_since) == (SubscriptionStatus.PAST_DUE, ends)
    assert at(agreement, ends + 50 * DAY).past_due_since == ends
    assert at(agreement, NOW + DAY).past_due_since is None


def test_a_trial_runs_before_the_first_payment_which_begins_at_its_end() -> None:
    agreement = an_order(days=14)
    ends = NOW + 14 * DAY
    assert at(agreement, NOW).trial_end == ends
    assert status(agreement, ends - DAY) is SubscriptionStatus.TRIALING
    assert (status(agreement, ends), at(agreement, ends).past_due_since) == (SubscriptionStatus.PAST_DUE, ends)
    early = pay(agreement, date(2026, 2, 28), now=NOW + DAY)
    assert early.invoices[0].period_start == early.paid_from == ends
    assert status(early, ends - DAY) is SubscriptionStatus.TRIALING
    assert (at(early, NOW).period_start, at(early, NOW).period_end) == (NOW, ends)
    assert status(early, ends) is SubscriptionStatus.ACTIVE


def test_each_invoice_covers_what_follows_the_one_before_it() -> None:
    january = pay(an_order(), date(2026, 1, 31))
    february, march = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    both = pay(january, date(2026, 2, 28), "2026-002", now=NOW + 3 * DAY)
    assert [(one.period_start, one.period_end) for one in both.invoices] == [(NOW, february), (february, march)]
    assert (at(both, NOW).period_start, at(both, NOW).period_end) == (NOW, february)
    assert (at(both, february).period_start, at(both, february).period_end) == (february, march)
    late = pay(january, date(2026, 2, 28), "2026-002", now=february + 10 * DAY)
    assert late.invoices[1].period_start == february
    assert late.paid_from == NOW


def test_another_plan_in_the_place_of_one_that_runs_keeps_what_is_paid() -> None:
    agreement = pay(an_order(days=14), date(2026, 2, 28))
    changed = an_order(agreement, price=BUSINESS, days=30, now=NOW + 20 * DAY)
    before, after = at(agreement, NOW + 20 * DAY), at(changed, NOW + 20 * DAY)
    assert (after.price_id, after.status) == (BUSINESS, SubscriptionStatus.ACTIVE)
    assert (after.id, after.period_end, after.trial_end) == (before.id, before.period_end, NOW + 14 * DAY)


def test_an_order_that_waits_becomes_the_next_one() -> None:
    first = an_order()
    assert an_order(first, now=NOW + DAY) == first
    other = an_order(first, price=BUSINESS, now=NOW + DAY)
    assert at(other, NOW + DAY).id == at(first, NOW).id
    assert at(other, NOW + DAY).price_id == BUSINESS
    assert status(an_order(first, days=3, now=NOW + DAY), NOW + 2 * DAY) is SubscriptionStatus.TRIALING


def test_what_is_canceled_ends_with_what_is_paid_and_another_follows() -> None:
    agreement = pay(an_order(), date(2026, 1, 31))
    ends = datetime(2026, 2, 1, tzinfo=UTC)
    leaving = canceled(agreement, NOW + DAY)
    assert leaving.ends_at == canceled(leaving, NOW + 2 * DAY).ends_at == ends
    assert (at(leaving, ends - DAY).status, at(leaving, ends - DAY).cancel_at) == (SubscriptionStatus.ACTIVE, ends)
    assert status(leaving, ends) is SubscriptionStatus.CANCELED
    again = an_order(leaving, now=ends + DAY)
    assert status(again, ends + DAY) is SubscriptionStatus.INCOMPLETE
    assert at(again, ends + DAY).id != at(leaving, ends).id
    assert again.invoices == leaving.invoices
    assert at(again, ends + DAY).period_start == ends + DAY


def test_who_orders_or_pays_before_the_end_goes_on() -> None:
    leaving = canceled(pay(an_order(), date(2026, 1, 31)), NOW)
    for going_on in (an_order(leaving, now=NOW + DAY), pay(leaving, date(2026, 2, 28), "2026-002")):
        assert going_on.ends_at is None
        assert status(going_on, datetime(2026, 1, 31, tzinfo=UTC)) is SubscriptionStatus.ACTIVE
    assert status(leaving, datetime(2026, 2, 1, tzinfo=UTC)) is SubscriptionStatus.CANCELED


def test_a_trial_is_canceled_to_its_end_and_what_is_overdue_at_once() -> None:
    tried = an_order(days=14)
    assert canceled(tried, NOW + DAY).ends_at == NOW + 14 * DAY
    overdue = canceled(tried, NOW + 20 * DAY)
    assert status(overdue, NOW + 20 * DAY) is SubscriptionStatus.CANCELED


def test_an_order_that_is_taken_back_before_it_is_paid_never_was() -> None:
    taken_back = canceled(an_order(), NOW + DAY)
    assert subscription_at(taken_back, NOW + DAY) is None
    again = an_order(taken_back, now=NOW + 2 * DAY)
    assert status(again, NOW + 2 * DAY) is SubscriptionStatus.INCOMPLETE


def test_what_has_ended_is_not_paid() -> None:
    leaving = canceled(pay(an_order(), date(2026, 1, 31)), NOW)
    with pytest.raises(Conflict, match="ended"):
        pay(leaving, date(2026, 3, 31), "2026-002", now=datetime(2026, 2, 1, tzinfo=UTC))


def test_an_invoice_is_noted_once() -> None:
    agreement = pay(an_order(), date(2026, 1, 31))
    with pytest.raises(Conflict, match="2026-001 is noted"):
        pay(agreement, date(2026, 2, 28), " 2026-001 ")


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"number": ""}, "number"),
        ({"number": "x" * (MAX_NUMBER + 1)}, "number"),
        ({"number": "1\n2"}, "number"),
        ({"total": Decimal("-1")}, "from 0"),
        ({"total": Decimal("NaN")}, "from 0"),
        ({"total": Decimal("Infinity")}, "from 0"),
        ({"total": Decimal("1e12")}, "from 0"),
        ({"total": Decimal("1.005")}, "EUR have at most 2"),
        ({"total": Decimal("1.5"), "currency": "JPY"}, "JPY have at most 0"),
        ({"currency": "eur"}, "ISO 4217"),
        ({"until": date(2026, 1, 4)}, "begins on 2026-01-05"),
        ({"until": date.max}, "at most to 2036-01-13"),
    ],
)
def test_what_is_no_invoice_is_refused(told: dict[str, Any], complaint: str) -> None:
    with pytest.raises(Invalid, match=complaint):
        pay(an_order(), **{"until": date(2026, 1, 31), **told})


@pytest.mark.parametrize(("total", "currency"), [("1000", "JPY"), ("1.005", "KWD"), ("1e2", "EUR"), ("0", "EUR")])
def test_amounts_have_the_decimals_of_their_currency(total: str, currency: str) -> None:
    agreement = pay(an_order(), date(2026, 1, 5), total=Decimal(total), currency=currency)
    (invoice,) = agreement.invoices
    assert (invoice.total, invoice.due, invoice.status) == (Decimal(total), 0, "paid")
