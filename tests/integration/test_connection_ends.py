"""Connections that are ended while their records stay: without secrets, and nothing comes in by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import psycopg
import pytest

from core.domain.jobs import Stream
from core.domain.plugins import Webhook, WebhookScheme
from entrypoints.worker.runner import run_job
from ports.connectors import Context
from tests.integration.api_support import Api
from tests.integration.sync_support import SECRET, Shop, TestHost, connect, health, run_syncs, sync


@pytest.fixture
def api(make_shop_api: Callable[..., Api]) -> Api:
    return make_shop_api()


def patch(api: Api, connection: Mapping[str, Any], body: Any, status: int = 200) -> Any:
    answer = api.call("PATCH", f"/connections/{connection['id']}", body)
    assert answer.status_code == status, answer.text
    return answer.json


def disable(api: Api, connection: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api.post(f"/connections/{connection['id']}/disable")
    return found


def told(api: Api) -> list[str]:
    api.container.seal_events()
    return [e["type"] for e in api.get("/events?limit=500")["items"] if e["type"].startswith("CONNECTION_")]


def test_a_connection_with_records_is_disabled_instead_of_deleted(
    api: Api, shop: Shop, superuser: psycopg.Connection[Any]
) -> None:
    connection = connect(api, schedule_seconds=3600)
    sync(api, connection)
    refused = api.call("DELETE", f"/connections/{connection['id']}")
    assert refused.status_code == 409
    assert "/disable" in refused.json["detail"]
    ended = disable(api, connection)
    assert (ended["health"], ended["secrets"], ended["next_sync_at"]) == ("paused", [], None)
    assert ended["disabled_at"] is not None
    assert ended["version"] == 2
    assert disable(api, connection) == ended, "again, nothing changes"
    state = health(api, connection)
    assert (state["code"], state["message"]) == ("disabled", "by key first key")
    assert "resume" in state["action"]
    assert told(api) == ["CONNECTION_CREATED", "CONNECTION_DISABLED"]
    assert superuser.execute("SELECT sealed FROM connections WHERE id = %s", [connection["id"]]).fetchall() == [(None,)]
    assert len(api.get(f"/records?connection_id={connection['id']}")["items"]) == 25, "what it brought stays"


def test_nothing_comes_in_by_one_that_is_disabled(api: Api, shop: Shop) -> None:
    connection = connect(api)
    disable(api, connection)
    path = f"/connections/{connection['id']}"
    for method, url in (("POST", f"{path}/check"), ("POST", f"{path}/sync"), ("GET", f"{path}/streams")):
        answer = api.call(method, url)
        assert (answer.status_code, answer.json["code"]) == (409, "conflict"), url
        assert "disabled" in answer.json["detail"]
    for query in ("", "&dry_run=true"):
        answer = api.call("POST", f"/imports?connection_id={connection['id']}{query}", data=b"anything")
        assert answer.status_code == 409, answer.text
    patch(api, connection, {"schedule_seconds": 60})
    changed = patch(api, connection, {"name": "Former", "config": {"api_key": SECRET}})
    assert (changed["health"], changed["next_sync_at"]) == ("paused", None)
    assert api.container.queue_syncs() == 0
    assert shop.contexts == []


def test_it_is_resumed_once_it_has_its_secrets_again(api: Api) -> None:
    connection = connect(api)
    sync(api, connection)
    disable(api, connection)
    refused = api.post(f"/connections/{connection['id']}/resume", status=409)
    assert "api_key" in refused["detail"]
    assert patch(api, connection, {"config": {"api_key": SECRET}})["secrets"] == ["api_key"]
    resumed = api.post(f"/connections/{connection['id']}/resume")
    assert (resumed["health"], resumed["disabled_at"]) == ("healthy", None)
    assert resumed["next_sync_at"] is not None
    assert resumed == api.get(f"/connections/{connection['id']}")
    assert told(api)[-2:] == ["CONNECTION_CHANGED", "CONNECTION_HEALTHY"]
    other = sync(api, connect(api, name="Other"))
    assert len(api.get("/imports")["items"]) == 2
    for id in (connection["id"], other["id"]):
        assert [one["connection_id"] for one in api.get(f"/imports?connection_id={id}")["items"]] == [id]
    synced = sync(api, connection)
    assert (synced["health"], health(api, connection)["totals"]["imports"]) == ("healthy", 1)


def test_syncs_that_wait_or_go_on_bring_it_no_life(make_shop_api: Callable[..., Api], shop: Shop) -> None:
    api = make_shop_api(sync_records=10)
    queued, running = connect(api), connect(api, name="Running")
    api.post(f"/connections/{queued['id']}/sync", status=202)
    disable(api, queued)
    assert run_syncs(api) == 1
    assert shop.contexts == []

    def meanwhile(ctx: Context, stream: str, n: int) -> None:
        if stream == "charges":
            disable(api, running)

    shop.before = meanwhile
    ended = sync(api, running)
    assert ended["health"] == "paused"
    assert health(api, running)["code"] == "disabled"
    assert [one["inserted"] for one in api.get("/imports")["items"]] == [10], "the rest is not queued"


def test_deliveries_to_it_are_refused_as_to_an_unknown_one(api: Api, host: TestHost, shop: Shop) -> None:
    host.change(webhook=Webhook(scheme=WebhookScheme.UNSIGNED))
    schema = {**host.manifests["shop"].config_schema}
    schema["properties"] = {**schema["properties"], "accept_unsigned": {"type": "boolean"}}
    host.change(config_schema=schema)
    connection = connect(api, config={"api_key": SECRET, "accept_unsigned": True})
    url = f"/api/v1/webhooks/{connection['id']}"
    assert api.client.post(url, data=b"first").status_code == 202
    disable(api, connection)
    refused = api.client.post(url, data=b"second")
    unknown = api.client.post(f"/api/v1/webhooks/{UUID(int=7)}", data=b"second")
    assert (refused.status_code, refused.json["code"]) == (401, "webhook_refused")
    assert {**refused.json, "request_id": None} == {**unknown.json, "request_id": None}
    # What was taken before is still read.
    for job in api.container.list_jobs(api.actor, stream=Stream.WEBHOOK, statuses=["queued", "published"], limit=9):
        run_job(api.container, api.tenant_id, job.id)
    assert [d["status"] for d in api.get(f"/connections/{connection['id']}/deliveries")["items"]] == ["done"]
    assert health(api, connection)["code"] == "disabled"
