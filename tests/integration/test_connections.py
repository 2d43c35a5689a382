"""Connections over the API: their secrets, checks and streams; and the keys that secrets are sealed with."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from queue import Queue
from typing import Any

import psycopg
import pytest
from dependency_injector import providers

from core.domain.events import EventFilter
from core.domain.plugins import Batch, StreamCheck
from core.errors import ConfigInvalid, ReauthRequired, Transient
from core.usecases.secret_keys import Rotation
from core.usecases.shared.source import SourceLeft
from entrypoints.api.app import create_app
from entrypoints.cli.main import main
from entrypoints.container import Container
from ports.connectors import Context
from tests.integration.api_support import Api
from tests.integration.sync_support import SECRET, Shop, TestHost, connect, health, log, sync

OLD_KEY, NEW_KEY = "old-" + "k" * 40, "new-" + "k" * 40


@pytest.fixture
def api(make_shop_api: Callable[..., Api]) -> Api:
    return make_shop_api()


def patch(api: Api, connection: Mapping[str, Any], body: Any, status: int = 200, **headers: str) -> Any:
    answer = api.call("PATCH", f"/connections/{connection['id']}", body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json


def whole_database(superuser: psycopg.Connection[Any]) -> str:
    tables = superuser.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    rows = [
        superuser.execute(f"SELECT to_jsonb(t)::text FROM {name} AS t").fetchall()  # noqa: S608 - of the catalogue
        for (name,) in tables
    ]
    return "\n".join(text for table in rows for (text,) in table)


def test_no_secret_shows_anywhere(
    api: Api,
    shop: Shop,
    superuser: psycopg.Connection[Any],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not in what is stored, told, answered, logged or shown of an object; also not where the connector tells it."""
    answers: list[Any] = []
    caplog.set_level(logging.DEBUG)

    def betray(ctx: Context, stream: str, n: int) -> None:
        key = ctx.config["api_key"]
        ctx.log.error("key %s", key)
        ctx.log.error("%d", key)
        if n == 11:
            raise RuntimeError(f"https://shop/?key={key}\nkey {key}")
        if stream in ("check", "discover") and shop.page == 9:
            raise ConfigInvalid(f"the key {key} is wrong")

    shop.before = betray
    connection = connect(api, config={"api_key": SECRET, "pin": 867_530_912})
    answers += [connection, sync(api, connection), health(api, connection), log(api, connection)]
    shop.before, shop.faults = lambda ctx, stream, n: None, {("charges", 11): [ReauthRequired(f"bad {SECRET}")]}
    answers += [sync(api, connection), health(api, connection)]
    shop.before, shop.page = betray, 9
    path = f"/connections/{connection['id']}"
    answers += [api.post(f"{path}/check"), api.get(f"{path}/streams", 409)]
    answers += [api.post("/connections/check", {"connector": "shop", "config": {"api_key": SECRET}})]
    wrong = {"api_key": SECRET, "account": 1}
    answers += [api.post("/connections/check", {"connector": "shop", "config": wrong}, 422)]
    answers += [api.post("/connections", {"connector": "shop", "name": "x", "config": {"api_key": [SECRET]}}, 422)]
    answers += [patch(api, connection, {"config": {"pin": SECRET}}, 422)]
    answers += [api.get("/connections"), api.get("/jobs"), api.get("/imports"), api.get(path)]
    api.container.seal_events()
    told = api.container.list_events(api.actor, EventFilter(), after=0, limit=1_000)
    stored = api.container.list_connections(api.actor)
    out, err = capfd.readouterr()
    shown = {
        "answers": json.dumps(answers, default=str, ensure_ascii=False),
        "database": whole_database(superuser),
        "events": repr(told),
        "objects": repr(stored) + repr(shop.contexts) + repr(api.container.secrets()),
        "output": out + err,
        "logs": caplog.text,
    }
    betrayed = [place for place, text in shown.items() if SECRET in text or "867530912" in text]
    assert betrayed == []
    assert "•••" in shown["answers"]
    assert shop.contexts[0].config == {"api_key": SECRET, "pin": 867_530_912}


