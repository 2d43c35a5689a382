"""Syncs have slots in a worker of all streams: one that finds none waits, and others are served."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any
from uuid import UUID

import psycopg
import pytest

from core.usecases.jobs import LONGEST_WAIT
from entrypoints.settings import load_settings
from entrypoints.worker.app import concurrency, sync_slots
from entrypoints.worker.runner import BUSY, run_job
from entrypoints.worker.slots import Slots
from tests.integration.api_support import Api
from tests.integration.sync_support import connect


@pytest.fixture
def api(make_shop_api: Callable[..., Api]) -> Api:
    return make_shop_api()


def _hold(slots: Slots, told: Connection) -> None:
    with slots.one() as free:
        told.send(free)
        time.sleep(600)


@contextmanager
def another(slots: Slots) -> Iterator[tuple[bool, multiprocessing.process.BaseProcess]]:
    """Another process, and whether it got a slot."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_hold, args=(slots, there))
    process.start()
    try:
        yield here.recv(), process
    finally:
        process.kill()
        process.join()


def the_job(api: Api, id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/jobs/{id}")
    return found


def test_a_slot_is_one_processs_until_it_ends() -> None:
    slots = Slots(2)
    with another(slots) as (first, process), another(slots) as (second, _):
        assert (first, second) == (True, True)
        with slots.one() as third:
            assert not third
        process.kill()
        process.join()
        with slots.one() as third, another(slots) as (fourth, _):
            assert (third, fourth) == (True, False)
        with another(slots) as (fourth, _):
            assert fourth


def test_a_sync_without_a_slot_is_put_off_and_costs_no_attempt(api: Api, superuser: psycopg.Connection[Any]) -> None:
    made = connect(api)
    job = api.call("POST", f"/connections/{made['id']}/sync").json
    slots = Slots(1)
    with another(slots):
        run_job(api.container, api.tenant_id, UUID(job["id"]), slots)
        waits = the_job(api, job["id"])
        assert (waits["status"], waits["attempts"], waits["last_error"]) == ("queued", 0, BUSY)
        assert waits["due_at"] > job["due_at"]
        applying = api.post("/rules/runs", {}, 202)
        run_job(api.container, api.tenant_id, UUID(applying["job_id"]), slots)
        assert the_job(api, applying["job_id"])["status"] == "done"
    superuser.execute("UPDATE jobs SET due_at = now() WHERE status = 'queued'")
    run_job(api.container, api.tenant_id, UUID(job["id"]), slots)
    assert (the_job(api, job["id"])["status"], the_job(api, job["id"])["last_error"]) == ("done", None)


def test_one_that_has_waited_for_long_asks_less_often(api: Api, superuser: psycopg.Connection[Any]) -> None:
    made = connect(api)
    job = api.call("POST", f"/connections/{made['id']}/sync").json
    superuser.execute("UPDATE jobs SET created_at = now() - interval '1 hour' WHERE id = %s", [job["id"]])
    slots = Slots(1)
    with another(slots):
        run_job(api.container, api.tenant_id, UUID(job["id"]), slots)
    [(wait,)] = superuser.execute("SELECT due_at - now() FROM jobs WHERE id = %s", [job["id"]]).fetchall()
    assert LONGEST_WAIT / 2 < wait <= LONGEST_WAIT


EVERYTHING = ("connections:sync", "records:process")


@pytest.mark.parametrize(
    ("streams", "concurrent", "processes", "kept_free"),
    [(EVERYTHING, 2, 2, True), (EVERYTHING, 1, 1, False), (("connections:sync",), 2, 5, False)],
)
def test_a_workers_last_process_is_kept_where_it_has_other_work(
    streams: tuple[str, ...], concurrent: int, processes: int, kept_free: bool
) -> None:
    settings = replace(load_settings({}), worker_streams=streams, worker_concurrency=concurrent, sync_concurrency=5)
    assert concurrency(settings) == processes
    slots = sync_slots(settings)
    assert (slots is not None) == kept_free
    if slots is not None:
        with another(slots) as (first, _), another(slots) as (second, _):
            assert (first, second) == (True, False)
