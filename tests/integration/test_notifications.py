"""Notifications as their users see them: over the API, to a real receiver on loopback, signed as the reference library
verifies it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dependency_injector import providers
from standardwebhooks import Webhook, WebhookVerificationError

from adapters.http.policy import parse_policy
from adapters.http.transport import GuardedTransport, Limits
from adapters.messaging.webhooks import StandardWebhookSender
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Stream
from core.domain.tenants import worker_actor
from entrypoints.api.app import create_app
from entrypoints.container import Container
from entrypoints.worker.runner import run_job
from tests.integration.api_support import HEADER, Api, new_tenant
from tests.stubs.scripted_http import Answer, Asked, ScriptedServer

IN = "/in"
ENDPOINTS = "/notifications/endpoints"


@pytest.fixture
def receiver() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server.script("POST", IN, Answer(status=204))


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", http_allow=("127.0.0.1",))
    return new_tenant(container, create_app(container).test_client())


def endpoint(api: Api, receiver: ScriptedServer, **fields: Any) -> dict[str, Any]:
    body = {"kind": "webhook", "name": "Pager", "url": receiver.url + IN, "topics": ["failures"], **fields}
    made: dict[str, Any] = api.post(ENDPOINTS, body, 201)
    return made


def happens(api: Api, type: EventType = EventType.IMPORT_FAILED, **payload: Any) -> None:
    with api.container.uow().begin(worker_actor(api.tenant_id)) as tx:
        tx.events.append([NewEvent(type=type, payload=payload)])
        tx.commit()
    tell(api)


def tell(api: Api) -> None:
    """What the relay does."""
    api.container.seal_events()
    for tenant_id in api.container.tenants_with_news():
        api.container.make_notifications(tenant_id)


def send(api: Api, *, early: bool = False) -> int:
    """Carries out what is to be sent, also what is not due yet where it is `early`; how many tries that were."""
    if early:
        with api.container.app_engine().begin() as connection:
            connection.exec_driver_sql(f"SELECT set_config('app.tenant_id', '{api.tenant_id}', true)")
            connection.exec_driver_sql(
                "UPDATE jobs SET due_at = now() WHERE tenant_id = %s AND status = 'queued'", (api.tenant_id,)
            )
    with api.container.system().take_due(share=100, limit=100) as due:
        mine = [job_id for _, job_id, stream, _ in due if stream == Stream.SEND]
    for job_id in mine:
        run_job(api.container, api.tenant_id, job_id)
    return len(mine)


def deliveries(api: Api, made: dict[str, Any]) -> list[dict[str, Any]]:
    """The oldest first."""
    items: list[dict[str, Any]] = api.get(f"{ENDPOINTS}/{made['id']}/deliveries")["items"]
    return items[::-1]


def codes(delivery: dict[str, Any]) -> list[str]:
    return [attempt["code"] for attempt in delivery["attempts"]]


def verified(asked: Asked, secret: str) -> Any:
    return Webhook(secret).verify(asked.body, dict(asked.headers))


def test_an_import_that_fails_reaches_the_receiver_signed(api: Api, receiver: ScriptedServer) -> None:
    made = endpoint(api, receiver)
    answer = api.call("POST", "/imports?filename=letter.csv", data=b"Dear Ada Lovelace, thank you for DE02120300000000")
    assert answer.status_code == 202
    api.drain()
    tell(api)
    assert send(api) == 1
    (asked,) = receiver.asked(IN)
    body = verified(asked, made["secret"])
    assert body["type"] == "import.failed"
    assert body["data"]["import_id"] == answer.json["id"]
    assert asked.headers["content-type"] == "application/json"
    assert b"Ada" not in asked.body
    (delivery,) = deliveries(api, made)
    assert (delivery["id"], delivery["status"]) == (asked.headers["webhook-id"], "delivered")
    (attempt,) = delivery["attempts"]
    assert (attempt["status"], attempt["code"]) == (204, "ok")
    assert api.get(f"{ENDPOINTS}/{made['id']}")["succeeded_at"] is not None


def test_both_secrets_verify_while_one_takes_anothers_place_and_the_former_ends(
    api: Api, receiver: ScriptedServer
) -> None:
    made = endpoint(api, receiver)
    rotated = api.post(f"{ENDPOINTS}/{made['id']}/rotate", {"overlap_seconds": 3600})
    assert rotated["former_until"] is not None
    happens(api)
    send(api)
    again = api.post(f"{ENDPOINTS}/{made['id']}/rotate", {"overlap_seconds": 0})
    assert again["former_until"] is None
    happens(api)
    send(api)
    both, alone = receiver.asked(IN)
    assert verified(both, made["secret"]) == verified(both, rotated["secret"])
    assert both.headers["webhook-signature"].count("v1,") == 2
    assert verified(alone, again["secret"])["type"] == "import.failed"
    for former in (made["secret"], rotated["secret"]):
        with pytest.raises(WebhookVerificationError):
            verified(alone, former)
    changed = Asked(method="POST", path=IN, query={}, headers=both.headers, body=both.body.replace(b"failed", b"done"))
    with pytest.raises(WebhookVerificationError):
        verified(changed, made["secret"])


def test_a_receiver_that_fails_gets_it_again_under_the_same_id(api: Api, receiver: ScriptedServer) -> None:
    answers = [
        Answer(status=500),
        Answer(fault="drop"),
        Answer(status=429, headers={"Retry-After": "120"}),
        Answer(status=200, content=b"thank you"),
    ]
    receiver.script("POST", IN, *answers)
    made = endpoint(api, receiver)
    happens(api)
    assert send(api) == 1
    assert send(api) == 0, "the next try waits five seconds"
    for _ in range(3):
        assert send(api, early=True) == 1
    (delivery,) = deliveries(api, made)
    assert codes(delivery) == ["refused", "broken_off", "refused", "ok"]
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, None, 429, 200]
    assert (delivery["status"], delivery["next_at"]) == ("delivered", None)
    asked = receiver.asked(IN)
    assert {one.headers["webhook-id"] for one in asked} == {delivery["id"]}
    assert all(verified(one, made["secret"]) == json.loads(asked[0].body) for one in asked)
    assert send(api, early=True) == 0


def test_a_receiver_that_is_told_again_can_tell_by_the_id(api: Api, receiver: ScriptedServer) -> None:
    made = endpoint(api, receiver)
    happens(api)
    send(api)
    (delivery,) = deliveries(api, made)
    path = f"{ENDPOINTS}/{made['id']}/deliveries/{delivery['id']}/redeliver"
    assert api.post(path, status=202)["status"] == "pending"
    assert send(api) == 1
    assert [one.headers["webhook-id"] for one in receiver.asked(IN)] == [delivery["id"]] * 2
    (again,) = deliveries(api, made)
    assert codes(again) == ["ok", "ok"]


def test_410_disables_and_enabling_and_redelivering_what_failed_makes_it_good(
    api: Api, receiver: ScriptedServer
) -> None:
    receiver.script("POST", IN, Answer(status=410))
    made = endpoint(api, receiver)
    happens(api)
    send(api)
    shown = api.get(f"{ENDPOINTS}/{made['id']}")
    assert (shown["disabled_reason"], shown["disabled_at"] is not None) == ("gone", True)
    happens(api)
    (event,) = api.get("/events?type=ENDPOINT_DISABLED")["items"]
    assert (event["subject_id"], event["payload"]) == (made["id"], {"reason": "gone"})
    assert len(deliveries(api, made)) == 1
    since = {"since": made["created_at"]}
    assert api.post(f"{ENDPOINTS}/{made['id']}/redeliver", since, 409)["code"] == "conflict"
    assert api.post(f"{ENDPOINTS}/{made['id']}/enable")["disabled_at"] is None
    receiver.script("POST", IN, Answer(status=200))
    assert api.post(f"{ENDPOINTS}/{made['id']}/redeliver", since, 202) == {"redelivered": 1}
    assert send(api) == 1
    assert [one["status"] for one in deliveries(api, made)] == ["delivered"]


@pytest.mark.parametrize("place", ["/admin", "http://127.0.0.1:1/admin", "http://169.254.169.254/latest/meta-data"])
def test_redirects_are_not_followed(api: Api, receiver: ScriptedServer, place: str) -> None:
    for status in (301, 302, 303, 307, 308):
        receiver.script("POST", IN, Answer(status=status, headers={"Location": place}))
        made = endpoint(api, receiver)
        happens(api)
        send(api)
        (delivery,) = deliveries(api, made)
        assert (codes(delivery), delivery["attempts"][0]["status"]) == (["redirect"], status)
        api.call("DELETE", f"{ENDPOINTS}/{made['id']}")
    assert {one.path for one in receiver.requests} == {IN}


def test_private_addresses_are_not_asked_whoever_names_them(
    make_container: Callable[..., Container], receiver: ScriptedServer
) -> None:
    container = make_container(embeddings="off", http_allow=())
    api = new_tenant(container, create_app(container).test_client())
    urls = [
        receiver.url + IN,
        f"http://localhost:{receiver.port}{IN}",
        f"https://127.0.0.1:{receiver.port}{IN}",
        f"https://[::ffff:127.0.0.1]:{receiver.port}{IN}",
        "https://10.0.0.1/in",
        "https://169.254.169.254/latest/meta-data",
        "https://0x7f000001/in",
    ]
    made = [endpoint(api, receiver, url=url) for url in urls]
    happens(api)
    assert send(api) == len(urls)
    for one, url in zip(made, urls, strict=True):
        (delivery,) = deliveries(api, one)
        assert codes(delivery)[0] in ("not_allowed", "unreachable"), url
        assert delivery["attempts"][0]["status"] is None
    assert receiver.connections == 0


def test_a_receiver_that_hangs_or_drips_is_given_up_on_in_time(api: Api, receiver: ScriptedServer) -> None:
    limits = Limits(connect=1.0, read=0.3, total=0.5, answer_bytes=1_000)
    transport = GuardedTransport(parse_policy(["127.0.0.1"]), limits=limits)
    api.container.sender.override(providers.Object(StandardWebhookSender(transport)))
    receiver.script("POST", "/hangs", Answer(fault="hang"))
    receiver.script("POST", "/drips", Answer(status=200, content=b"x" * 900, fault="drip"))
    receiver.script("POST", "/floods", Answer(status=200, content=b"x" * 2_000))
    made = {path: endpoint(api, receiver, url=receiver.url + path) for path in ("/hangs", "/drips", "/floods")}
    happens(api)
    begun = time.monotonic()
    assert send(api) == 3
    assert time.monotonic() - begun < 5
    found = {path: codes(deliveries(api, one)[0]) for path, one in made.items()}
    assert found == {"/hangs": ["timeout"], "/drips": ["timeout"], "/floods": ["not_allowed"]}


def test_a_test_says_what_became_of_it(api: Api, receiver: ScriptedServer) -> None:
    made = endpoint(api, receiver)
    sent = api.post(f"{ENDPOINTS}/{made['id']}/test", status=202)
    assert send(api) == 1
    (delivery,) = deliveries(api, made)
    assert (delivery["id"], delivery["type"], delivery["status"]) == (sent["id"], "endpoint.test", "delivered")
    assert verified(receiver.asked(IN)[0], made["secret"])["type"] == "endpoint.test"


def test_a_digest_tells_by_one_message_of_all_that_came_in_its_hour(api: Api, receiver: ScriptedServer) -> None:
    receiver.script("POST", IN, Answer(status=500), Answer(status=200))
    made = endpoint(api, receiver, digest="hourly")
    for _ in range(3):
        happens(api)
    assert send(api) == 0
    (digest,) = (one for one in deliveries(api, made) if one["type"] == "digest")
    items = [one for one in deliveries(api, made) if one["id"] != digest["id"]]
    assert (digest["type"], digest["status"]) == ("digest", "collecting")
    assert [one["status"] for one in items] == ["waiting"] * 3
    for delivery in (digest, items[0]):
        path = f"{ENDPOINTS}/{made['id']}/deliveries/{delivery['id']}/redeliver"
        assert api.post(path, status=409)["code"] == "conflict"
    assert send(api, early=True) == 1
    happens(api)  # which is the next one's, though this one is to be tried again
    assert send(api, early=True) == 2
    first, again, second = receiver.asked(IN)
    assert first.headers["webhook-id"] == again.headers["webhook-id"] == digest["id"]
    assert first.body == again.body
    body = verified(again, made["secret"])
    assert (body["type"], body["data"]["count"]) == ("digest", 3)
    assert [one["type"] for one in body["data"]["events"]] == ["import.failed"] * 3
    assert verified(second, made["secret"])["data"]["count"] == 1
    found = {one["id"]: one for one in deliveries(api, made)}
    assert {found[one["id"]]["status"] for one in (digest, *items)} == {"delivered"}
    assert {found[one["id"]]["digest_id"] for one in items} == {digest["id"]}


def test_what_waits_for_a_digest_fails_with_it_where_its_endpoint_is_disabled(
    api: Api, receiver: ScriptedServer
) -> None:
    made = endpoint(api, receiver, digest="daily")
    happens(api)
    happens(api)
    api.post(f"{ENDPOINTS}/{made['id']}/disable")
    assert send(api, early=True) == 1
    assert receiver.requests == []
    assert [one["status"] for one in deliveries(api, made)] == ["failed"] * 3
    api.post(f"{ENDPOINTS}/{made['id']}/enable")
    redelivered = api.post(f"{ENDPOINTS}/{made['id']}/redeliver", {"since": made["created_at"]}, 202)
    assert redelivered == {"redelivered": 1}, "what went by a digest goes by that"
    assert send(api) == 1
    assert verified(receiver.asked(IN)[0], made["secret"])["data"]["count"] == 2
    assert [one["status"] for one in deliveries(api, made)] == ["delivered"] * 3


def test_a_secret_is_shown_once_and_kept_nowhere_in_the_open(api: Api, receiver: ScriptedServer) -> None:
    key = {"Idempotency-Key": "once"}
    body = {"kind": "webhook", "name": "Pager", "url": receiver.url + IN, "topics": ["failures"]}
    again = {"Idempotency-Key": "again"}
    made = api.post(ENDPOINTS, body, 201, **key)
    replayed = api.post(ENDPOINTS, body, 201, **key)
    assert replayed == made | {"secret": None}
    rotated = api.post(f"{ENDPOINTS}/{made['id']}/rotate", {}, 200, **again)
    assert api.post(f"{ENDPOINTS}/{made['id']}/rotate", {}, 200, **again) == rotated | {"secret": None}
    for answer in (api.get(ENDPOINTS)["items"][0], api.get(f"{ENDPOINTS}/{made['id']}")):
        assert "secret" not in answer
        assert not {"sealed", "told_seq", "tenant_id"} & answer.keys()
    with api.container.app_engine().begin() as connection:
        connection.exec_driver_sql(f"SELECT set_config('app.tenant_id', '{api.tenant_id}', true)")
        for table in ("notification_endpoints", "idempotency_keys", "events"):
            mine = f"SELECT * FROM {table} WHERE tenant_id = %s"  # noqa: S608 - of these three
            rows = str(connection.exec_driver_sql(mine, (api.tenant_id,)).all())
            assert made["secret"] not in rows
            assert rotated["secret"] not in rows


def test_changes_are_by_version_and_what_is_wrong_is_said(api: Api, receiver: ScriptedServer) -> None:
    made = endpoint(api, receiver)
    path = f"{ENDPOINTS}/{made['id']}"
    changed = api.call("PATCH", path, {"topics": ["queue", "quota"], "digest": "daily"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json["topics"]) == (200, ["queue", "quota"])
    assert changed.headers["ETag"] == '"2"'
    stale = api.call("PATCH", path, {"name": "x"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json["code"]) == (412, "version_mismatch")
    for wrong in ({"url": "ftp://x"}, {"topics": []}, {"topics": ["all"]}, {"digest_hour": 24}, {"kind": "mail"}, {}):
        assert api.call("PATCH", path, wrong).status_code == 422, wrong
    assert api.call("DELETE", path, headers={"If-Match": '"1"'}).status_code == 412
    assert api.call("DELETE", path, headers={"If-Match": '"2"'}).status_code == 204
    assert api.get(path, 404)["code"] == "not_found"
    told = [event["type"] for event in _events(api)]
    assert told == ["ENDPOINT_CREATED", "ENDPOINT_CHANGED", "ENDPOINT_DELETED"]
    assert receiver.url not in json.dumps(_events(api))


def _events(api: Api) -> list[dict[str, Any]]:
    api.container.seal_events()
    items = api.get("/events?limit=500")["items"]
    return [event for event in items if event["type"].startswith("ENDPOINT_")]


def test_a_queue_over_the_tenants_limit_is_told(api: Api, receiver: ScriptedServer) -> None:
    for wrong in (0, 1_000_001, "5", 1.5):
        assert api.call("PATCH", "/tenant", {"settings": {"queue_limit": wrong}}).status_code == 422, wrong
    assert api.call("PATCH", "/tenant", {"settings": {"queue_limit": 2}}).json["settings"]["queue_limit"] == 2
    made = endpoint(api, receiver, topics=["queue"])
    api.upload(HEADER + "".join(f"2026-03-0{n};Qwxz unheard of {n};-{n}.50;EUR\n" for n in range(1, 4)))
    waiting = len(api.get("/approvals")["items"])
    assert waiting == 3
    assert (api.container.watch_queues(), api.container.watch_queues()) == (1, 0)
    tell(api)
    assert send(api) == 1
    body = verified(receiver.asked(IN)[0], made["secret"])
    assert (body["type"], body["data"]["open"], body["data"]["limit"]) == ("queue.over_limit", 3, 2)


def test_pages_of_deliveries_follow_each_other(api: Api, receiver: ScriptedServer) -> None:
    made = endpoint(api, receiver)
    for _ in range(3):
        happens(api)
    path = f"{ENDPOINTS}/{made['id']}/deliveries"
    first = api.get(f"{path}?limit=2")
    second = api.get(f"{path}?limit=2&before={first['next']}")
    seqs = [one["seq"] for one in (*first["items"], *second["items"])]
    assert (len(seqs), seqs, second["next"]) == (3, sorted(seqs, reverse=True), None)


def test_a_receiver_that_hangs_takes_no_more_than_its_tenants_share(api: Api, receiver: ScriptedServer) -> None:
    for _ in range(6):
        endpoint(api, receiver)
    happens(api)
    other = new_tenant(api.container, api.client, "Other")
    made = endpoint(other, receiver)
    happens(other)

    class Published:
        def __init__(self) -> None:
            self.tenants: list[Any] = []

        def publish(self, tenant_id: Any, job_id: Any, stream: str, headers: Any) -> None:
            if stream == Stream.SEND:
                self.tenants.append(tenant_id)

    broker = Published()
    api.container.broker.override(providers.Object(broker))
    while api.container.publish_due():
        pass
    assert broker.tenants.count(api.tenant_id) == 4
    assert broker.tenants.count(other.tenant_id) == 1
    assert made["id"]