def test_secrets_that_a_change_leaves_out_stay_and_null_removes_one(api: Api, shop: Shop) -> None:
    connection = connect(api, config={"api_key": SECRET, "account": "1", "pin": 1234})
    assert connection["config"] == {"account": "1"}
    assert connection["secrets"] == ["api_key", "pin"]

    def seen_after(config: Mapping[str, Any], secrets: list[str]) -> Mapping[str, Any]:
        changed = patch(api, connection, {"config": config})
        assert changed["secrets"] == secrets
        assert api.post(f"/connections/{connection['id']}/check")["ok"]
        return shop.contexts[-1].config

    assert seen_after({"account": "2"}, ["api_key", "pin"]) == {"account": "2", "api_key": SECRET, "pin": 1234}
    assert seen_after({"pin": None}, ["api_key"]) == {"api_key": SECRET}
    assert seen_after({"api_key": "another-key"}, ["api_key"]) == {"api_key": "another-key"}
    patch(api, connection, {"config": {"api_key": None}}, 422)
    patch(api, connection, {"config": {"api_key": "short"}}, 422)
    assert api.post(f"/connections/{connection['id']}/check")["ok"]
    assert shop.contexts[-1].config == {"api_key": "another-key"}


def test_a_secret_does_not_follow_to_another_host(api: Api, shop: Shop, host: TestHost) -> None:
    """Who may write connections could else send it to a server of their own, and read it there."""
    schema = {**host.manifests["shop"].config_schema}
    schema["properties"] = {**schema["properties"], "base_url": {"type": "string"}}
    host.change(config_schema=schema)
    mine, theirs = {"base_url": "https://shop.example"}, {"base_url": "https://evil.example"}
    connection = connect(api, config={**mine, "api_key": SECRET, "pin": 1234})
    for config in (theirs, {}, {**theirs, "api_key": SECRET}, {**theirs, "pin": 4321}):
        refused = patch(api, connection, {"config": config}, 422)
        assert "another host" in refused["detail"]
        assert set(refused["errors"]) == {f"config.{name}" for name in ("api_key", "pin") if name not in config}
    assert api.post(f"/connections/{connection['id']}/check")["ok"]
    assert shop.contexts[-1].config == {**mine, "api_key": SECRET, "pin": 1234}
    assert patch(api, connection, {"config": {**mine, "account": "2"}})["config"] == {**mine, "account": "2"}
    moved = patch(api, connection, {"config": {**theirs, "api_key": "their-own-key", "pin": None}})
    assert (moved["config"], moved["secrets"]) == (theirs, ["api_key"])
    assert api.post(f"/connections/{connection['id']}/check")["ok"]
    assert shop.contexts[-1].config == {**theirs, "api_key": "their-own-key"}


def test_all_that_is_wrong_is_told_at_once_by_field_and_no_secret(api: Api) -> None:
    wrong = {"account": 1, "pin": SECRET, "more": True}
    for path, body in (
        ("/connections", {"connector": "shop", "name": "New", "config": wrong}),
        ("/connections/check", {"connector": "shop", "config": wrong}),
    ):
        told = api.post(path, body, 422)
        assert set(told["errors"]) == {"config", "config.account", "config.api_key", "config.pin"}
        assert "3 more" in told["detail"]
        assert SECRET not in json.dumps(told)


def test_a_secret_that_is_null_is_none_also_to_a_check(api: Api, shop: Shop) -> None:
    config = {"api_key": SECRET, "pin": None}
    assert api.post("/connections/check", {"connector": "shop", "config": config})["ok"]
    assert shop.contexts[-1].config == {"api_key": SECRET}
    assert connect(api, config=config)["secrets"] == ["api_key"]


def test_a_sealed_value_moved_to_another_connection_does_not_open(api: Api, superuser: psycopg.Connection[Any]) -> None:
    mine = connect(api)
    other = connect(api, name="Other", config={"api_key": "another-key"})
    superuser.execute(
        "UPDATE connections SET sealed = (SELECT sealed FROM connections WHERE id = %s) WHERE id = %s",
        [mine["id"], other["id"]],
    )
    assert sync(api, other)["health"] == "reauth"
    assert health(api, other)["code"] == "secret_unreadable"
    patch(api, other, {"config": {"account": "1"}}, 409)
    assert patch(api, other, {"config": {"api_key": "another-key"}})["health"] == "healthy"
    assert sync(api, other)["health"] == "healthy"


@pytest.mark.parametrize(
    "body",
    [
        {"schedule_seconds": 59},
        {"schedule_seconds": 10**9},
        {"schedule_seconds": "60"},
        {"streams": []},
        {"streams": [""]},
        {"streams": ["x" * 201]},
        {"config": {"unknown": 1, "api_key": SECRET}},
    ],
)
def test_what_a_connection_can_not_be_is_refused(api: Api, body: dict[str, Any]) -> None:
    connection = connect(api)
    patch(api, connection, body, 422)
    new = {"connector": "shop", "name": "New", "config": {"api_key": SECRET}, **body}
    api.post("/connections", new, 422)


