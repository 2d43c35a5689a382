"""Webhooks over the API: taken once, verified first, and read by their connector."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from dependency_injector import providers
from standardwebhooks.webhooks import Webhook as StandardWebhook
from werkzeug.test import TestResponse

from adapters.memory.clock import FixedClock
from core.domain.health import Health
from core.domain.plugins import Batch, ConnectorManifest, Webhook, WebhookMessage, WebhookScheme
from core.domain.records import Draft
from core.errors import SchemaChanged
from core.usecases.shared.connection_health import note_health
from entrypoints.api import refusals
from entrypoints.api.app import create_app
from entrypoints.container import Container
from ports.connectors import Connector, Context
from tests.integration.api_support import Api, new_tenant
from tests.stubs.host import TestHost

SECRET = f"whsec_{base64.b64encode(b'0123456789abcdefghijklmn').decode()}"
SECOND, THIRD = (f"whsec_{base64.b64encode(name * 4).decode()}" for name in (b"second", b"third-"))
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"webhook_secret": {"type": "string", "writeOnly": True}},
    "additionalProperties": False,
}
SHOP = ConnectorManifest(
    key="shop",
    version="1",
    title="Shop",
    factory="any:thing",
    config_schema=SCHEMA,
    webhook=Webhook(scheme=WebhookScheme.STANDARD),
)
SILENT = ConnectorManifest(key="silent", version="1", title="Silent", factory="any:thing", config_schema=SCHEMA)
NOBODY = "01890000-0000-7000-8000-000000000000"


class Shop(Connector):
    """Gives a draft for each payment; `fault` is raised first."""

    def __init__(self) -> None:
        self.messages: list[WebhookMessage] = []
        self.configs: list[Mapping[str, Any]] = []
        self.fault: Exception | None = None

    def parse_webhook(self, ctx: Context, message: WebhookMessage) -> Batch:
        self.messages.append(message)
        self.configs.append(ctx.config)
        ctx.log.info("read %s", message.id)
        if self.fault is not None:
            raise self.fault
        payments = json.loads(message.body)["payments"]
        return Batch(drafts=tuple(_draft(payment) for payment in payments))


def _draft(payment: str) -> Draft:
    return Draft(
        text=f"Payment {payment}" if payment else "",
        occurred_at=date(2026, 3, 1),
        account="shop",
        external_id=payment,
        amount=Decimal("-9.90"),
        currency="EUR",
    )


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def host(shop: Shop) -> TestHost:
    return TestHost((SHOP, shop), (SILENT, shop))


@pytest.fixture
def api(make_container: Callable[..., Container], host: TestHost) -> Api:
    container = make_container(embeddings="off", job_backoff_seconds=0.01, job_max_attempts=2)
    container.host.override(providers.Object(host))
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def clock(api: Api) -> FixedClock:
    fixed = FixedClock(datetime.now(UTC).replace(microsecond=0))
    api.container.clock.override(providers.Object(fixed))
    return fixed


@pytest.fixture
def connection(api: Api) -> str:
    return connect(api)


def connect(api: Api, connector: str = "shop") -> str:
    body = {"connector": connector, "name": "Mine", "config": {"webhook_secret": SECRET}}
    return str(api.post("/connections", body, 201)["id"])


def send(
    api: Api, connection: str, body: bytes, *, id: str = "msg_1", secret: str = SECRET, **headers: str
) -> TestResponse:
    at = api.container.clock().now()
    signed = {
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": StandardWebhook(secret).sign(id, at, body.decode()),
        **headers,
    }
    return api.client.post(f"/api/v1/webhooks/{connection}", data=body, headers=signed)


def paid(*payments: str) -> bytes:
    return json.dumps({"payments": payments}).encode()


def deliveries(api: Api, connection: str) -> list[dict[str, Any]]:
    return list(api.get(f"/connections/{connection}/deliveries")["items"])


def counts(api: Api) -> dict[str, float]:
    lines = api.client.get("/metrics").text.splitlines()
    found = (line.split() for line in lines if line.startswith("sortation_webhooks_total{"))
    return {name.partition('outcome="')[2].partition('"')[0]: float(value) for name, value in found}


def test_what_a_source_sends_becomes_records_that_are_sorted(api: Api, connection: str, shop: Shop) -> None:
    answer = send(api, connection, paid("p1", "p2"), **{"X-Own": "yes", "Cookie": "a=b"})
    assert answer.status_code == 202, answer.text
    assert (answer.json["event_id"], answer.json["duplicate"]) == ("msg_1", False)
    assert [d["status"] for d in deliveries(api, connection)] == ["received"]
    api.drain()
    (delivery,) = deliveries(api, connection)
    assert (delivery["status"], delivery["inserted"], delivery["known"]) == ("done", 2, 0)
    records = api.get(f"/records?connection_id={connection}")["items"]
    assert {r["text"] for r in records} == {"Payment p1", "Payment p2"}
    assert {r["status"] for r in records} == {"needs_review"}
    (message,) = shop.messages
    assert (message.id, message.body, message.headers["x-own"]) == ("msg_1", paid("p1", "p2"), "yes")
    assert "cookie" not in message.headers
    told = [e for e in api.get("/events")["items"] if e["type"].startswith("WEBHOOK")]
    assert [e["type"] for e in told] == ["WEBHOOK_RECEIVED", "WEBHOOK_DONE"]
    assert told[0]["actor"] == "webhook"


def test_an_event_that_comes_ten_times_is_one(api: Api, connection: str, shop: Shop) -> None:
    answers = [send(api, connection, paid("p1")) for _ in range(10)]
    assert {answer.status_code for answer in answers} == {202}
    assert [answer.json["duplicate"] for answer in answers] == [False] + [True] * 9
    assert len({answer.json["id"] for answer in answers}) == 1
    api.drain()
    assert len(shop.messages) == 1
    assert counts(api) == {"accepted": 1, "duplicate": 9}


def test_an_event_that_comes_twice_at_once_is_one(api: Api, connection: str, shop: Shop) -> None:
    app = create_app(api.container)

    def deliver(_: int) -> bool:
        mine = Api(client=app.test_client(), container=api.container, tenant_id=api.tenant_id, key=api.key)
        answer = send(mine, connection, paid("p1"))
        assert answer.status_code == 202, answer.text
        return bool(answer.json["duplicate"])

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(deliver, range(8))) == [False] + [True] * 7
    api.drain()
    assert len(shop.messages) == 1


def test_who_is_refused_learns_nothing(api: Api, connection: str) -> None:
    silent = connect(api, "silent")
    stale = {"webhook-timestamp": "1600000000"}
    refusals = [
        send(api, connection, b"{}", secret=f"whsec_{base64.b64encode(b'x' * 24).decode()}"),
        send(api, connection, b"{}", **stale),
        send(api, NOBODY, b"{}"),
        send(api, silent, b"{}"),
        api.client.post(f"/api/v1/webhooks/{connection}", data=b"{}"),
        api.client.post(f"/api/v1/webhooks/{connection}", data=b"{}", headers={"Authorization": f"Bearer {api.key}"}),
    ]
    bodies = [{**answer.json, "request_id": None} for answer in refusals]
    assert {answer.status_code for answer in refusals} == {401}
    assert all(body == bodies[0] for body in bodies)
    assert bodies[0]["code"] == "webhook_refused"
    assert refusals[0].mimetype == "application/problem+json"
    assert counts(api) == {"forged": 2, "unknown": 2, "unsigned": 2}
    assert deliveries(api, connection) == []


def test_the_owner_is_told_of_what_was_refused(api: Api, connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once of the first, then of all together, and never by a row each."""
    now = 0.0
    api.client.application.extensions[refusals.EXTENSION] = refusals.Refusals(lambda: now)
    path = f"/connections/{connection}"
    assert api.get(f"{path}/health")["refused_deliveries"] is None
    for _ in range(5):
        send(api, connection, b"{}", secret=f"whsec_{base64.b64encode(b'x' * 24).decode()}")
    told = api.get(f"{path}/health")["refused_deliveries"]
    assert (told["count"], "webhook_secret" in told["reason"]) == (1, True)
    now = refusals.NOTE_SECONDS
    send(api, connection, b"{}", **{"webhook-timestamp": "1600000000", "webhook-signature": ""})
    later = api.get(f"{path}/health")["refused_deliveries"]
    assert (later["count"], "no signature" in later["reason"]) == (6, True)
    assert later["at"] > told["at"]
    (line,) = api.get(f"{path}/log")["items"]
    assert (line["level"], "webhook_secret" in line["text"]) == ("warning", True)
    assert (api.get(path)["version"], api.get(f"{path}/health")["health"]) == (1, "healthy")
    monkeypatch.setattr("core.usecases.webhooks.REFUSALS_LOGGED", timedelta(0))
    now = 2 * refusals.NOTE_SECONDS
    send(api, connection, b"{}", secret=f"whsec_{base64.b64encode(b'x' * 24).decode()}")
    assert [one["text"].partition(",")[0] for one in api.get(f"{path}/log")["items"]] == [
        "deliveries are refused (7 so far)",
        "deliveries are refused (1 so far)",
    ]


