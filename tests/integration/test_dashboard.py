"""The dashboard over the API."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from dependency_injector import providers

from adapters.system.kept import KeptByKey
from core.domain.llm_spending import LlmSpend, month_of
from core.domain.tenants import TenantSettings
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.rule_support import bring, rule, save


def test_a_tenant_without_records_has_days_and_nothing_in_them(api: Api) -> None:
    shown = api.get("/dashboard?days=3")
    assert len(shown["days"]) == 3
    assert {day["records"] for day in shown["days"]} == {0}
    assert (shown["records"], shown["automation"], shown["time_zone"]) == (0, None, "Europe/Berlin")
    assert shown["queue"] == {"size": 0, "oldest_seconds": None, "median_seconds": None}
    assert shown["connections"] == {}
    assert (shown["promise"]["promised"], shown["promise"]["status"]) == (0.95, "unknown")
    assert shown["llm"]["off"] == "no LLM is configured"
    assert len(api.get("/dashboard")["days"]) == 30


def test_what_came_is_told_with_who_decided_it(api: Api) -> None:
    api.container.change_tenant(api.actor, version=None, settings=TenantSettings(spot_check_share=0.5, promise=0.9))
    save(api, rule(api, "ZQX", "food.groceries"))
    bring(api, [*[f"ZQX QORBEL {n}" for n in range(30)], *[f"VUMBA {n}" for n in range(10)]])
    month = month_of(api.container.clock().now())
    with api.container.uow().begin(api.actor) as tx:
        tx.llm_usages.settle(None, month, LlmSpend(calls=3, cost=Decimal("0.125")))
        tx.commit()
    shown = api.get("/dashboard?days=2")
    *_, today = shown["days"]
    assert (today["rules"], today["human"], today["records"]) == (30, 10, 40)
    assert (shown["records"], shown["automation"]) == (40, 0.75)
    waiting = api.get("/approvals?limit=500")["items"]
    assert shown["queue"]["size"] == len(waiting) > 10
    assert 0 <= shown["queue"]["median_seconds"] <= shown["queue"]["oldest_seconds"] < 600
    assert (shown["llm"]["spent"], shown["llm"]["month"]) == ("0.125", f"{month:%Y-%m}")
    assert shown["connections"] == {"healthy": 1}
    overall = api.get("/dashboard/promise?months=12")["overall"]
    assert {name: shown["promise"][name] for name in overall} == overall


def test_it_is_kept_for_a_while_and_for_its_tenant_alone(make_container: Callable[..., Container]) -> None:
    container = make_container()
    container.kept.override(providers.Object(KeptByKey(seconds=600, most=9)))
    client = create_app(container).test_client()
    one, other = new_tenant(container, client), new_tenant(container, client, "Another")
    first = one.call("GET", "/dashboard")
    bring(one, ["VUMBA 1"])
    bring(other, ["VUMBA 1", "VUMBA 2"])
    again = one.call("GET", "/dashboard", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert one.get("/dashboard")["as_of"] == first.json["as_of"]
    assert other.get("/dashboard")["queue"]["size"] == 2
    assert one.get("/dashboard?days=2")["queue"]["size"] == 1, "another question"


@pytest.mark.parametrize("query", ["days=0", "days=367", "days=x", "day=1"])
def test_queries_are_checked(api: Api, query: str) -> None:
    assert api.get(f"/dashboard?{query}", 422)["code"] == "invalid"