def test_files_take_no_schedule_and_no_sync(api: Api, host: TestHost) -> None:
    host.change(pulls=False)
    connection = connect(api)
    new = {"connector": "shop", "name": "New", "config": {"api_key": SECRET}, "schedule_seconds": 60}
    assert "no schedule" in api.post("/connections", new, 422)["detail"]
    assert "not asked" in api.post(f"/connections/{connection['id']}/sync", status=422)["detail"]
    assert api.post(f"/connections/{connection['id']}/resume")["next_sync_at"] is None
    assert api.post(f"/connections/{connection['id']}/check") == {
        "ok": True,
        "streams": [],
        "code": "ok",
        "reason": "",
        "action": "",
    }
    assert api.get(f"/connections/{connection['id']}/streams")["items"] == []


def test_a_schedule_begins_at_once_and_can_be_ended(api: Api) -> None:
    connection = connect(api, schedule_seconds=60)
    assert connection["next_sync_at"] is not None
    ended = patch(api, connection, {"schedule_seconds": None}, **{"If-Match": '"1"'})
    assert (ended["next_sync_at"], ended["version"]) == (None, 2)
    patch(api, connection, {"schedule_seconds": 90}, 412, **{"If-Match": '"1"'})
    assert patch(api, connection, {"schedule_seconds": 90})["next_sync_at"] is not None


