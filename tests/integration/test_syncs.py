"""Connections that are synced: over the API and real storage, from sources that do what sources do."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from adapters.postgres.jobs import PostgresJobs
from adapters.postgres.records import PostgresRecords
from core.domain.events import EventFilter
from core.domain.jobs import Job
from core.domain.plugins import Batch
from core.domain.records import Refusal
from core.errors import (
    ConfigInvalid,
    CursorInvalid,
    PermissionDenied,
    PluginBug,
    RateLimited,
    ReauthRequired,
    SchemaChanged,
    Transient,
)
from entrypoints.worker.runner import run_job
from ports.connectors import Context
from ports.storage import RecordFilter
from tests.integration.api_support import Api
from tests.integration.sync_support import SECRET, Shop, TestHost, connect, health, log, run_syncs, sync


@pytest.fixture
def api(make_shop_api: Callable[..., Api]) -> Api:
    return make_shop_api()


def external_ids(api: Api) -> Counter[str]:
    rows = api.container.list_records(api.actor, RecordFilter(), after=None, limit=1_000)
    return Counter(row["external_id"] for row in rows)


def all_of(shop: Shop) -> Counter[str]:
    return Counter(f"{name}-{n:05}" for name, items in shop.items.items() for n in range(1, items + 1))


def events(api: Api, *types: str) -> list[str]:
    api.container.seal_events()
    return [e.type for e in api.container.list_events(api.actor, EventFilter(types=types), after=0, limit=1_000)]


def make_due(superuser: psycopg.Connection[Any]) -> None:
    superuser.execute("UPDATE connections SET next_sync_at = now() WHERE next_sync_at IS NOT NULL")


def test_a_sync_stores_what_the_source_has_and_the_next_only_what_is_new(api: Api, shop: Shop) -> None:
    shop.items = {"charges": 25, "refunds": 3}
    connection = connect(api)
    assert connection["health"] == "healthy"
    assert connection["last_synced_at"] is None
    synced = sync(api, connection)
    assert external_ids(api) == all_of(shop)
    assert (synced["health"], synced["failures"], synced["next_sync_at"]) == ("healthy", 0, None)
    assert synced["last_synced_at"] is not None
    shop.items["charges"] = 28
    sync(api, connection)
    assert external_ids(api) == all_of(shop)
    assert shop.asked[2:] == [("charges", {"last": 25}), ("refunds", {"last": 3})]
    imports = api.get("/imports")["items"]
    assert [(i["filename"], i["status"], i["inserted"], i["known"]) for i in imports] == [
        ("", "done", 3, 0),
        ("", "done", 28, 0),
    ]
    sync(api, connection)
    assert len(api.get("/imports")["items"]) == 2, "one that stored nothing has no import"
    told = ("IMPORT_RECEIVED", "IMPORT_DONE")
    assert events(api, *told) == [*told, *told]
    [latest] = health(api, connection)["history"]
    assert (latest["health"], latest["code"]) == ("healthy", "ok")


def test_what_a_sync_brought_is_sorted_and_can_be_undone_and_read_anew(api: Api, shop: Shop) -> None:
    connection = connect(api)
    sync(api, connection)
    api.drain()
    assert {row["status"] for row in api.get("/records")["items"]} == {"needs_review"}
    [imported] = api.get("/imports")["items"]
    assert api.post(f"/imports/{imported['id']}/undo")["removed"] == 25
    sync(api, connection)
    assert not external_ids(api)
    sync(api, connection, "?anew=true")
    assert external_ids(api) == all_of(shop)
    sync(api, connection, "?anew=true")
    assert external_ids(api) == all_of(shop)


def test_only_chosen_streams_are_read(api: Api, shop: Shop) -> None:
    shop.items = {"charges": 5, "refunds": 5, "payouts": 5}
    sync(api, connect(api, streams=["payouts", "charges", "payouts"]))
    assert [stream for stream, _ in shop.asked] == ["payouts", "charges"]


@pytest.mark.parametrize("at", [1, 11, 21, 25])
def test_a_sync_cut_off_goes_on_at_the_stored_cursor(api: Api, shop: Shop, at: int) -> None:
    """Whatever ends the worker comes as no exception that it could note: the lease runs out, another takes over."""
    connection = connect(api)
    shop.faults["charges", at] = [KeyboardInterrupt()]
    job = api.post(f"/connections/{connection['id']}/sync", status=202)
    with pytest.raises(KeyboardInterrupt):
        run_job(api.container, api.tenant_id, UUID(job["id"]))
    stored = (at - 1) // shop.page * shop.page
    assert len(external_ids(api)) == stored
    with api.container.uow().begin(api.actor) as tx:
        cursors = tx.syncs.cursors(UUID(connection["id"]))
        assert [c.cursor for c in cursors.values()] == ([{"last": stored}] if stored else [])
    release(api, job["id"])
    run_syncs(api)
    assert external_ids(api) == all_of(shop)
    assert shop.asked[-1] == ("charges", {"last": stored} if stored else None)
    [imported] = api.get("/imports")["items"]
    assert (imported["status"], imported["inserted"]) == ("done", 25)


def release(api: Api, job_id: str) -> None:
    """What the reaper does with the job of a lost worker."""
    with api.container.system_engine().connect() as connection:
        connection.exec_driver_sql("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE status = 'running'")
        connection.commit()
    api.container.reap_jobs()


def test_a_worker_that_lost_its_lease_stores_nothing_more(api: Api, shop: Shop) -> None:
    connection = connect(api)
    job = api.post(f"/connections/{connection['id']}/sync", status=202)

    def lose(ctx: Context, stream: str, n: int) -> None:
        if n == 11:
            release(api, job["id"])

    shop.before = lose
    run_job(api.container, api.tenant_id, UUID(job["id"]))
    assert len(external_ids(api)) == 10
    shop.before = lambda ctx, stream, n: None
    run_syncs(api)
    assert external_ids(api) == all_of(shop)


def test_after_its_share_the_rest_is_the_next_jobs(make_shop_api: Callable[..., Api], shop: Shop) -> None:
    shop.items = {"charges": 35, "refunds": 5}
    api = make_shop_api(sync_records=20)
    connection = connect(api)
    api.post(f"/connections/{connection['id']}/sync", status=202)
    assert run_syncs(api) == 3
    assert external_ids(api) == all_of(shop)
    assert shop.asked == [("charges", None), ("refunds", None), ("charges", {"last": 20}), ("charges", {"last": 35})]


def test_a_time_budget_ends_a_run_and_the_rest_follows(make_shop_api: Callable[..., Api], shop: Shop) -> None:
    api = make_shop_api(sync_seconds=0.000_001)
    connection = connect(api)
    api.post(f"/connections/{connection['id']}/sync", status=202)
    assert run_syncs(api) == 4
    assert external_ids(api) == all_of(shop)


def test_a_source_without_cursors_is_not_read_round_and_round(make_shop_api: Callable[..., Api], shop: Shop) -> None:
    shop.without_cursor = True
    api = make_shop_api(sync_records=20)
    connection = connect(api)
    sync(api, connection)
    assert health(api, connection)["code"] == "plugin_bug"
    assert len(external_ids(api)) == 20


def test_one_sync_at_a_time(api: Api) -> None:
    connection = connect(api)
    job = api.post(f"/connections/{connection['id']}/sync", status=202)
    refused = api.post(f"/connections/{connection['id']}/sync", status=409)
    assert refused["code"] == "conflict"
    assert api.call("DELETE", f"/connections/{connection['id']}").status_code == 409
    run_syncs(api)
    assert api.get(f"/jobs/{job['id']}")["status"] == "done"
    api.post(f"/connections/{connection['id']}/sync", status=202)


def test_a_connection_that_was_never_synced_can_be_deleted(api: Api) -> None:
    connection = connect(api)
    assert api.call("DELETE", f"/connections/{connection['id']}").status_code == 204
    api.get(f"/connections/{connection['id']}/log", 404)


def test_a_cursor_that_the_source_forgot_is_forgotten(api: Api, shop: Shop) -> None:
    connection = connect(api)
    sync(api, connection)
    shop.items["charges"] = 30
    shop.faults["charges", 26] = [CursorInvalid()]
    assert sync(api, connection)["health"] == "healthy"
    assert external_ids(api) == all_of(shop)
    assert shop.asked[-2:] == [("charges", {"last": 25}), ("charges", None)]
    shop.faults["charges", 1] = [CursorInvalid(), CursorInvalid()]
    sync(api, connection, "?anew=true")
    assert health(api, connection)["code"] == "plugin_bug"


@pytest.mark.parametrize(("migrated", "asked"), [({"last": 20}, {"last": 20}), (None, None)])
def test_a_cursor_of_an_older_form_is_migrated(
    api: Api, shop: Shop, host: TestHost, monkeypatch: pytest.MonkeyPatch, migrated: Any, asked: Any
) -> None:
    connection = connect(api)
    sync(api, connection)
    host.change(state_version=3)
    seen = []
    monkeypatch.setattr(shop, "migrate_state", lambda cursor, version: seen.append((cursor, version)) or migrated)
    sync(api, connection)
    assert seen == [({"last": 25}, 1)]
    assert shop.asked[-1] == ("charges", asked)
    sync(api, connection)
    assert len(seen) == 1
    assert external_ids(api) == all_of(shop)


@pytest.mark.parametrize(
    ("error", "code", "state", "soonest", "latest"),
    [
        (Transient("away"), "transient", "degraded", 30, 60),
        (RateLimited("wait", retry_after=500), "rate_limited", "degraded", 500, 500),
        (RateLimited("wait"), "rate_limited", "degraded", 30, 60),
        (ConfigInvalid("no such account"), "config_invalid", "degraded", 450, 900),
        (PermissionDenied("no"), "permission_denied", "degraded", 450, 900),
        (SchemaChanged("no field id"), "schema_changed", "degraded", 450, 900),
        (ReauthRequired("expired"), "reauth_required", "reauth", None, None),
        (RuntimeError("boom"), "plugin_bug", "degraded", 450, 900),
        (SystemExit(1), "plugin_bug", "degraded", 450, 900),
    ],
)
def test_what_goes_wrong_at_the_source_is_told_by_the_health(
    api: Api, shop: Shop, error: BaseException, code: str, state: str, soonest: int | None, latest: int | None
) -> None:
    connection = connect(api)
    shop.faults["charges", 15] = [error]
    ill = sync(api, connection)
    at = datetime.now(UTC)
    told = health(api, connection)
    assert (told["health"], told["code"], told["failures"]) == (state, code, 1)
    assert told["action"]
    if soonest is None:
        assert ill["next_sync_at"] is None
    else:
        wait = (datetime.fromisoformat(ill["next_sync_at"]) - at).total_seconds()
        assert soonest - 10 < wait <= (latest or 0)
    assert events(api, "CONNECTION_DEGRADED", "CONNECTION_REAUTH") == [f"CONNECTION_{state.upper()}"]
    assert len(external_ids(api)) == 10, "what came before is kept"
    [imported] = api.get("/imports")["items"]
    assert (imported["status"], bool(imported["failure"])) == ("done", True)
    [job] = api.get("/jobs?stream=connections:sync")["items"]
    assert job["status"] == "done"

    shop.faults["charges", 15] = []
    assert sync(api, connection)["health"] == "healthy"
    assert external_ids(api) == all_of(shop)
    assert events(api, "CONNECTION_HEALTHY") == ["CONNECTION_HEALTHY"]
    assert [entry["health"] for entry in health(api, connection)["history"]] == ["healthy", state]


def test_the_traceback_of_what_failed_in_a_child_is_in_the_log_without_secrets(api: Api, shop: Shop) -> None:
    connection = connect(api)
    trace = f"Traceback (most recent call last):\n  ask({SECRET!r})\nLookupError: no such luck"
    shop.faults["charges", 15] = [PluginBug("LookupError: no such luck", trace=trace)]
    assert sync(api, connection)["health"] == "degraded"
    assert health(api, connection)["message"] == "LookupError: no such luck"
    [logged] = [
        line for line in api.get(f"/connections/{connection['id']}/log")["items"] if "Traceback" in line["text"]
    ]
    assert "LookupError: no such luck" in logged["text"]
    assert SECRET not in logged["text"]


def test_after_ten_failures_in_a_row_a_person_must_resume(
    api: Api, shop: Shop, superuser: psycopg.Connection[Any]
) -> None:
    connection = connect(api, schedule_seconds=3600)
    shop.faults["charges", 1] = [Transient("away") for _ in range(20)]
    for failures in range(1, 10):
        make_due(superuser)
        assert api.container.queue_syncs() == 1
        run_syncs(api)
        told = health(api, connection)
        assert (told["health"], told["failures"]) == ("degraded", failures)
    make_due(superuser)
    api.container.queue_syncs()
    run_syncs(api)
    told = health(api, connection)
    assert (told["health"], told["failures"], told["next_sync_at"]) == ("paused", 10, None)
    assert "resume" in told["action"]
    assert len(told["history"]) == 2
    assert events(api, "CONNECTION_DEGRADED", "CONNECTION_PAUSED") == ["CONNECTION_DEGRADED", "CONNECTION_PAUSED"]
    make_due(superuser)
    assert api.container.queue_syncs() == 0

    shop.faults.clear()
    resumed = api.post(f"/connections/{connection['id']}/resume")
    assert (resumed["health"], resumed["failures"]) == ("healthy", 0)
    assert api.container.queue_syncs() == 1
    run_syncs(api)
    assert external_ids(api) == all_of(shop)


def test_a_schedule_goes_on_by_itself(api: Api, shop: Shop, superuser: psycopg.Connection[Any]) -> None:
    connection = connect(api, schedule_seconds=60)
    assert api.container.queue_syncs() == 1, "first at once"
    assert api.container.queue_syncs() == 0
    run_syncs(api)
    next_at = datetime.fromisoformat(api.get(f"/connections/{connection['id']}")["next_sync_at"])
    assert timedelta(seconds=30) < next_at - datetime.now(UTC) <= timedelta(seconds=60)
    shop.items["charges"] = 26
    make_due(superuser)
    assert api.container.queue_syncs() == 1
    run_syncs(api)
    assert external_ids(api) == all_of(shop)


def test_a_missing_plugin_leaves_the_data_whole_and_comes_back_by_itself(
    api: Api, shop: Shop, host: TestHost, superuser: psycopg.Connection[Any]
) -> None:
    connection = connect(api)
    sync(api, connection)
    taken = host.manifests.pop("shop")
    for _ in range(12):
        missing = sync(api, connection)
        assert (missing["health"], missing["failures"]) == ("plugin_missing", 0)
    assert external_ids(api) == all_of(shop)
    assert api.post(f"/connections/{connection['id']}/check")["code"] == "plugin_unavailable"
    assert api.call("PATCH", f"/connections/{connection['id']}", {"name": "Renamed"}).status_code == 200
    assert len(health(api, connection)["history"]) == 2
    host.manifests["shop"] = taken
    shop.items["charges"] = 27
    make_due(superuser)
    assert api.container.queue_syncs() == 1
    run_syncs(api)
    assert api.get(f"/connections/{connection['id']}")["health"] == "healthy"
    assert external_ids(api) == all_of(shop)


def test_a_sync_that_brings_nothing_at_all_is_told(api: Api, shop: Shop) -> None:
    shop.items = {"charges": 0}
    connection = connect(api)
    assert api.post(f"/connections/{connection['id']}/check")["ok"] is True
    assert sync(api, connection)["health"] == "degraded"
    assert health(api, connection)["code"] == "empty"
    shop.items = {"charges": 1}
    assert sync(api, connection)["health"] == "healthy"
    assert sync(api, connection)["health"] == "healthy", "nothing new is nothing odd"


def test_a_sync_whose_records_are_all_refused_is_told(api: Api, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Batch(refusals=(Refusal(position=1, reason=f"bad {SECRET}"),), cursor={"last": 1})
    monkeypatch.setattr(shop, "read", lambda ctx, request: iter([refused]))
    connection = connect(api)
    sync(api, connection)
    told = health(api, connection)
    assert (told["health"], told["code"]) == ("degraded", "refused")
    assert "bad •••" in told["message"]
    assert any("item 1 is refused: bad •••" in line["text"] for line in log(api, connection))


@pytest.mark.parametrize("garbage", ["text", {"last": float("nan")}, {"last": "\x00"}, {"x": "y" * 100_000}, {1, 2}])
def test_a_cursor_that_is_no_json_is_the_plugins_bug(
    api: Api, shop: Shop, monkeypatch: pytest.MonkeyPatch, garbage: Any
) -> None:
    monkeypatch.setattr(shop, "read", lambda ctx, request: iter([Batch(cursor=garbage)]))
    connection = connect(api)
    sync(api, connection)
    assert health(api, connection)["code"] == "plugin_bug"


@pytest.mark.parametrize(
    "garbage",
    ["text", {"drafts": ()}, Batch(drafts=("text",)), Batch(refusals=("text",)), Batch(drafts=None)],  # type: ignore[arg-type]
)
def test_what_is_no_batch_is_the_plugins_bug(
    api: Api, shop: Shop, monkeypatch: pytest.MonkeyPatch, garbage: Any
) -> None:
    monkeypatch.setattr(shop, "read", lambda ctx, request: iter([garbage]))
    connection = connect(api)
    sync(api, connection)
    assert health(api, connection)["code"] == "plugin_bug"


def test_a_batch_of_any_size_is_stored_with_its_cursor_at_its_end(
    api: Api, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.page = 25
    monkeypatch.setattr("core.usecases.sync.BATCH", 10)
    seen = []
    hold = PostgresJobs.hold

    def watched(jobs: PostgresJobs, job: Job, progress: Any = None) -> None:
        seen.append((len(external_ids(api)), progress is not None))
        hold(jobs, job, progress)

    monkeypatch.setattr(PostgresJobs, "hold", watched)
    sync(api, connect(api))
    assert seen == [(0, False), (10, False), (20, False), (20, True)]
    assert external_ids(api) == all_of(shop)


def test_one_record_that_the_storage_can_not_take_is_refused_alone(
    api: Api, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is the last of its batch, which the cursor comes with."""
    shop.items = {"charges": 10}
    store = PostgresRecords.store

    def refuse(records: PostgresRecords, rows: Any, **options: Any) -> Any:
        if any(draft.external_id == "charges-00010" for _, draft, _ in rows):
            raise ValueError("no place for this")
        return store(records, rows, **options)

    monkeypatch.setattr(PostgresRecords, "store", refuse)
    connection = connect(api)
    assert sync(api, connection)["health"] == "healthy"
    assert len(external_ids(api)) == 9
    [imported] = api.get("/imports")["items"]
    assert (imported["inserted"], imported["refused"]) == (9, 1)
    with api.container.uow().begin(api.actor) as tx:
        assert tx.syncs.cursors(UUID(connection["id"]))["charges"].cursor == {"last": 10}


