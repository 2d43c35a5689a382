"""Records beyond what a plan holds, over PostgreSQL: held and counted once, whatever breaks, meets or is undone, and
there again as soon as there is room."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest

from adapters.postgres.records import PostgresRecords
from core.domain.jobs import Job, JobStatus, Stream
from core.domain.llm_spending import month_of
from core.domain.plans import Catalog, Meter, catalog_from
from core.usecases import resume
from core.usecases.shared import admitting
from entrypoints.container import Container
from entrypoints.worker.runner import run_job
from tests.integration.api_support import HEADER, LEASE_RUNS_OUT, Api
from tests.integration.billing_support import billed, bring_in, give, told
from tests.integration.test_transactions_that_meet import until_waiting

PLANS: Catalog = catalog_from(
    [
        {"key": "free", "title": "Free", "limits": {"records": 20, "llm_spend": "0.0001"}},
        {"key": "team", "title": "Team", "limits": {"records": {"soft": 40, "hard": 50}, "llm_spend": 5}},
        {"key": "bare", "title": "Bare", "features": []},
        {"key": "business", "title": "Business"},
    ]
)
Make = Callable[..., Container]


@pytest.fixture
def api(make_container: Make) -> Api:
    return billed(make_container, plans=PLANS, job_backoff_seconds=0.01)


def statuses(api: Api) -> dict[str, int]:
    """How many records there are, by status; decided ones are `sorted`."""
    counts: dict[str, int] = {}
    for record in api.get("/records?limit=500")["items"]:
        status = "sorted" if record["status"] in ("processed", "needs_review") else record["status"]
        counts[status] = counts.get(status, 0) + 1
    return counts


def used(api: Api) -> int:
    month = month_of(api.container.clock().now())
    with api.container.uow().begin(api.actor) as tx:
        return sum(count for meter, of, count in tx.usages.since(month) if (meter, of) == (Meter.RECORDS, month))


def give_alone(api: Api, plan: str | None) -> None:
    """The operator gives a plan, or takes it back; nothing else is done."""
    api.container.comp_plan(api.actor, plan=plan, until=None, reason="a test")


def held_ids(api: Api) -> list[str]:
    return [record["id"] for record in api.get("/records?status=held&limit=500")["items"]]


def queued(api: Api, stream: Stream) -> list[Job]:
    waiting = [JobStatus.QUEUED.value, JobStatus.PUBLISHED.value]
    return list(api.container.list_jobs(api.actor, stream=stream, statuses=waiting, limit=100))


def assert_counted_once(api: Api, records: int, limit: int) -> None:
    """All are there; as many are sorted as are counted, each once, and the rest is held."""
    rest = {"held": records - limit} if records > limit else {}
    assert statuses(api) == {"sorted": min(records, limit)} | rest
    assert used(api) == min(records, limit)
    processed = [event["subject_id"] for event in api.get("/events?type=PROCESSED&limit=500")["items"]]
    assert len(processed) == len(set(processed)) == min(records, limit)


def test_what_the_plan_holds_is_sorted_and_the_rest_is_held(api: Api) -> None:
    imported = bring_in(api, 50)
    assert (imported["inserted"], imported["held"], imported["refused"], imported["known"]) == (50, 30, 0, 0)
    assert_counted_once(api, 50, 20)
    assert [event["payload"]["records"] for event in told(api, "RECORDS_HELD")] == [30]
    first = [record["id"] for record in api.get("/records?limit=500")["items"]]
    assert set(held_ids(api)) == set(sorted(first)[20:]), "the first in the file come first"


def test_what_is_read_again_adds_nothing_and_counts_nothing(api: Api) -> None:
    bring_in(api, 50)
    again = bring_in(api, 50)
    assert (again["inserted"], again["known"], again["held"]) == (0, 50, 0)
    overlapping = bring_in(api, 30, first=40)
    assert (overlapping["inserted"], overlapping["known"], overlapping["held"]) == (20, 10, 20)
    assert_counted_once(api, 70, 20)
    give(api, "team")
    bring_in(api, 70)
    assert_counted_once(api, 70, 50)


def test_what_came_in_as_approved_is_neither_counted_nor_held(api: Api) -> None:
    rows = "".join(f"2026-03-01;Shop {n};-1.50;EUR;Food\n" for n in range(30))
    payload = HEADER.replace("\n", ";Category\n") + rows
    answer = api.call("POST", "/imports?filename=a.csv&approved=true", data=payload.encode())
    assert answer.status_code == 202, answer.text
    api.drain()
    assert (statuses(api), used(api)) == ({"approved": 30}, 0)


class Killed(BaseException):
    """What no code of ours catches."""


@pytest.fixture
def brittle(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The storage takes no batch with a certain draft. Sizes of the batches that it was given; with a negative number
    put in first, the process ends at the batch of that place."""
    store, calls, killed_at = PostgresRecords.store, list[int](), list[int]()

    def brittle(self: PostgresRecords, drafts: Any, **rest: Any) -> Any:
        if calls and calls[0] < 0:
            killed_at.append(-calls.pop(0))
        calls.append(len(drafts))
        if killed_at and len(calls) == killed_at[0]:
            killed_at.clear()
            raise Killed
        if any("number 13" in draft.text for _, draft, _ in drafts):
            raise ValueError("no place for this")
        return store(self, drafts, **rest)

    monkeypatch.setattr(PostgresRecords, "store", brittle)
    return calls