@pytest.mark.parametrize("secret", ["my secret!", "whsec_", "whsec_not/base64!", ["whsec_MDEy", "short!"]])
def test_a_secret_by_which_nothing_can_be_signed_is_refused(api: Api, host: TestHost, secret: object) -> None:
    schema = {**SCHEMA, "properties": {"webhook_secret": {"writeOnly": True}, "note": {}}}
    host.offered["shop"] = (replace(SHOP, config_schema=schema), Shop())
    config = {"webhook_secret": secret}
    body = {"connector": "shop", "name": "Mine", "config": config}
    told = api.post("/connections", body, 422)
    assert list(told["errors"]) == ["config.webhook_secret"]
    api.post("/connections/check", {"connector": "shop", "config": config}, 422)
    connection = connect(api)
    assert api.call("PATCH", f"/connections/{connection}", {"config": config}).status_code == 422
    assert api.call("PATCH", f"/connections/{connection}", {"config": {"note": 1}}).status_code == 200


def test_what_is_too_large_is_not_read(make_container: Callable[..., Container], host: TestHost) -> None:
    container = make_container(embeddings="off", max_webhook_bytes=100)
    container.host.override(providers.Object(host))
    api = new_tenant(container, create_app(container).test_client())
    connection = connect(api)
    assert send(api, connection, b"x" * 100).status_code == 202
    answer = send(api, connection, b"x" * 101, id="msg_2")
    assert (answer.status_code, answer.json["code"]) == (413, "payload_too_large")
    chunked = {"input_stream": io.BytesIO(b"x" * 300), "environ_overrides": {"wsgi.input_terminated": True}}
    assert api.client.post(f"/api/v1/webhooks/{connection}", **chunked).status_code == 413


