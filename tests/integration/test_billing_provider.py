"""The provider of payments, as the API meets it: what it tells, and when it is away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dependency_injector import providers
from structlog.testing import capture_logs

from adapters.manual.payments import ManualPayments
from core.domain.payments import PaymentEvent
from core.errors import PaymentsRefused, PaymentsUnavailable, WebhookRefused
from entrypoints.container import Container
from tests.integration.api_support import Api
from tests.integration.billing_support import HERE, billed, order, paid_until, told

NOBODY = "00000000-0000-7000-8000-000000000000"
URLS = {"success_url": f"{HERE}/back", "cancel_url": f"{HERE}/away"}
WHY = "the clock of the sender is off"


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    return billed(make_container)


class Telling(ManualPayments):
    """A provider that tells of its own accord, and may be away."""

    fault: Exception | None = None

    def read_event(self, body: bytes, headers: Mapping[str, str], now: datetime) -> PaymentEvent:  # type: ignore[override]
        if headers.get("x-signed") != "yes":
            raise WebhookRefused(WHY)
        id, customer = body.decode().split()
        return PaymentEvent(provider="", id=id, type="paid", customer_id=customer, known=True, created_at=now)

    def portal(self, *args: Any) -> Any:
        raise self.fault or AssertionError

    def invoices(self, customer_id: str, limit: int) -> Any:
        raise self.fault or AssertionError

    def order(self, order: Any) -> Any:
        if self.fault is not None:
            raise self.fault
        return super().order(order)


@pytest.fixture
def telling(api: Api) -> Telling:
    payments = Telling(api.container.agreements(), api.container.clock())
    api.container.payments.override(providers.Object(payments))
    return payments


def test_a_provider_that_is_away_or_refuses(api: Api, telling: Telling) -> None:
    order(api)
    telling.fault = PaymentsUnavailable(retry_after=7)
    for method, path, body in (
        ("GET", "/billing/invoices", None),
        ("POST", "/billing/portal", {"return_url": HERE}),
        ("POST", "/billing/checkout", {"plan": "tried", **URLS}),
    ):
        answer = api.call(method, path, body)
        assert (answer.status_code, answer.json["code"]) == (503, "payments_unavailable"), path
        assert answer.headers["Retry-After"] == "7"
    telling.fault = PaymentsRefused()
    assert api.get("/billing/invoices", 502)["code"] == "payments_refused"
    assert len(told(api, "ORDER_BEGUN")) == 1


def test_the_provider_tells_and_is_asked(api: Api, telling: Telling) -> None:
    order(api)
    paid_until(api, datetime.now(UTC) + timedelta(days=9))

    def tell(body: str) -> Any:
        answer = api.client.post("/api/v1/billing/webhook", data=body, headers={"X-Signed": "yes"})
        assert answer.status_code == 200, answer.text
        return answer.json

    assert tell(f"evt_1 {api.tenant_id}") == {"outcome": "accepted"}
    assert tell(f"evt_1 {api.tenant_id}") == {"outcome": "duplicate"}
    assert tell(f"evt_2 {NOBODY}") == {"outcome": "ignored"}
    api.drain()
    assert api.get("/billing")["plan"]["key"] == "team"
    exposition = api.call("GET", "//metrics").text
    for outcome in ("accepted", "duplicate", "ignored"):
        assert f'sortation_payment_events_total{{outcome="{outcome}"}} 1.0' in exposition


def test_what_is_not_signed_is_refused_and_nobody_is_told_why(api: Api, telling: Telling) -> None:
    with capture_logs() as logs:
        answer = api.client.post("/api/v1/billing/webhook", data="evt_1 x", headers={"X-Signed": "no"})
    assert (answer.status_code, answer.json["code"]) == (401, "webhook_refused")
    assert answer.json["detail"] == WebhookRefused.__doc__
    assert [line["reason"] for line in logs if line["event"] == "payment event refused"] == [WHY]
    assert 'sortation_payment_events_total{outcome="refused"} 1.0' in api.call("GET", "//metrics").text


def test_no_webhook_is_taken_where_nobody_tells_and_none_that_is_too_large(
    make_container: Callable[..., Container],
) -> None:
    api = billed(make_container, max_webhook_bytes=10)
    assert api.client.post("/api/v1/billing/webhook", data="x" * 10).status_code == 401
    too_large = api.client.post("/api/v1/billing/webhook", data="x" * 11)
    assert (too_large.status_code, too_large.json["code"]) == (413, "payload_too_large")
