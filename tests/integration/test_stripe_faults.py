"""What goes wrong between here and Stripe: nothing is done twice, nothing is told that others must not see."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from adapters.stripe.payments import StripePayments
from core.domain.payments import MeterReading, Purpose
from core.errors import PaymentsRefused, PaymentsUnavailable
from tests.integration.stripe_support import ADA, BACK, EMAIL, TEAM_PRICE, an_order, payments_of, with_prices
from tests.stubs.scripted_http import Answer, ScriptedServer
from tests.stubs.stripe_billing_server import RETRY_AFTER, SIGNED_BY, StripeBillingServer
from tests.stubs.stripe_server import KEY


@pytest.fixture
def server() -> Iterator[StripeBillingServer]:
    with StripeBillingServer() as server:
        server.meters.add("records")
        yield with_prices(server)
        server.go.set()


@pytest.fixture
def customer(payments: StripePayments) -> str:
    return payments.create_customer(ADA)


def a_reading(server: StripeBillingServer, customer: str, number: int, **fields: Any) -> MeterReading:
    reading = MeterReading(
        id=UUID(int=number), customer_id=customer, name="records", quantity=Decimal(10), at=server.now
    )
    return replace(reading, **fields)


OF_THE_OTHER_KIND = "; a similar object exists in live mode, but a test mode key was used to make this request."
ASKING: dict[str, Callable[[StripePayments, str], Any]] = {
    "create_customer": lambda payments, customer: payments.create_customer(replace(ADA, tenant_id=UUID(int=0x22))),
    "order": lambda payments, customer: payments.order(an_order(customer, key="another")),
    "change": lambda payments, customer: payments.order(an_order(customer, subscription_id="sub_1")),
    "portal": lambda payments, customer: payments.portal(customer, Purpose.MANAGE, None, BACK),
    "subscriptions": lambda payments, customer: payments.subscriptions(customer),
    "invoices": lambda payments, customer: payments.invoices(customer, 5),
}


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("behaviour", ["429", "409", "500", "503", "drop", "html"])
def test_a_passing_fault_is_one(
    server: StripeBillingServer, payments: StripePayments, customer: str, asking: str, behaviour: str
) -> None:
    server.behave(behaviour)
    with pytest.raises(PaymentsUnavailable) as raised:
        ASKING[asking](payments, customer)
    assert raised.value.details.get("retry_after") == (RETRY_AFTER if behaviour == "429" else None)
    tells_nothing(raised.value)


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("behaviour", ["400", "401", "402", "403", "404"])
def test_a_refusal_is_one(
    server: StripeBillingServer, payments: StripePayments, customer: str, asking: str, behaviour: str
) -> None:
    server.behave(behaviour)
    with pytest.raises(PaymentsRefused) as raised:
        ASKING[asking](payments, customer)
    assert raised.value.details == {"http_status": int(behaviour)}
    assert "request req_stub" in str(raised.value)
    tells_nothing(raised.value)


@pytest.mark.parametrize(("behaviour", "error"), [("400", PaymentsRefused), ("503", PaymentsUnavailable)])
def test_whom_a_request_named_is_not_told(
    server: StripeBillingServer, payments: StripePayments, behaviour: str, error: type[Exception]
) -> None:
    server.behave("ok", behaviour)
    with pytest.raises(error) as raised:
        payments.create_customer(ADA)
    assert EMAIL.encode() in server.requests[-1].body.replace(b"%40", b"@")
    tells_nothing(raised.value)


def tells_nothing(error: BaseException) -> None:
    """The stub has told the key and all that it was sent."""
    for secret in (KEY, "canary", EMAIL, "Bakery", "provoked"):
        assert secret not in f"{error} {error.args}"
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_a_wrong_key_is_refused_and_not_told(server: StripeBillingServer) -> None:
    with pytest.raises(PaymentsRefused, match="does not let this key") as raised:
        payments_of(server, api_key=SIGNED_BY).subscriptions("cus_1")
    tells_nothing(raised.value)


def test_what_is_sent_and_answered_is_not_logged(server: StripeBillingServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    payments = payments_of(server)
    customer = payments.create_customer(ADA)
    server.behave("ok", "400")
    with pytest.raises(PaymentsRefused):
        payments.create_customer(ADA)
    payments.subscriptions(customer)
    for secret in ("canary", EMAIL, "Bakery"):
        assert secret not in caplog.text


def test_an_address_that_stripe_does_not_take_is_refused_by_its_code(
    server: StripeBillingServer, payments: StripePayments
) -> None:
    with pytest.raises(PaymentsRefused, match="email_invalid, email, HTTP 400") as raised:
        payments.create_customer(replace(ADA, email="nobody.canary"))
    assert "nobody" not in str(raised.value)


def test_the_library_tries_again_what_may_succeed(server: StripeBillingServer, customer: str) -> None:
    server.behave("503", "drop")
    assert payments_of(server, retries=2).subscriptions(customer) == []
    assert len(server.asked("/v1/subscriptions")) == 3
    server.behave("429")
    with pytest.raises(PaymentsUnavailable):
        payments_of(server, retries=2).subscriptions(customer)
    assert len(server.asked("/v1/subscriptions")) == 4


def test_a_slow_answer_is_not_waited_for(server: StripeBillingServer) -> None:
    server.behave("wait")
    with pytest.raises(PaymentsUnavailable, match="no answer"):
        payments_of(server, timeout=0.2).create_customer(ADA)


def test_a_server_that_is_away_is_unavailable(server: StripeBillingServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PaymentsUnavailable, match="no answer"):
        payments_of(server, base_url=f"http://127.0.0.1:{port}").subscriptions("cus_1")


@pytest.mark.parametrize("body", [[], {"object": "list", "url": "/v1/subscriptions"}, {"data": [{"id": "sub_1"}]}])
def test_answers_that_are_none_are_refused_clearly(body: Any, server: StripeBillingServer) -> None:
    with ScriptedServer() as odd:
        odd.script("GET", "/v1/subscriptions", Answer(json=body))
        with pytest.raises(PaymentsRefused, match="not one that is known here"):
            payments_of(server, base_url=odd.url).subscriptions("cus_1")


def test_a_status_that_is_not_known_is_refused_clearly(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    server.change(server.begin(customer, TEAM_PRICE)["id"], status="hibernating")
    with pytest.raises(PaymentsRefused, match="not one that is known here"):
        payments.subscriptions(customer)


@pytest.mark.parametrize(("more", "gone"), [("", True), (OF_THE_OTHER_KIND, False)])
def test_a_customer_that_a_key_of_the_other_kind_would_find_is_not_gone(
    server: StripeBillingServer, more: str, gone: bool
) -> None:
    """Stripe may say so of the list, or have an empty one."""
    error = {"type": "invalid_request_error", "code": "resource_missing", "message": f"No such customer: 'cus_1'{more}"}
    nothing = Answer(json={"object": "list", "url": "/v1/subscriptions", "has_more": False, "data": []})
    for listed in (Answer(status=400, json={"error": {**error, "param": "customer"}}), nothing):
        with ScriptedServer() as other:
            other.script("GET", "/v1/subscriptions", listed)
            other.script("GET", "/v1/customers/cus_1", Answer(status=404, json={"error": {**error, "param": "id"}}))
            payments = payments_of(server, base_url=other.url)
            if gone:
                assert payments.subscriptions("cus_1") is None
            else:
                with pytest.raises(PaymentsRefused):
                    payments.subscriptions("cus_1")


def test_a_wrong_address_does_not_mean_that_nobody_pays(server: StripeBillingServer, customer: str) -> None:
    with pytest.raises(PaymentsRefused):
        payments_of(server, base_url=f"{server.url}/elsewhere").subscriptions(customer)


def test_what_was_done_and_not_heard_of_is_not_done_again(server: StripeBillingServer) -> None:
    server.behave("lost")
    payments = payments_of(server, retries=1)
    customer = payments.create_customer(ADA)
    assert list(server.customers) == [customer]
    server.behave("lost")
    with pytest.raises(PaymentsUnavailable):
        payments_of(server).order(an_order(customer))
    page = payments.order(an_order(customer))
    assert list(server.sessions) == [page.url]


def test_who_asks_while_a_customer_is_made_is_told_to_wait(server: StripeBillingServer) -> None:
    server.behave("wait")
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(payments_of(server).create_customer, ADA)
        assert server.arrived.acquire(timeout=10)
        with pytest.raises(PaymentsUnavailable, match="idempotency_key_in_use"):
            payments_of(server).create_customer(ADA)
        server.go.set()
        assert first.result(10) == payments_of(server).create_customer(ADA)
    assert len(server.customers) == 1


def test_who_asks_at_the_same_time_gets_the_same_customer(server: StripeBillingServer) -> None:
    server.behave("wait")
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(payments_of(server, retries=2).create_customer, ADA) for _ in range(2)]
        for _ in both:
            assert server.arrived.acquire(timeout=10)
        server.go.set()
        assert len({one.result(10) for one in both}) == 1
    assert len(server.customers) == 1


def test_a_breakdown_of_stripes_own_does_not_last_for_a_day(server: StripeBillingServer) -> None:
    server.behave("500")
    with pytest.raises(PaymentsUnavailable):
        payments_of(server).create_customer(ADA)
    customer = payments_of(server).create_customer(ADA)
    assert list(server.customers) == [customer]
    assert [one.headers["idempotency-key"] for one in server.asked("/v1/customers")] == [
        f"customer-{ADA.tenant_id}",
        f"customer-{ADA.tenant_id}",
        f"customer-{ADA.tenant_id}-again",
    ]
    assert payments_of(server).create_customer(ADA) == customer


def test_another_order_under_the_same_key_is_refused(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    payments.order(an_order(customer))
    with pytest.raises(PaymentsRefused, match="another order under the same key"):
        payments.order(an_order(customer, trial_days=3))
    assert len(server.sessions) == 1


def test_usage_that_was_taken_before_a_fault_is_known(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    readings = [a_reading(server, customer, number) for number in range(4)]
    server.behave("ok", "ok", "429")
    assert list(payments.report(readings)) == [UUID(int=0), UUID(int=1)]
    assert len(server.asked("/v1/billing/meter_events")) == 3
    server.behave("429")
    with pytest.raises(PaymentsUnavailable) as raised:
        payments.report(readings[2:])
    assert raised.value.details["retry_after"] == RETRY_AFTER
    assert list(payments.report(readings)) == [UUID(int=number) for number in range(4)]
    assert sorted(server.meter_events) == [str(UUID(int=number)) for number in range(4)]


def test_usage_that_is_refused_keeps_no_other_back(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    old = a_reading(server, customer, 1, at=server.now - timedelta(days=36))
    odd = a_reading(server, customer, 2, name="unheard_of")
    good = a_reading(server, customer, 3)
    assert list(payments.report([old, odd, good])) == [good.id]
    with pytest.raises(PaymentsRefused, match="event_name"):
        payments.report([old, odd])


def test_a_key_that_may_not_report_is_not_tried_with_each_reading(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    server.behave("403", "403")
    with pytest.raises(PaymentsRefused):
        payments.report([a_reading(server, customer, number) for number in range(3)])
    assert len(server.asked("/v1/billing/meter_events")) == 1


def test_usage_is_sent_as_stripe_counts_it(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    payments.report([a_reading(server, customer, 1, quantity=Decimal("1E+3"))])
    (kept,) = server.meter_events.values()
    assert kept["payload"] == {"stripe_customer_id": customer, "value": "1000"}
    assert (kept["event_name"], kept["timestamp"]) == ("records", str(int(server.now.timestamp())))


def test_threads_share_it(server: StripeBillingServer, customer: str) -> None:
    payments = payments_of(server)
    server.begin(customer, TEAM_PRICE)
    ready = threading.Barrier(4)

    def ask() -> int:
        ready.wait(10)
        return len(payments.subscriptions(customer) or ()) + len(payments.invoices(customer, 1))

    with ThreadPoolExecutor(4) as threads:
        assert [one.result(10) for one in [threads.submit(ask) for _ in range(4)]] == [2] * 4
