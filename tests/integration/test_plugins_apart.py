"""Where API and worker have different plugins: the jobs of these wait, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from dependency_injector import providers

from core.domain.inventories import Inventory, Role, inventory_of
from core.domain.jobs import Stream
from entrypoints.api.app import create_app
from entrypoints.container import Container
from entrypoints.worker.runner import run_job
from tests.integration.api_support import HEADER, Api, new_tenant
from tests.integration.rule_support import save
from tests.integration.sync_support import Shop, connect, run_syncs

SHOP = {"connector:shop": "shop 1.0 aa"}
RECURRING = {"rule_type:recurring": "sortation 1.0 bb"}


@pytest.fixture
def shop_api(make_shop_api: Callable[..., Api], superuser: psycopg.Connection[Any]) -> Iterator[Api]:
    yield make_shop_api()
    superuser.execute("DELETE FROM plugin_inventories")


@pytest.fixture
def api(make_container: Callable[..., Container], superuser: psycopg.Connection[Any]) -> Iterator[Api]:
    container = make_container(embeddings="off")
    yield new_tenant(container, create_app(container).test_client())
    superuser.execute("DELETE FROM plugin_inventories")


def has(container: Container, offers: dict[str, str]) -> None:
    container.inventory.override(providers.Object(Inventory(offers=offers)))


def others_have(container: Container, offers: dict[str, str], role: Role = Role.API) -> None:
    container.system().announce_plugins(role, Inventory(offers=offers))


def bring_later(api: Api, row: str) -> None:
    assert api.call("POST", "/imports?filename=statement.csv", data=(HEADER + row).encode()).status_code == 202


def last_job(api: Api, stream: Stream) -> dict[str, Any]:
    *_, job = (job for job in api.get("/jobs")["items"] if job["stream"] == stream.value)
    return dict(job)


def run_again(api: Api, superuser: psycopg.Connection[Any], stream: Stream) -> dict[str, Any]:
    superuser.execute("UPDATE jobs SET due_at = now() WHERE status = 'queued'")
    for job in api.container.list_jobs(api.actor, stream=stream, statuses=["queued"], limit=9):
        run_job(api.container, api.tenant_id, job.id)
    return last_job(api, stream)


def test_a_sync_waits_until_the_api_has_the_same_plugin_and_loses_nothing(
    shop_api: Api, shop: Shop, superuser: psycopg.Connection[Any]
) -> None:
    api, container = shop_api, shop_api.container
    connection = connect(api)
    has(container, {})
    others_have(container, SHOP)
    api.call("POST", f"/connections/{connection['id']}/sync")
    for _ in range(9):  # more often than a job may be tried
        waiting = run_again(api, superuser, Stream.SYNC)
        assert (waiting["status"], waiting["attempts"]) == ("queued", 0)
    assert waiting["last_error"] == (
        "waits until API and worker have the same connector:shop: nothing here, shop 1.0 aa there"
    )
    assert api.get(f"/connections/{connection['id']}")["health"] == "healthy"
    assert shop.asked == []
    has(container, SHOP)  # the worker was restarted
    assert run_again(api, superuser, Stream.SYNC)["status"] == "done"
    assert len(api.get("/records?limit=100")["items"]) == 25


def test_processes_that_are_gone_hold_nobody_up(shop_api: Api, shop: Shop, superuser: psycopg.Connection[Any]) -> None:
    api = shop_api
    has(api.container, SHOP)
    others_have(api.container, {"connector:shop": "shop 0.9 cc"})
    connection = connect(api)
    api.call("POST", f"/connections/{connection['id']}/sync")
    assert run_again(api, superuser, Stream.SYNC)["status"] == "queued"
    superuser.execute("UPDATE plugin_inventories SET seen_at = seen_at - interval '1 minute'")
    assert run_again(api, superuser, Stream.SYNC)["status"] == "done"


def test_jobs_that_wait_for_long_are_looked_at_seldom(
    shop_api: Api, shop: Shop, superuser: psycopg.Connection[Any]
) -> None:
    api = shop_api
    has(api.container, {})
    others_have(api.container, SHOP)
    connection = connect(api)
    api.call("POST", f"/connections/{connection['id']}/sync")
    superuser.execute("UPDATE jobs SET created_at = now() - interval '1 hour'")
    run_again(api, superuser, Stream.SYNC)
    row = superuser.execute("SELECT extract(epoch FROM due_at - now()) FROM jobs WHERE status = 'queued'").fetchone()
    assert row is not None
    assert 10 < row[0] <= 15


def test_a_job_that_needs_another_plugin_does_not_wait(shop_api: Api, shop: Shop) -> None:
    has(shop_api.container, SHOP | {"connector:other": "other 1.0 dd"})
    others_have(shop_api.container, SHOP)
    connection = connect(shop_api)
    shop_api.call("POST", f"/connections/{connection['id']}/sync")
    assert run_syncs(shop_api) == 1
    assert last_job(shop_api, Stream.SYNC)["status"] == "done"


def test_files_wait_for_their_connector(api: Api, superuser: psycopg.Connection[Any]) -> None:
    has(api.container, {})
    others_have(api.container, {"connector:csv": "sortation 9 ee"})
    bring_later(api, "2026-03-02;Corner shop;-12.50;EUR\n")
    assert run_again(api, superuser, Stream.INGEST)["status"] == "queued"
    has(api.container, {"connector:csv": "sortation 9 ee"})
    assert run_again(api, superuser, Stream.INGEST)["status"] == "done"


def test_records_wait_for_the_rule_types_of_their_tenants_rules(api: Api, superuser: psycopg.Connection[Any]) -> None:
    has(api.container, {})
    others_have(api.container, RECURRING)
    api.upload(HEADER + "2026-03-02;Corner shop;-12.50;EUR\n")
    assert last_job(api, Stream.PROCESS)["status"] == "done", "no rule of this tenant asks it"
    when = {"type": "recurring", "params": {"interval": "monthly"}}
    save(api, {"name": "Monthly", "when": when, "then": {"category": api.category("housing.rent")}}, confirm=True)
    bring_later(api, "2026-03-03;Rent;-700.00;EUR\n")
    run_again(api, superuser, Stream.INGEST)
    assert run_again(api, superuser, Stream.PROCESS)["status"] == "queued"
    has(api.container, RECURRING)
    assert run_again(api, superuser, Stream.PROCESS)["status"] == "done"


def test_readiness_tells_what_is_not_the_same_everywhere(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    container = api.container
    monkeypatch.setattr(container.broker(), "reachable", lambda: True)
    own = inventory_of(container.host().inventory())
    container.announce_plugins(Role.API)
    container.announce_plugins(Role.WORKER)
    ready = api.call("GET", "//readyz").json
    assert ready == {"status": "ready", "plugins": {"digest": own.digest, "apart": []}}
    others_have(container, {**own.offers, "connector:pipes": "pipes 1.0 ff"}, Role.WORKER)
    apart = api.call("GET", "//readyz")
    assert apart.status_code == 200
    assert apart.json == {"status": "degraded", "plugins": {"digest": own.digest, "apart": ["connector:pipes"]}}
