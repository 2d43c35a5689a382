"""A tenant whose payment is missing for too long, and one whose plan has no LLM left: what comes in all the same is
kept, and what is at a source stays there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from dependency_injector import providers

from core.domain.jobs import Stream
from core.errors import Conflict
from entrypoints.worker.runner import run_job
from tests.integration.api_support import HEADER, Api
from tests.integration.billing_support import HERE, billed, bring_in, give, order, paid_until, pay
from tests.integration.billing_support import PLANS as SMALL_PLANS
from tests.integration.llm_support import allow, sort, stage_of, this_month
from tests.integration.sync_support import Shop, TestHost, connect, log, sync
from tests.integration.test_billing_quota import PLANS, Make, give_alone, queued, statuses, used
from tests.integration.test_webhooks import SHOP, deliveries, paid, send
from tests.integration.test_webhooks import Shop as TellingShop
from tests.integration.test_webhooks import connect as connect_telling
from tests.stubs.host import TestHost as TellingHost
from tests.stubs.llm_server import LlmStub


@pytest.mark.slow
def test_at_the_end_of_the_plan_the_llm_stops_and_the_pipeline_goes_on(make_llm_api: Any, stub: LlmStub) -> None:
    api: Api = make_llm_api(plans=PLANS, base_plan="free", embeddings="off")
    give(api, "team")
    sort(api, ["omdra restaurant"])
    spent = Decimal(this_month(api)["cost"])
    assert spent > Decimal("0.0001")
    give_alone(api, None)
    found = sort(api, ["qwolb pharmacy"], day=9)["qwolb pharmacy"]
    assert (found["status"], stage_of(found)["outcome"]) == ("needs_review", "off")
    assert stage_of(found)["reason"] == "the monthly LLM cap of 0.0001 USD is reached"
    assert len(stub.requests) == 1
    assert Decimal(api.get("/llm/usage")["left"]) == 0
    allow(api, llm_monthly_cap="0.5")
    give(api, "team")
    assert Decimal(api.get("/llm/usage")["left"]) == Decimal("0.5") - spent, "the smaller one of both counts"
    assert stage_of(sort(api, ["zindel garage"], day=12)["zindel garage"])["outcome"] != "off"
    give(api, "bare")
    found = sort(api, ["fermo bakery"], day=20)["fermo bakery"]
    assert (found["status"], stage_of(found)["reason"]) == ("needs_review", "the plan Bare has no LLM")
    assert api.get("/llm/usage")["off"] == "the plan Bare has no LLM"
    assert len(stub.requests) == 2


def lapse_alone(api: Api) -> None:
    """The tenant's payment is missing for too long by now, and that is known; nothing else is done."""
    paid_until(api, datetime.now(UTC) - timedelta(days=20))
    run_job(api.container, api.tenant_id, api.container.refresh_billing(api.actor).id)
    assert api.get("/billing")["access"] == "read_only"


def test_while_a_tenant_is_read_only_no_llm_is_asked(make_llm_api: Any, stub: LlmStub) -> None:
    """Not about what came in before, either."""
    api: Api = make_llm_api(plans=SMALL_PLANS, base_plan="free", embeddings="off", public_url=HERE)
    order(api)
    pay(api)
    api.call("POST", "/imports?filename=a.csv", data=(HEADER + "2026-03-01;omdra restaurant;-1.50;EUR\n").encode())
    for stream in (Stream.INGEST, Stream.PROCESS):
        (job,) = queued(api, stream)
        run_job(api.container, api.tenant_id, job.id)
    assert len(queued(api, Stream.LLM)) == 1
    lapse_alone(api)
    api.drain()
    (record,) = api.get("/records")["items"]
    whole = api.get(f"/records/{record['id']}")
    assert whole["status"] == "needs_review"
    assert stage_of(whole)["reason"] == "the tenant is read-only until its subscription is paid"
    assert stub.requests == []


def test_what_comes_in_to_a_tenant_that_is_read_only_is_held_until_it_pays(make_container: Make) -> None:
    api = billed(make_container)
    order(api)
    pay(api)
    bring_in(api, 5)
    rows = "".join(f"2026-03-01;Late {n};-1.50;EUR\n" for n in range(4))
    api.call("POST", "/imports?filename=b.csv", data=(HEADER + rows).encode())
    lapse_alone(api)
    api.drain()
    assert (statuses(api), used(api)) == ({"sorted": 5, "held": 4}, 5)
    pay(api, number="2026-002")
    assert (statuses(api), used(api)) == ({"sorted": 9}, 9)


def test_webhooks_that_come_in_meanwhile_are_taken_and_held(make_container: Make) -> None:
    api = billed(make_container)
    api.container.host.override(providers.Object(TellingHost((SHOP, TellingShop()))))
    connection = connect_telling(api)
    order(api)
    lapse_alone(api)
    assert send(api, connection, paid("p1", "p2")).status_code == 202
    api.drain()
    assert [one["status"] for one in deliveries(api, connection)] == ["done"]
    assert statuses(api) == {"held": 2}
    again = send(api, connection, paid("p1", "p2")).json
    assert again is not None
    assert again["duplicate"]
    pay(api)
    assert (statuses(api), used(api)) == ({"sorted": 2}, 2)


@pytest.mark.slow
def test_a_source_is_not_read_meanwhile_and_nothing_of_it_is_missed(
    make_container: Make, host: TestHost, shop: Shop
) -> None:
    api = billed(make_container)
    api.container.host.override(providers.Object(host))
    order(api)
    pay(api)
    shop.items = {"charges": 4}
    connection = connect(api)
    sync(api, connection)
    shop.items = {"charges": 9}
    lapse_alone(api)
    asked = len(shop.asked)
    job = api.container.start_sync(api.actor, UUID(connection["id"]))
    run_job(api.container, api.tenant_id, job.id)
    assert len(shop.asked) == asked
    assert log(api, connection)[0]["text"] == "not synced: the tenant is read-only until its subscription is paid"
    pay(api, number="2026-002")
    sync(api, connection)
    api.drain()
    assert shop.asked[-1] == ("charges", {"last": 4})
    assert (statuses(api), used(api)) == ({"sorted": 9}, 9)


def test_a_tenant_is_not_erased_while_its_subscription_runs(make_container: Make) -> None:
    api = billed(make_container)
    order(api)
    pay(api)
    bring_in(api, 2)
    with pytest.raises(Conflict, match="a subscription runs"):
        api.container.erase_tenant(api.tenant_id, "A tenant")
    assert len(api.get("/records")["items"]) == 2
    lapse_alone(api)
    with pytest.raises(Conflict, match="a subscription runs"):
        api.container.erase_tenant(api.tenant_id, "A tenant")
    api.container.end_agreement(api.actor, reason="a test")
    api.drain()
    api.container.erase_tenant(api.tenant_id, "A tenant")
    assert api.call("GET", "/records").status_code == 401