def test_a_check_tells_of_each_stream(api: Api, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [StreamCheck(stream="a", ok=True), StreamCheck(stream="b", ok=False, reason=f"no right with {SECRET}")]
    monkeypatch.setattr(shop, "check", lambda ctx: told)
    body = {"connector": "shop", "config": {"api_key": SECRET}}
    for checked in (api.post("/connections/check", body), api.post(f"/connections/{connect(api)['id']}/check")):
        assert checked["ok"] is False
        assert checked["streams"] == [
            {"stream": "a", "ok": True, "reason": ""},
            {"stream": "b", "ok": False, "reason": "no right with •••"},
        ]
        assert (checked["code"], checked["reason"]) == ("unreadable", "b: no right with •••")
        assert checked["action"]
    assert len(api.get("/connections")["items"]) == 1
    monkeypatch.setattr(shop, "check", lambda ctx: [])
    assert api.post("/connections/check", body)["code"] == "empty"
    monkeypatch.setattr(shop, "check", lambda ctx: "garbage")
    assert api.post("/connections/check", body)["code"] == "plugin_bug"


def test_a_source_that_does_not_answer_is_not_waited_for(api: Api, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(shop, "check", lambda ctx: answered.wait(60) and [])
    connection = connect(api)
    checked = api.container.check_connection(api.actor, connection["id"], seconds=0.05)
    answered.set()
    assert (checked.ok, checked.code, checked.action) == (False, "transient", "Try again.")
    assert "did not answer" in checked.reason


def test_who_is_waited_for_no_longer_asks_its_source_in_vain(
    api: Api, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, asked = threading.Event(), Queue[BaseException]()

    def check(ctx: Context) -> Any:
        left.wait(60)
        try:
            ctx.http.request("GET", "https://shop.example/")
        except BaseException as error:
            asked.put(error)
            raise

    monkeypatch.setattr(shop, "check", check)
    connection = connect(api)
    checked = api.container.check_connection(api.actor, connection["id"], seconds=0.05)
    left.set()
    assert checked.code == "transient"
    assert isinstance(asked.get(timeout=30), SourceLeft)


def test_streams_are_discovered(api: Api, shop: Shop) -> None:
    shop.items = {"charges": 1, "refunds": 0}
    path = f"/connections/{connect(api)['id']}/streams"
    assert [(s["name"], s["title"], s["kind"]) for s in api.get(path)["items"]] == [
        ("charges", "Charges", "transaction"),
        ("refunds", "Refunds", "transaction"),
    ]

    def away(ctx: Context, stream: str, n: int) -> None:
        raise Transient("away")

    shop.before = away
    assert "away" in api.get(path, 409)["detail"]


def test_connectors_tell_which_of_their_fields_are_secret(api: Api) -> None:
    [shown] = api.get("/connectors")["items"]
    assert (shown["key"], shown["pulls"], shown["secrets"]) == ("shop", True, ["api_key", "pin"])


def test_a_field_that_became_a_secret_shows_no_more(api: Api, host: TestHost, shop: Shop) -> None:
    connection = connect(api)
    schema = {**host.manifests["shop"].config_schema}
    schema["properties"] = {**schema["properties"], "account": {"type": "string", "writeOnly": True}}
    host.change(config_schema=schema)
    shown = api.get(f"/connections/{connection['id']}")
    assert (shown["config"], shown["secrets"]) == ({}, ["account", "api_key"])
    patch(api, connection, {"config": {}})
    assert api.post(f"/connections/{connection['id']}/check")["ok"]
    assert shop.contexts[-1].config == {"account": "1", "api_key": SECRET}


def test_secrets_are_sealed_anew_while_the_service_runs(
    make_shop_api: Callable[..., Api], make_container: Callable[..., Container], shop: Shop, host: TestHost
) -> None:
    old = make_shop_api(secret_key=OLD_KEY)
    connections = [connect(old, name=f"Shop {n}") for n in range(3)]
    new = make_container(embeddings="off", secret_key=NEW_KEY, former_secret_keys=(OLD_KEY,))
    new.host.override(providers.Object(host))
    api = Api(client=create_app(new).test_client(), container=new, tenant_id=old.tenant_id, key=old.key)
    assert api.post(f"/connections/{connections[0]['id']}/check")["ok"], "a former key opens"
    assert new.rotate_secrets().resealed == 3
    assert new.rotate_secrets() == Rotation(resealed=0, unreadable=(), links_until=None)

    alone = make_container(embeddings="off", secret_key=NEW_KEY)
    alone.host.override(providers.Object(host))
    api = Api(client=create_app(alone).test_client(), container=alone, tenant_id=old.tenant_id, key=old.key)
    assert api.post(f"/connections/{connections[2]['id']}/check")["ok"]
    assert shop.contexts[-1].config["api_key"] == SECRET
    assert api.get(f"/connections/{connections[2]['id']}")["version"] == 1


def test_a_connection_heals_by_itself_when_the_key_is_back(
    make_shop_api: Callable[..., Api], make_container: Callable[..., Container], host: TestHost
) -> None:
    old = make_shop_api(secret_key=OLD_KEY)
    connection = connect(old)

    def restarted(**settings: Any) -> Api:
        container = make_container(embeddings="off", **settings)
        container.host.override(providers.Object(host))
        return Api(
            client=create_app(container).test_client(), container=container, tenant_id=old.tenant_id, key=old.key
        )

    without = restarted(secret_key=NEW_KEY)
    ill = sync(without, connection)
    assert (ill["health"], health(without, connection)["code"]) == ("reauth", "secret_unreadable")
    assert "resume it" in health(without, connection)["action"]
    assert ill["next_sync_at"] is not None, "it is tried again"
    again = restarted(secret_key=NEW_KEY, former_secret_keys=(OLD_KEY,))
    assert sync(again, connection)["health"] == "healthy"


def test_the_command_seals_anew_and_names_what_it_can_not_open(
    make_shop_api: Callable[..., Api],
    database: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lost = connect(make_shop_api(secret_key="lost-" + "k" * 40))
    connect(make_shop_api(secret_key=OLD_KEY), name="Kept")
    for name, value in {
        "SORTATION_SECRET_KEY": NEW_KEY,
        "SORTATION_FORMER_SECRET_KEYS": f"unused, {OLD_KEY}",
        "SORTATION_APP_DATABASE_URL": database.app,
        "SORTATION_SYSTEM_DATABASE_URL": database.system,
    }.items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    assert main(["secrets", "rotate"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("1 value is sealed anew.\n")
    assert "wait 1 hour for links" in out
    assert err.count("\n") == 1
    assert lost["id"] in err
    assert main(["secrets", "rotate"]) == 2
    assert capsys.readouterr().out.startswith("0 values are sealed anew.\n")
    monkeypatch.delenv("SORTATION_FORMER_SECRET_KEYS")
    assert main(["secrets", "rotate"]) == 2
    assert capsys.readouterr().out == "0 values are sealed anew.\n"


def test_a_file_connection_reads_with_its_secrets(
    api: Api, shop: Shop, host: TestHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.change(pulls=False)
    seen: list[Mapping[str, Any]] = []
    monkeypatch.setattr(shop, "read", lambda ctx, request: seen.append(ctx.config) or iter([Batch()]))
    connection = connect(api)
    for query in ("", "&dry_run=true"):
        answer = api.call("POST", f"/imports?connection_id={connection['id']}{query}", data=b"anything")
        assert answer.status_code in (200, 202), answer.text
    api.drain()
    assert seen == [{"account": "1", "api_key": SECRET}] * 2
