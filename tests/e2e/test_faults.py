"""Real processes are killed and restarted under load: every record is there once, decided, told of once each."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import redis

from tests.processes import kill
from tests.stack import Stack, running_stack

pytestmark = pytest.mark.slow
RECORDS = 20_000
MERCHANTS = ("REWE SAGT DANKE", "SHELL 4711", "NETFLIX.COM", "DB VERTRIEB GMBH", "SPOTIFY AB", "ZZQ KIOSK 12")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(
        tmp_path_factory.mktemp("faults"),
        SORTATION_EMBEDDINGS="off",
        SORTATION_WORKER_CONCURRENCY="2",
        SORTATION_LEASE_SECONDS="3",
        SORTATION_REPUBLISH_AFTER_SECONDS="2",
        SORTATION_JOB_BACKOFF_SECONDS="0.2",
        SORTATION_JOB_MAX_ATTEMPTS="10",
    ) as stack:
        yield stack


@pytest.fixture(autouse=True)
def tenant(stack: Stack) -> None:
    stack.new_tenant()


def statement(records: int = RECORDS) -> bytes:
    chance = random.Random(records)
    lines = ["Date;Description;Amount;Currency;Reference"]
    lines += [
        f"2026-0{1 + n % 6}-{1 + n % 28:02};{chance.choice(MERCHANTS)} {n};-{1 + n % 90}.{n % 100:02};EUR;R{n:06}"
        for n in range(records)
    ]
    return "\n".join(lines).encode()


def some_are_processed(stack: Stack) -> bool:
    [(n,)] = stack.query("SELECT count(*) FROM records WHERE status <> 'ingested'")
    return bool(n)


def assert_whole(stack: Stack, records: int = RECORDS) -> None:
    """Every record exactly once, decided, with one `INGESTED` and one `PROCESSED` event; no job open or dead."""
    stack.wait_until(stack.idle, seconds=180)
    [(total, distinct, undecided)] = stack.query(
        "SELECT count(*), count(DISTINCT external_id), "
        "count(*) FILTER (WHERE status NOT IN ('processed', 'needs_review')) FROM records"
    )
    assert (total, distinct, undecided) == (records, records, 0), stack.state()
    for type in ("INGESTED", "PROCESSED"):
        counted = stack.query("SELECT count(*), count(DISTINCT subject_id) FROM events WHERE type = %s", [type])
        assert counted == [(records, records)], type
    assert stack.query("SELECT id FROM jobs WHERE status <> 'done'") == []
    unsealed = "SELECT count(*) FROM event_batches WHERE last_seq IS NULL"
    stack.wait_until(lambda: stack.query(unsealed) == [(0,)])
    [(size, last)] = stack.query("SELECT sum(size), max(last_seq) FROM event_batches")
    assert size == last, "the sequence has no gaps"


def test_a_worker_killed_in_the_middle(stack: Stack) -> None:
    stack.upload(statement())
    stack.wait_until(lambda: some_are_processed(stack))
    assert kill(stack.processes("entrypoints.cli worker"))
    assert_whole(stack)


def test_a_worker_killed_again_and_again(stack: Stack) -> None:
    stack.upload(statement())
    for share in (0.1, 0.3, 0.6):
        enough = int(RECORDS * share)
        stack.wait_until(lambda enough=enough: stack.query("SELECT count(*) FROM records")[0][0] >= enough)
        stack.wait_until(lambda: bool(stack.processes("entrypoints.cli worker")))
        assert kill(stack.processes("entrypoints.cli worker"))
    assert_whole(stack)


def test_the_broker_forgets_everything(stack: Stack) -> None:
    broker = redis.Redis.from_url(stack.services()["broker_url"])
    stack.upload(statement())
    for _ in range(5):
        stack.wait_until(lambda: bool(broker.dbsize()) or stack.idle(), seconds=60)
        broker.flushall()
    assert_whole(stack)


def test_the_broker_restarts_under_load(stack: Stack) -> None:
    stack.upload(statement())
    stack.wait_until(lambda: some_are_processed(stack))
    assert kill(stack.processes("valkey-server"))
    assert_whole(stack)


def test_postgres_restarts_under_load(stack: Stack) -> None:
    stack.upload(statement())
    stack.wait_until(lambda: some_are_processed(stack))
    postmaster = int((stack.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    psutil.Process(postmaster).kill()
    assert_whole(stack)


def test_the_relay_killed_under_load(stack: Stack) -> None:
    stack.upload(statement())
    stack.wait_until(lambda: some_are_processed(stack))
    assert kill(stack.processes("entrypoints.cli relay"))
    assert_whole(stack)


def test_the_same_upload_three_times_and_twice_at_once(stack: Stack) -> None:
    payload = statement()
    first = stack.upload(payload, **{"Idempotency-Key": "the-first"})
    with ThreadPoolExecutor(2) as pool:
        twice = [pool.submit(stack.upload, payload, **{"Idempotency-Key": "the-second"}) for _ in range(2)]
    answers = [one.result() for one in twice]
    again = stack.upload(payload, **{"Idempotency-Key": "the-first"})
    assert again["id"] == first["id"]
    assert len({a["id"] for a in answers}) == 1
    stack.upload(payload)
    assert_whole(stack)
    assert stack.query("SELECT count(*) FROM imports") == [(3,)]


def test_a_job_that_keeps_failing_is_dead_and_succeeds_when_replayed(tmp_path: Path) -> None:
    """The plugin that reads the file is away, then comes back."""
    plugin = tmp_path / "plugins"
    example = Path(__file__).parents[2] / "examples" / "plugin-pipes"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "--target",
            str(plugin),
            str(example),
        ],
        check=True,
    )
    quick = {
        "SORTATION_EMBEDDINGS": "off",
        "SORTATION_JOB_MAX_ATTEMPTS": "3",
        "SORTATION_JOB_BACKOFF_SECONDS": "0.1",
        "PYTHONPATH": str(plugin),
    }
    data_dir = tmp_path / "data"
    with running_stack(data_dir, **quick) as stack:
        stack.new_tenant()
        tenant_id, key = stack.tenant_id, stack.key
        stack.wait_until(lambda: bool(stack.processes("entrypoints.cli worker")))
        assert kill(stack.processes("entrypoints.cli worker"))
        status, connection = stack.call(
            "POST", "/api/v1/connections", {"connector": "pipes", "name": "shop", "config": {}}
        )
        assert status == 201, connection
    with running_stack(data_dir, **quick, SORTATION_PLUGINS_BLOCK="pipes") as stack:
        stack.tenant_id, stack.key = tenant_id, key
        status, imported = stack.call(
            "POST",
            f"/api/v1/imports?filename=shop.pipes&connection_id={connection['id']}",
            b"2026-05-01|SPOTIFY AB|-9.99\n2026-05-02|NETFLIX.COM|-12.99\n",
        )
        assert status == 202, imported
        stack.wait_until(lambda: stack.call("GET", "/api/v1/jobs/dead")[1]["items"] != [])
        [dead] = stack.call("GET", "/api/v1/jobs/dead")[1]["items"]
        assert dead["attempts"] == 3
        assert "pipes" in dead["last_error"]
        assert stack.call("GET", f"/api/v1/imports/{imported['id']}")[1]["status"] == "failed"
    with running_stack(data_dir, **quick) as stack:
        stack.tenant_id, stack.key = tenant_id, key
        assert stack.call("POST", f"/api/v1/jobs/{dead['id']}/replay")[0] in (200, 202)
        assert_whole(stack, records=2)
        assert stack.call("GET", f"/api/v1/imports/{imported['id']}")[1]["status"] == "done"


def decisions(stack: Stack) -> list[tuple[object, ...]]:
    return stack.query(
        "SELECT id, status, category_id, stage, confidence, threshold, model_version, selection_probability,"
        " reasoning_trace, failure, tags, attributes, rule_id FROM records ORDER BY id"
    )


def run_counts(stack: Stack, run: str) -> dict[str, int]:
    status, told = stack.call("GET", f"/api/v1/rules/runs/{run}")
    assert status == 200, told
    return {"done": told["status"] in ("done", "undone"), **told["counts"]}


def test_workers_killed_in_the_middle_of_a_rule_run_and_of_its_undoing(stack: Stack) -> None:
    stack.upload(statement())
    stack.wait_until(stack.idle, seconds=300)
    before = decisions(stack)
    rule = {"name": "All", "when": "amount < 0", "then": {"category": "housing.rent"}, "stage": "pre", "priority": 1}
    status, made = stack.call("POST", "/api/v1/rules?confirm=true", rule)
    assert status == 201, made
    status, preview = stack.call("POST", "/api/v1/rules/preview", {"last": None})
    assert status == 200, preview
    assert preview["newly_decided"] + preview["changed"] == RECORDS
    status, run = stack.call("POST", "/api/v1/rules/runs", {"rule_ids": [made["id"]]})
    assert status == 202, run

    stack.wait_until(lambda: run_counts(stack, run["id"])["seen"] > 0)
    assert kill(stack.processes("entrypoints.cli worker"))
    stack.wait_until(lambda: run_counts(stack, run["id"])["done"], seconds=300)
    counts = run_counts(stack, run["id"])
    assert counts["seen"] == RECORDS
    assert {name: counts[name] for name in ("newly_decided", "changed")} == {
        name: preview[name] for name in ("newly_decided", "changed")
    }
    told = "SELECT count(*), count(DISTINCT subject_id) FROM events WHERE payload ->> 'run_id' = %s"
    assert stack.query(told + " AND type = 'PROCESSED'", [run["id"]]) == [(RECORDS, RECORDS)]

    assert stack.call("POST", f"/api/v1/rules/runs/{run['id']}/undo")[0] == 202
    stack.wait_until(lambda: run_counts(stack, run["id"])["restored"] > 0)
    assert kill(stack.processes("entrypoints.cli worker"))
    stack.wait_until(lambda: run_counts(stack, run["id"])["done"], seconds=300)
    counts = run_counts(stack, run["id"])
    assert (counts["restored"], counts["kept"]) == (RECORDS, 0)
    assert decisions(stack) == before
    assert stack.query(told + " AND type = 'UPDATED'", [run["id"]]) == [(RECORDS, RECORDS)]
