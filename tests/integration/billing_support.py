"""A tenant of an installation with small plans, whose payments are noted by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.domain.agreements import Agreement
from core.domain.plans import BY_HAND, Catalog, Interval, catalog_from
from core.usecases.shared.people import Caller, operator
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import HEADER, Api, new_tenant

HERE = "https://sort.example"
PLANS: Catalog = catalog_from(
    [
        {
            "key": "free",
            "title": "Free",
            "limits": {"records": 3, "llm_spend": 0, "connections": 1, "seats": 2, "retention_days": 730},
            "features": [],
        },
        {
            "key": "team",
            "title": "Team",
            "limits": {"records": {"soft": 10, "hard": 12}, "llm_spend": "2.50", "connections": 2, "seats": 3},
        },
        {"key": "tried", "title": "Tried", "limits": {"records": 100}, "trial_days": 14},
    ]
)
Make = Callable[..., Container]
OPERATOR = Caller(address="", user_agent="a test")


def billed(make_container: Make, name: str = "A tenant", **settings: Any) -> Api:
    given = {"embeddings": "off", "plans": PLANS, "base_plan": "free", "public_url": HERE, "rule_proposals": "off"}
    container = make_container(**{**given, **settings})
    return new_tenant(container, create_app(container).test_client(), name)


def order(api: Api, plan: str = "team", **fields: str) -> Any:
    """The answer to an order, once all was done that follows from it."""
    urls = {"success_url": f"{HERE}/back", "cancel_url": f"{HERE}/away"}
    page = api.post("/billing/checkout", {"plan": plan, **urls, **fields})
    api.drain()
    return page


def pay(api: Api, days: int = 30, number: str = "2026-001") -> None:
    """What is ordered is paid for so many days from today."""
    until = api.container.clock().now().date() + timedelta(days=days)
    here, total = operator(api.tenant_id, OPERATOR), Decimal("49.00")
    api.container.note_payment(here, until=until, number=number, total=total, currency="EUR")
    api.drain()


def paid_until(api: Api, until: datetime, plan: str = "team") -> None:
    """What is agreed with the tenant from now on; nobody is told."""
    price = PLANS.newest(plan)
    assert price is not None
    agreement = Agreement(
        tenant_id=api.tenant_id,
        price_id=price.prices[BY_HAND][Interval.MONTH],
        ordered_at=until - timedelta(days=30),
        paid_from=until - timedelta(days=30),
        paid_until=until,
    )
    api.container.agreements().put(agreement)


def lapse(api: Api, days: int = 20) -> None:
    """The tenant ordered a plan, whose payment is missing for so many days."""
    order(api)
    paid_until(api, datetime.now(UTC) - timedelta(days=days))
    refresh(api)


def refresh(api: Api) -> Any:
    job = api.post("/billing/refresh", None, 202)
    api.drain()
    return job


def bring_in(api: Api, count: int, first: int = 0) -> Any:
    """The import of so many new records, read and sorted as far as there is room."""
    rows = "".join(f"2026-03-{1 + n % 28:02};Shop number {n};-{n}.50;EUR\n" for n in range(first, first + count))
    return api.upload(HEADER + rows)


def give(api: Api, plan: str) -> None:
    """The operator gives a plan."""
    api.container.comp_plan(operator(api.tenant_id, OPERATOR), plan=plan, until=None, reason="a test")
    api.drain()


def told(api: Api, type: str) -> list[Any]:
    """The events of this type, the first one first."""
    api.container.seal_events()
    found: list[Any] = api.get(f"/events?type={type}")["items"]
    return found