def test_a_connector_that_is_missing_for_now_lets_the_source_try_again(
    api: Api, connection: str, host: TestHost
) -> None:
    offered = host.offered.pop("shop")
    answer = send(api, connection, paid("p1"))
    assert (answer.status_code, answer.json["code"]) == (503, "transient")
    assert answer.headers["Retry-After"]
    host.offered["shop"] = offered
    assert send(api, connection, paid("p1")).status_code == 202


def test_what_a_connector_cannot_read_is_told_and_can_be_replayed(api: Api, connection: str, shop: Shop) -> None:
    shop.fault = SchemaChanged(f"no payments, but {SECRET}")
    send(api, connection, paid("p1"))
    api.drain()
    (delivery,) = deliveries(api, connection)
    assert delivery["status"] == "failed"
    assert delivery["failure"].startswith("no payments, but ")
    assert SECRET not in json.dumps(delivery) + json.dumps(api.get("/jobs"))
    shop.fault = None
    api.post("/jobs/replay", {"ids": [delivery["job_id"]]})
    api.drain()
    (delivery,) = deliveries(api, connection)
    assert (delivery["status"], delivery["inserted"], delivery["failure"]) == ("done", 1, None)


def test_a_delivery_that_fails_shows_in_the_connections_health_until_one_is_read(
    api: Api, connection: str, shop: Shop
) -> None:
    shop.fault = SchemaChanged(f"no payments, but {SECRET}")
    for number in range(2):
        send(api, connection, paid("p1"), id=f"msg_{number}")
    api.drain()
    health = api.get(f"/connections/{connection}/health")
    assert (health["health"], health["code"]) == ("degraded", "delivery_schema_changed")
    assert health["message"].startswith("no payments, but ")
    assert SECRET not in json.dumps(health)
    assert health["action"] == "Update the plugin: the source changed its answers."
    assert health["failures"] == 0
    shop.fault = None
    send(api, connection, paid("p2"), id="msg_3")
    api.drain()
    health = api.get(f"/connections/{connection}/health")
    assert (health["health"], health["code"]) == ("healthy", "ok")
    assert [entry["health"] for entry in health["history"]] == ["healthy", "degraded"]
    told = [e["type"] for e in api.get("/events")["items"] if e["type"].startswith("CONNECTION_")]
    assert told[-2:] == ["CONNECTION_DEGRADED", "CONNECTION_HEALTHY"]