def test_a_row_that_halves_its_batch_is_counted_by_nobody(api: Api, brittle: list[int]) -> None:
    imported = bring_in(api, 50)
    assert len(brittle) > 5
    assert (imported["inserted"], imported["refused"], imported["held"]) == (49, 1, 29)
    assert_counted_once(api, 49, 20)


def test_a_kill_between_the_halves_counts_nothing_twice(
    api: Api, brittle: list[int], superuser: psycopg.Connection
) -> None:
    brittle.append(-4)  # after the first half of the half
    with pytest.raises(Killed):
        bring_in(api, 50)
    assert 0 < used(api) < 20
    superuser.execute(LEASE_RUNS_OUT, [api.tenant_id])
    assert api.container.reap_jobs() == 1
    api.drain()
    (imported,) = api.get("/imports")["items"]
    assert (imported["status"], imported["inserted"] + imported["known"], imported["refused"]) == ("done", 49, 1)
    assert_counted_once(api, 49, 20)


def test_a_plan_that_changes_while_records_come_in_leaves_none_of_them_held(
    api: Api, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    """Who counts at the same time is waited for; when it is our turn the tenant has another plan, which found nothing
    held that it could have taken up."""
    month = month_of(api.container.clock().now())
    api.call("POST", "/imports?filename=a.csv", data=(HEADER + "2026-03-01;Shop;-1.50;EUR\n" * 30).encode())
    (job,) = queued(api, Stream.INGEST)
    with api.container.uow().begin(api.actor) as tx:
        tx.usages.take(Meter.RECORDS, month, 0, None)
        reading = meanwhile.submit(run_job, api.container, api.tenant_id, job.id)
        until_waiting(superuser, reading)
        give_alone(api, "business")
        tx.commit()
    reading.result(30)
    api.drain()
    assert_counted_once(api, 30, 30)


@pytest.mark.parametrize("records", [50, *(pytest.param(n, marks=pytest.mark.slow) for n in (60, 70))])
def test_two_workers_that_resume_at_once_take_up_each_record_once(
    api: Api, monkeypatch: pytest.MonkeyPatch, records: int
) -> None:
    bring_in(api, records)
    monkeypatch.setattr(resume, "AT_ONCE", 7)
    monkeypatch.setattr(admitting, "CHUNK", 5)
    for plan in ("team", "free", "team"):
        give_alone(api, plan)
    jobs = queued(api, Stream.RESUME)
    assert len(jobs) == 3
    begin = Barrier(3)

    def work(job: Job) -> None:
        begin.wait()
        run_job(api.container, api.tenant_id, job.id)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, jobs))
    api.drain()
    assert_counted_once(api, records, 50)
    with api.container.uow().begin(api.actor) as tx:
        assert (tx.billing.get().resumes_at is None) is (records == 50)
    resumed = sum(event["payload"]["records"] for event in told(api, "RECORDS_RESUMED"))
    assert resumed == 30


def test_a_worker_that_resumes_and_is_lost_leaves_the_rest_to_the_next(
    api: Api, monkeypatch: pytest.MonkeyPatch, superuser: psycopg.Connection
) -> None:
    bring_in(api, 50)
    monkeypatch.setattr(resume, "AT_ONCE", 7)
    some, calls = resume._some, list[int]()

    def lost(*arguments: Any, **named: Any) -> bool:
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        return some(*arguments, **named)

    monkeypatch.setattr(resume, "_some", lost)
    give_alone(api, "business")
    (job,) = queued(api, Stream.RESUME)
    with pytest.raises(Killed):
        run_job(api.container, api.tenant_id, job.id)
    assert (len(held_ids(api)), used(api)) == (16, 34)
    superuser.execute(LEASE_RUNS_OUT, [api.tenant_id])
    api.container.reap_jobs()
    api.drain()
    assert_counted_once(api, 50, 50)


def test_an_import_with_held_records_is_undone_whole_and_gives_nothing_back(api: Api) -> None:
    imported = bring_in(api, 50)
    undone = api.post(f"/imports/{imported['id']}/undo")
    assert (undone["removed"], undone["kept"]) == (50, 0)
    assert (statuses(api), used(api)) == ({}, 20)
    give(api, "team")
    assert (statuses(api), used(api)) == ({}, 20), "nothing waits any more"
    assert bring_in(api, 50)["held"] == 20


def test_held_records_that_are_deleted_or_sorted_by_hand_are_not_taken_up(api: Api) -> None:
    bring_in(api, 25)
    first, second = held_ids(api)[:2]
    assert api.call("DELETE", f"/records/{first}").status_code == 204
    food = api.category("food")
    assert api.call("PATCH", f"/records/{second}", {"category_id": food}).status_code == 200
    assert statuses(api) == {"sorted": 20, "overridden": 1, "held": 3}
    give(api, "business")
    assert statuses(api) == {"sorted": 23, "overridden": 1}
    assert used(api) == 23


def test_a_rule_that_is_run_over_everything_sorts_nothing_that_is_held(api: Api) -> None:
    bring_in(api, 30)
    when = {"field": "text", "op": "contains", "value": "shop"}
    rule = {"name": "All", "when": when, "then": {"category": api.category("food")}}
    api.post("/rules?confirm=true", rule, 201)
    api.post("/rules/runs", {}, 202)
    api.drain()
    assert (statuses(api), used(api)) == ({"sorted": 20, "held": 10}, 20)
