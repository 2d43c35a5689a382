"""What every provider of payments does alike: one suite, against each adapter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from adapters.postgres.documents import read, written
from core.domain.billing import Subscription, SubscriptionStatus, pick
from core.domain.payments import MeterReading, Purpose
from core.domain.plans import UNLIMITED, Interval
from core.errors import Invalid, PaymentsRefused, WebhookRefused
from ports.payments import NewCustomer
from tests.contract.payment_peers import BACK, CATALOG, COUNTED_AS, LARGER, TEAM, TENANT, Peer, an_order, peer_of

OTHER = UUID(int=0x22)
ADA = NewCustomer(tenant_id=TENANT, name="Ada's", email="ada@example.org")


@pytest.fixture(params=["stripe", "manual"])
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    with peer_of(request.param) as peer:
        yield peer


@pytest.fixture
def customer(peer: Peer) -> str:
    return peer.payments.create_customer(ADA)


def bought(peer: Peer, customer: str, **fields: Any) -> Subscription:
    peer.settle(peer.payments.order(an_order(customer, **fields)), customer)
    return present(peer, customer)


def present(peer: Peer, customer: str) -> Subscription:
    subscription = pick(of(peer, customer))
    assert subscription is not None
    return subscription


def of(peer: Peer, customer: str) -> Sequence[Subscription]:
    """All that the customer has, who is there."""
    found = peer.payments.subscriptions(customer)
    assert found is not None
    return found


def test_it_has_a_name_and_says_which_prices_are_its_own(peer: Peer) -> None:
    assert peer.payments.name in ("stripe", "manual")
    assert all(TEAM.prices[peer.payments.prices].values())


def test_a_tenant_has_one_customer_however_often_and_at_once_it_is_asked_for(peer: Peer) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = set(threads.map(peer.payments.create_customer, [ADA] * 4))
    renamed = replace(ADA, name="Ada and Sons", email=None)
    assert made == {peer.payments.create_customer(renamed)}
    assert peer.payments.create_customer(replace(ADA, tenant_id=OTHER)) not in made


def test_who_ordered_nothing_has_nothing(peer: Peer, customer: str) -> None:
    assert list(of(peer, customer)) == []
    assert list(peer.payments.invoices(customer, 10)) == []


def test_who_is_no_customer_is_gone(peer: Peer) -> None:
    assert peer.payments.subscriptions("cus_of_nobody") is None
    assert list(peer.payments.invoices("cus_of_nobody", 10)) == []


def test_an_order_leads_to_a_page_or_says_what_is_next(peer: Peer, customer: str) -> None:
    page = peer.payments.order(an_order(customer))
    assert (page.url is not None) is peer.abilities.hosted
    assert bool(page.words) is not peer.abilities.hosted


def test_what_is_ordered_and_paid_is_the_plan_of_that_price(peer: Peer, customer: str) -> None:
    before = peer.now
    subscription = bought(peer, customer)
    assert subscription.status is SubscriptionStatus.ACTIVE
    assert CATALOG.of_price(subscription.price_id) == (TEAM, Interval.MONTH)
    assert before <= subscription.created_at <= subscription.period_start <= peer.now < subscription.period_end
    assert (subscription.trial_end, subscription.cancel_at, subscription.past_due_since) == (None, None, None)
    assert read(Subscription, written(subscription)) == subscription
    (invoice,) = peer.payments.invoices(customer, 10)
    assert (invoice.status, invoice.currency, invoice.total, invoice.due) == ("paid", "EUR", Decimal("29.00"), 0)
    assert invoice.number
    assert (invoice.period_start, invoice.period_end) == (subscription.period_start, subscription.period_end)
    assert (invoice.url is not None) is peer.abilities.hosted


def test_a_trial_comes_before_the_first_payment(peer: Peer, customer: str) -> None:
    subscription = bought(peer, customer, trial_days=14)
    ends = peer.now + timedelta(days=14)
    assert (subscription.status, subscription.trial_end) == (SubscriptionStatus.TRIALING, ends)
    peer.period_ends(customer, pays=False)
    late = present(peer, customer)
    assert (late.id, late.status, late.past_due_since) == (subscription.id, SubscriptionStatus.PAST_DUE, ends)
    peer.pay(customer)
    assert present(peer, customer).status is SubscriptionStatus.ACTIVE


@pytest.mark.parametrize("plan", [UNLIMITED, LARGER])
def test_a_plan_without_a_price_here_is_not_sold(peer: Peer, customer: str, plan: Any) -> None:
    plan = replace(plan, prices={"elsewhere": {Interval.YEAR: "price_elsewhere"}})
    with pytest.raises(Invalid, match="not sold by the year"):
        peer.payments.order(an_order(customer, plan=plan, interval=Interval.YEAR))
    assert list(of(peer, customer)) == []


def test_the_same_order_is_one_order(peer: Peer, customer: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        pages = set(threads.map(peer.payments.order, [an_order(customer)] * 4))
    (page,) = pages
    peer.settle(page, customer)
    assert len(of(peer, customer)) == 1
    assert len(peer.payments.invoices(customer, 10)) == 1


def test_another_plan_takes_the_place_of_one_and_keeps_what_is_paid(peer: Peer, customer: str) -> None:
    former = bought(peer, customer)
    order = an_order(customer, plan=LARGER, subscription_id=former.id, key="order-2")
    peer.settle(peer.payments.order(order), customer)
    (subscription,) = of(peer, customer)
    assert CATALOG.of_price(subscription.price_id) == (LARGER, Interval.MONTH)
    assert (subscription.id, subscription.status) == (former.id, SubscriptionStatus.ACTIVE)
    assert subscription.period_end == former.period_end


def test_another_plan_in_a_trial_leaves_the_trial(peer: Peer, customer: str) -> None:
    former = bought(peer, customer, trial_days=14)
    order = an_order(customer, plan=LARGER, subscription_id=former.id, key="order-2")
    peer.settle(peer.payments.order(order), customer)
    (subscription,) = of(peer, customer)
    assert (subscription.status, subscription.trial_end) == (SubscriptionStatus.TRIALING, former.trial_end)


def test_the_plan_that_it_is_already_can_be_ordered(peer: Peer, customer: str) -> None:
    former = bought(peer, customer)
    peer.settle(peer.payments.order(an_order(customer, subscription_id=former.id, key="order-2")), customer)
    assert list(of(peer, customer)) == [former]


def test_a_missing_payment_is_waited_for_since_it_was_due(peer: Peer, customer: str) -> None:
    due = bought(peer, customer).period_end
    peer.period_ends(customer, pays=False)
    late = present(peer, customer)
    assert (late.status, late.past_due_since) == (SubscriptionStatus.PAST_DUE, due)
    peer.pay(customer)
    paid = present(peer, customer)
    assert (paid.status, paid.past_due_since) == (SubscriptionStatus.ACTIVE, None)


def test_each_period_has_its_invoice_and_the_newest_is_first(peer: Peer, customer: str) -> None:
    bought(peer, customer)
    for _ in range(3):
        peer.period_ends(customer, pays=True)
    invoices = peer.payments.invoices(customer, 10)
    assert len(invoices) == len({invoice.id for invoice in invoices}) == 4
    made = [invoice.created_at for invoice in invoices]
    assert made == sorted(made, reverse=True)
    assert all(after.period_start == before.period_end for after, before in pairwise(invoices))
    assert peer.payments.invoices(customer, 2) == invoices[:2]


def test_what_is_canceled_ends_with_what_is_paid_and_another_may_follow(peer: Peer, customer: str) -> None:
    former = bought(peer, customer)
    peer.settle(peer.payments.portal(customer, Purpose.CANCEL, former.id, BACK), customer)
    leaving = present(peer, customer)
    assert (leaving.status, leaving.cancel_at) == (SubscriptionStatus.ACTIVE, former.period_end)
    peer.period_ends(customer, pays=False)
    (ended,) = of(peer, customer)
    assert (ended.id, ended.status) == (former.id, SubscriptionStatus.CANCELED)
    again = bought(peer, customer, key="order-2")
    assert again.id != former.id
    assert (again.status, again.created_at) == (SubscriptionStatus.ACTIVE, peer.now)
    assert len(peer.payments.invoices(customer, 10)) == 2


@pytest.mark.parametrize("purpose", list(Purpose))
def test_there_is_a_page_or_a_word_for_all_that_customers_look_after(
    peer: Peer, customer: str, purpose: Purpose
) -> None:
    subscription = bought(peer, customer)
    page = peer.payments.portal(customer, purpose, subscription.id, BACK)
    assert (page.url is not None) is peer.abilities.hosted
    assert bool(page.words) is not peer.abilities.hosted


def test_nothing_is_canceled_where_nothing_is(peer: Peer, customer: str) -> None:
    with pytest.raises(Invalid, match="no subscription"):
        peer.payments.portal(customer, Purpose.CANCEL, None, BACK)


def test_no_other_subscription_is_canceled_than_the_one_that_is_named(peer: Peer, customer: str) -> None:
    former = bought(peer, customer)
    with pytest.raises((Invalid, PaymentsRefused)):
        peer.payments.portal(customer, Purpose.CANCEL, f"{former.id}x", BACK)
    assert list(of(peer, customer)) == [former]


def test_what_a_provider_tells_names_the_customer(peer: Peer, customer: str) -> None:
    bought(peer, customer)
    if not peer.abilities.tells:
        with pytest.raises(WebhookRefused):
            peer.payments.read_event(b"{}", {}, peer.now)
        return
    body, headers = peer.delivery()
    event = peer.payments.read_event(body, headers, peer.now)
    assert (event.provider, event.customer_id, event.known) == (peer.payments.name, customer, True)
    assert event == peer.payments.read_event(body, headers, peer.now)
    assert event.created_at == peer.now


@pytest.mark.parametrize("headers", [{}, {"stripe-signature": "t=1,v1=00"}, {"stripe-signature": "ä"}])
def test_what_nobody_signed_is_refused(peer: Peer, headers: dict[str, str]) -> None:
    for body in (b"", b"{}", b"\xff\xfe", b'{"object": "event", "id": "evt_1"}'):
        with pytest.raises(WebhookRefused):
            peer.payments.read_event(body, headers, peer.now)


def a_reading(customer: str, number: int, quantity: str, at: datetime) -> MeterReading:
    id = UUID(int=number)
    return MeterReading(id=id, customer_id=customer, name=COUNTED_AS, quantity=Decimal(quantity), at=at)


def test_usage_is_taken_and_counted_once(peer: Peer, customer: str) -> None:
    first = [a_reading(customer, number, quantity, peer.now) for number, quantity in ((1, "100"), (2, "2.50"))]
    assert list(peer.payments.report(first)) == [UUID(int=1), UUID(int=2)]
    again = [*first, a_reading(customer, 3, "1", peer.now)]
    assert list(peer.payments.report(again)) == [UUID(int=1), UUID(int=2), UUID(int=3)]
    assert list(peer.payments.report([])) == []
    if peer.abilities.counts:
        assert peer.counted() == Decimal("103.50")