def test_a_delivery_that_is_replayed_heals_what_it_hurt(api: Api, connection: str, shop: Shop) -> None:
    shop.fault = RuntimeError("a bug")
    send(api, connection, paid("p1"))
    api.drain()
    assert api.get(f"/connections/{connection}/health")["code"] == "delivery_plugin_bug"
    shop.fault = None
    (delivery,) = deliveries(api, connection)
    api.post("/jobs/replay", {"ids": [delivery["job_id"]]})
    api.drain()
    assert api.get(f"/connections/{connection}/health")["health"] == "healthy"


def test_a_delivery_of_which_nothing_can_be_kept_is_no_good_one(api: Api, connection: str) -> None:
    send(api, connection, paid("", ""))
    api.drain()
    health = api.get(f"/connections/{connection}/health")
    assert (health["health"], health["code"]) == ("degraded", "delivery_refused")
    assert health["message"].startswith("all 2 records were refused: ")
    lines = [line["text"] for line in api.get(f"/connections/{connection}/log")["items"]]
    assert [line for line in lines if line.startswith("webhook msg_1: item 2 is refused: ")]
    totals = health["totals"]
    assert totals["last_24_hours"] == {"imports": 1, "inserted": 0, "known": 0, "refused": 2}
    assert totals["last_30_days"] == {name: totals[name] for name in totals["last_24_hours"]}


def test_deliveries_leave_alone_what_a_sync_found(api: Api, connection: str, shop: Shop) -> None:
    with api.container.uow().begin(api.actor) as tx:
        ill = replace(tx.connections.get(UUID(connection)), health=Health.REAUTH, failures=1)
        note_health(
            tx, ill, Health.HEALTHY, code="reauth_required", clock=api.container.clock(), ids=api.container.ids()
        )
        tx.commit()
    send(api, connection, paid("p1"))
    shop.fault = SchemaChanged("no payments")
    send(api, connection, paid("p2"), id="msg_2")
    api.drain()
    health = api.get(f"/connections/{connection}/health")
    assert (health["health"], health["code"], health["failures"]) == ("reauth", "reauth_required", 1)


def test_one_bad_record_does_not_take_the_others_along(api: Api, connection: str) -> None:
    send(api, connection, paid("p1", "", "p3"))
    send(api, connection, paid("p1", "p4"), id="msg_2")
    api.drain()
    newer, older = deliveries(api, connection)
    assert (older["inserted"], older["refused"], older["refusals"][0]["position"]) == (2, 1, 2)
    assert (newer["inserted"], newer["known"]) == (1, 1)


def test_what_is_of_no_interest_ends_well(api: Api, connection: str) -> None:
    send(api, connection, paid())
    api.drain()
    assert [d["status"] for d in deliveries(api, connection)] == ["done"]


def test_deliveries_are_the_tenants_own(api: Api, connection: str) -> None:
    send(api, connection, paid("p1"))
    other = new_tenant(api.container, api.client, "Other")
    assert other.call("GET", f"/connections/{connection}/deliveries").status_code == 404
    assert api.call("GET", f"/connections/{NOBODY}/deliveries").status_code == 404


def test_nothing_is_kept_of_what_was_not_answered(
    api: Api, connection: str, superuser: psycopg.Connection[Any]
) -> None:
    superuser.execute("ALTER TABLE events ADD CONSTRAINT broken CHECK (type <> 'WEBHOOK_RECEIVED') NOT VALID")
    assert send(api, connection, paid("p1")).status_code == 500
    superuser.execute("ALTER TABLE events DROP CONSTRAINT broken")
    assert superuser.execute("SELECT count(*) FROM webhook_deliveries").fetchone() == (0,)
    assert send(api, connection, paid("p1")).json["duplicate"] is False


def test_finding_a_connection_takes_an_index(superuser: psycopg.Connection[Any]) -> None:
    superuser.execute("SET enable_seqscan = off")
    query = "EXPLAIN SELECT tenant_id FROM connections WHERE id = %s"
    plan = "\n".join(row[0] for row in superuser.execute(query, [UUID(NOBODY)]).fetchall())
    assert "connections_by_id" in plan