def test_a_changed_configuration_is_given_a_fresh_chance(api: Api, shop: Shop) -> None:
    connection = connect(api)
    shop.faults["charges", 1] = [ReauthRequired("expired")]
    assert sync(api, connection)["health"] == "reauth"
    changed = api.call("PATCH", f"/connections/{connection['id']}", {"config": {"api_key": "another-key"}})
    assert (changed.json["health"], changed.json["failures"]) == ("healthy", 0)
    sync(api, connection)
    assert external_ids(api) == all_of(shop)
    assert shop.contexts[-1].config == {"api_key": "another-key"}


def test_what_a_sync_meant_for_the_former_configuration_is_not_noted_of_the_new(api: Api, shop: Shop) -> None:
    connection = connect(api)
    path = f"/connections/{connection['id']}"

    def change(ctx: Context, stream: str, n: int) -> None:
        if stream == "charges":
            assert api.call("PATCH", path, {"config": {"api_key": "another-key"}}).status_code == 200

    shop.before = change
    shop.faults["charges", 1] = [ReauthRequired("expired")]
    assert sync(api, connection)["health"] == "healthy"


def test_what_a_connector_logs_is_the_connections(api: Api, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    def say(ctx: Context, stream: str, n: int) -> None:
        ctx.log.info("page from %d with %s", n, ctx.config["api_key"])
        ctx.log.debug("not kept")
        ctx.log.warning("x" * 5_000)
        ctx.log.info("%d", "no number")

    shop.before = say
    connection = connect(api)
    with caplog.at_level(logging.DEBUG):
        sync(api, connection)
    lines = log(api, connection)
    texts = [line["text"] for line in reversed(lines)]
    assert texts[0].startswith("page from 0")
    assert "page from 11 with •••" in texts
    assert texts[-1] == "25 new, 0 known, 0 refused"
    assert max(map(len, texts)) <= 1_000
    assert "a line that could not be put together" in texts
    assert not any("not kept" in text for text in texts)
    assert not any("page from" in record.getMessage() for record in caplog.records)
    first = api.get(f"/connections/{connection['id']}/log?limit=2")
    second = api.get(f"/connections/{connection['id']}/log?limit=2&before={first['next']}")
    assert [line["id"] for line in (*first["items"], *second["items"])] == [line["id"] for line in lines[:4]]


def test_syncs_are_measured(api: Api, shop: Shop) -> None:
    connection = connect(api)
    sync(api, connection)
    shop.items["charges"] = 30
    shop.faults["charges", 26] = [Transient("away")]
    sync(api, connection)
    text = api.call("GET", "//metrics").text
    assert 'sortation_connections{connector="shop",health="degraded"} 1.0' in text
    assert 'sortation_syncs_total{connector="shop",outcome="done"} 1.0' in text
    assert 'sortation_syncs_total{connector="shop",outcome="transient"} 1.0' in text
    assert 'sortation_records_stored_total{connector="shop"} 25.0' in text


def test_a_sync_whose_worker_is_lost_each_time_degrades_its_connection(
    make_shop_api: Callable[..., Api], shop: Shop
) -> None:
    api = make_shop_api(job_max_attempts=2)
    connection = connect(api)
    shop.faults["charges", 11] = [KeyboardInterrupt(), KeyboardInterrupt()]
    job = api.post(f"/connections/{connection['id']}/sync", status=202)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_job(api.container, api.tenant_id, UUID(job["id"]))
        release(api, job["id"])
    run_job(api.container, api.tenant_id, UUID(job["id"]))
    assert api.get(f"/jobs/{job['id']}")["status"] == "dead"
    told = health(api, connection)
    assert (told["health"], told["code"]) == ("degraded", "job_dead")
    assert api.get("/imports")["items"][0]["status"] == "failed"
    sync(api, connection)
    assert external_ids(api) == all_of(shop)


def test_a_sync_that_dies_brings_a_disabled_connection_no_life(make_shop_api: Callable[..., Api], shop: Shop) -> None:
    api = make_shop_api(job_max_attempts=1)
    connection = connect(api, schedule_seconds=60)
    shop.faults["charges", 11] = [KeyboardInterrupt()]
    job = api.post(f"/connections/{connection['id']}/sync", status=202)
    with pytest.raises(KeyboardInterrupt):
        run_job(api.container, api.tenant_id, UUID(job["id"]))
    api.post(f"/connections/{connection['id']}/disable")
    release(api, job["id"])
    run_job(api.container, api.tenant_id, UUID(job["id"]))
    assert api.get(f"/jobs/{job['id']}")["status"] == "dead"
    assert health(api, connection)["code"] == "disabled"
    assert api.get(f"/connections/{connection['id']}")["next_sync_at"] is None


@pytest.mark.parametrize(("declared", "says"), [(False, "Update the plugin"), (True, "the configuration says")])
def test_who_mends_what_a_source_changed(api: Api, shop: Shop, host: TestHost, declared: bool, says: str) -> None:
    host.change(declared=declared)
    shop.faults = {("charges", 1): [SchemaChanged("no field `id`")]}
    connection = connect(api)
    assert sync(api, connection)["health"] == "degraded"
    assert says in health(api, connection)["action"]
