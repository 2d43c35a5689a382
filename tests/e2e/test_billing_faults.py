"""Eight workers bring in more than a plan holds, while they are killed: counted once each, never above the limit, and
all of the rest is there after the upgrade."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.processes import kill
from tests.stack import OPERATOR_KEY, Stack, running_stack

pytestmark = pytest.mark.slow
LIMIT = 100_000
FILES, OF_EACH, SHARED = 6, 24_000, 3_000
"""Each file has so many records, so many of which are the last of the one before."""
RECORDS = FILES * OF_EACH - (FILES - 1) * SHARED
KILLS = 12
MERCHANTS = ("REWE SAGT DANKE", "SHELL 4711", "NETFLIX.COM", "DB VERTRIEB GMBH", "SPOTIFY AB")
PLANS = [{"key": "small", "title": "Small", "limits": {"records": LIMIT}}, {"key": "large", "title": "Large"}]
WORKER = "entrypoints.cli worker"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(
        tmp_path_factory.mktemp("billing"),
        SORTATION_EMBEDDINGS="off",
        SORTATION_PLANS=json.dumps(PLANS),
        SORTATION_BASE_PLAN="small",
        SORTATION_WORKER_CONCURRENCY="8",
        SORTATION_LEASE_SECONDS="4",
        SORTATION_REPUBLISH_AFTER_SECONDS="2",
        SORTATION_JOB_BACKOFF_SECONDS="0.2",
        SORTATION_JOB_MAX_ATTEMPTS="50",
    ) as stack:
        yield stack


def statement(number: int) -> bytes:
    first = number * (OF_EACH - SHARED)
    lines = ["Date;Description;Amount;Currency;Reference"]
    lines += [
        f"2026-0{1 + n % 6}-{1 + n % 28:02};{MERCHANTS[n % len(MERCHANTS)]} {n};-{1 + n % 90}.{n % 100:02};EUR;R{n:06}"
        for n in range(first, first + OF_EACH)
    ]
    return "\n".join(lines).encode()


TAKEN_UP = "SELECT (SELECT used FROM usage_counters), count(*) FROM records WHERE status <> 'held'"
"""By one snapshot: who counts and who holds does both in one transaction."""


class Watch(threading.Thread):
    """Looks at the counter again and again, and at what it counts whenever it moved, beside all that happens."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self.stack, self.tenant_id, self.over = stack, stack.tenant_id, threading.Event()
        self.seen: list[int] = []
        self.compared: list[tuple[int, int]] = []
        self.start()

    def run(self) -> None:
        with psycopg.connect(self.stack.services()["app_database_url"], autocommit=True) as connection:
            connection.execute("SELECT set_config('app.tenant_id', %s, false)", [self.tenant_id])
            while not self.over.wait(0.05):
                seen = [row[0] for row in connection.execute("SELECT used FROM usage_counters")]
                if seen != self.seen[-1:]:
                    self.compared += connection.execute(TAKEN_UP).fetchall()
                self.seen += seen
            self.compared += connection.execute(TAKEN_UP).fetchall()

    def stop(self) -> None:
        """The counter never fell, and was at every moment as many as were not held."""
        self.over.set()
        self.join()
        assert self.seen == sorted(self.seen)
        assert [used for used, _ in self.compared] == [there for _, there in self.compared]


def kill_one(stack: Stack, chance: random.Random) -> bool:
    """Whichever of the workers: one of its processes, or the one that they are of."""
    found = stack.processes(WORKER)
    return bool(found) and kill([chance.choice(found)]) == 1


def so_many(stack: Stack, records: int) -> bool:
    return bool(stack.query("SELECT count(*) >= %s FROM records", [records])[0][0])


def counts(stack: Stack) -> tuple[int, int, int, int]:
    """Records, those of them that are held, those that are decided, and what was counted."""
    [found] = stack.query(
        "SELECT count(*), count(*) FILTER (WHERE status = 'held'),"
        " count(*) FILTER (WHERE status IN ('processed', 'needs_review')), (SELECT sum(used) FROM usage_counters)"
        " FROM records"
    )
    return tuple(map(int, found))  # type: ignore[return-value]


def test_workers_killed_at_the_limit_of_a_plan(stack: Stack, tmp_path: Path) -> None:
    chance = random.Random(20)
    stack.new_tenant()
    watch = Watch(stack)
    for number in range(FILES):
        stack.upload(statement(number), f"{tmp_path.name}-{number}.csv")
    killed = 0
    for share in range(1, KILLS + 1):
        enough = RECORDS * share // (KILLS + 2)
        stack.wait_until(partial(so_many, stack, enough), seconds=300)
        killed += kill_one(stack, chance)
    assert killed > KILLS // 2
    stack.wait_until(stack.idle, seconds=300)
    watch.stop()
    assert max(watch.seen) == LIMIT
    assert stack.query("SELECT max(attempts) > 1 FROM jobs WHERE stream = 'records:ingest'") == [(True,)]
    assert counts(stack) == (RECORDS, RECORDS - LIMIT, LIMIT, LIMIT), stack.state()
    assert stack.query("SELECT sum(inserted), sum(held) FROM imports") == [(RECORDS, RECORDS - LIMIT)]
    assert stack.query("SELECT count(*) FROM events WHERE type = 'USAGE_NOTICED'") == [(2,)]

    again = stack.upload(statement(FILES - 1), "again.csv")
    stack.wait_until(stack.idle, seconds=300)
    read = stack.call("GET", f"/api/v1/imports/{again['id']}")[1]
    assert (read["inserted"], read["known"], read["held"]) == (0, OF_EACH, 0)
    assert counts(stack) == (RECORDS, RECORDS - LIMIT, LIMIT, LIMIT), stack.state()

    watch = Watch(stack)
    given = {"plan": "large", "reason": "an upgrade", "until": None}
    status, answer = stack.call("PUT", f"/api/v1/tenants/{stack.tenant_id}/comp", given, key=OPERATOR_KEY)
    assert status == 200, answer
    stack.wait_until(lambda: stack.query("SELECT count(*) FROM records WHERE status = 'held'") != [(RECORDS - LIMIT,)])
    assert kill_one(stack, chance)
    stack.wait_until(lambda: counts(stack)[1] == 0 and stack.idle(), seconds=300)
    watch.stop()
    assert counts(stack) == (RECORDS, 0, RECORDS, RECORDS), stack.state()
    for type in ("INGESTED", "PROCESSED"):
        told = stack.query("SELECT count(*), count(DISTINCT subject_id) FROM events WHERE type = %s", [type])
        assert told == [(RECORDS, RECORDS)], type
    assert stack.query("SELECT id FROM jobs WHERE status <> 'done'") == []