def rotate(api: Api, connection: str, secret: str, status: int = 200, **body: Any) -> Any:
    return api.post(f"/connections/{connection}/webhook-secret", {"secret": secret, **body}, status)


def statuses(api: Api, connection: str, **secrets: str) -> dict[str, int]:
    """What deliveries that are signed with these are answered with."""
    return {name: send(api, connection, paid(name), id=name, secret=s).status_code for name, s in secrets.items()}


def test_a_former_secret_serves_on_for_a_while(api: Api, connection: str, clock: FixedClock, shop: Shop) -> None:
    changed = rotate(api, connection, SECOND, overlap_seconds=3600)
    assert datetime.fromisoformat(changed["former_until"]) == clock.now() + timedelta(hours=1)
    assert (changed["secrets"], changed["version"]) == (["webhook_secret"], 2)
    assert SECOND not in json.dumps(changed)
    assert statuses(api, connection, a=SECRET, b=SECOND, c=THIRD) == {"a": 202, "b": 202, "c": 401}
    until = rotate(api, connection, THIRD, overlap_seconds=60)["former_until"]
    assert datetime.fromisoformat(until) == clock.now() + timedelta(hours=1), "the first one ends as it was to"
    clock.advance(timedelta(seconds=61))
    assert statuses(api, connection, d=SECRET, e=SECOND, f=THIRD) == {"d": 202, "e": 401, "f": 202}
    clock.advance(timedelta(hours=1))
    assert statuses(api, connection, g=SECRET, h=SECOND, i=THIRD) == {"g": 401, "h": 401, "i": 202}
    api.drain()
    assert shop.configs == [{"webhook_secret": THIRD}] * 5, "a connector sees the present one alone"
    told = [e["payload"] for e in api.get("/events?type=CONNECTION_CHANGED")["items"]]
    assert told == [{"changed": ["webhook_secret"], "overlap_seconds": n} for n in (3600, 60)]


def test_without_an_overlap_all_former_secrets_end_at_once(api: Api, connection: str) -> None:
    rotate(api, connection, SECOND)
    assert rotate(api, connection, THIRD, overlap_seconds=0)["former_until"] is None
    assert statuses(api, connection, a=SECRET, b=SECOND, c=THIRD) == {"a": 401, "b": 401, "c": 202}


def test_a_former_secret_stays_with_other_changes_and_goes_with_one_that_is_entered(
    api: Api, connection: str, make_container: Callable[..., Container], host: TestHost
) -> None:
    rotate(api, connection, SECOND)
    patch(api, connection, config={})
    patch(api, connection, name="Renamed")
    old = api.container.settings().secret_key
    make_container(secret_key="another-secret-key-of-this-installation", former_secret_keys=(old,)).rotate_secrets()
    later = make_container(embeddings="off", secret_key="another-secret-key-of-this-installation")
    later.host.override(providers.Object(host))
    api = Api(client=create_app(later).test_client(), container=later, tenant_id=api.tenant_id, key=api.key)
    assert statuses(api, connection, a=SECRET, b=SECOND) == {"a": 202, "b": 202}
    rotate(api, connection, SECRET)
    assert statuses(api, connection, c=SECRET, d=SECOND) == {"c": 202, "d": 202}, "and back again"
    patch(api, connection, config={"webhook_secret": THIRD})
    assert statuses(api, connection, e=SECRET, f=SECOND, g=THIRD) == {"e": 401, "f": 401, "g": 202}


def test_what_is_no_secret_or_has_none_is_refused(api: Api, connection: str, host: TestHost) -> None:
    assert "Base64" in rotate(api, connection, "no secret of that form!", 422)["detail"]
    rotate(api, connection, SECOND, 422, overlap_seconds=31 * 86_400)
    rotate(api, connect(api, "silent"), SECOND, 409)
    rotate(api, NOBODY, SECOND, 404)
    assert statuses(api, connection, a=SECRET, b=SECOND) == {"a": 202, "b": 401}
    api.post(f"/connections/{connection}/disable")
    rotate(api, connection, SECOND, 409)


def patch(api: Api, connection: str, **changes: Any) -> None:
    tag = api.call("GET", f"/connections/{connection}").headers["ETag"]
    answer = api.call("PATCH", f"/connections/{connection}", changes, headers={"If-Match": tag})
    assert answer.status_code == 200, answer.text
