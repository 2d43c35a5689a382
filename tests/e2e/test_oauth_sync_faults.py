"""A source that ends tokens, answers 429 and 503 and ties its records at every cursor, read by workers that are killed:
the union of records is whole, none is there twice, at no moment is a cursor ahead of what is stored, and no refresh
token is used a second time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import psutil
import pytest

from tests.processes import kill
from tests.stack import Stack, running_stack
from tests.stubs.ledger_server import PAGE, STREAM, Ledger, moment
from tests.stubs.oauth_server import CLIENT_ID, CLIENT_SECRET, OAuthServer

pytestmark = pytest.mark.slow
PAGES = 5
LOOK = """
SELECT (SELECT cursor FROM stream_cursors), ARRAY(SELECT external_id FROM records ORDER BY external_id)
"""
"""One statement, so that both are of the same moment."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(
        tmp_path_factory.mktemp("oauth-sync-faults"),
        SORTATION_EMBEDDINGS="off",
        SORTATION_WORKER_CONCURRENCY="2",
        SORTATION_LEASE_SECONDS="4",
        SORTATION_REPUBLISH_AFTER_SECONDS="2",
        SORTATION_JOB_MAX_ATTEMPTS="20",
        SORTATION_HTTP_ALLOW="127.0.0.1",
    ) as stack:
        yield stack


@pytest.fixture
def provider() -> Iterator[OAuthServer]:
    with OAuthServer() as provider:
        yield provider


@pytest.fixture
def ledger(stack: Stack, provider: OAuthServer) -> Iterator[Ledger]:
    stack.new_tenant()
    ledger = Ledger(provider=provider, size=PAGES * PAGE)
    with ledger.server:
        yield ledger


def connect(stack: Stack, ledger: Ledger, provider: OAuthServer) -> str:
    config = {
        "base_url": ledger.server.url,
        "authorize_url": f"{provider.url}/authorize",
        "token_url": f"{provider.url}/token",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "scope": "",
        "streams": [STREAM],
    }
    body = {"connector": "rest-oauth2", "name": "ledger", "config": config}
    status, made = stack.call("POST", "/api/v1/connections", body)
    assert status == 201, made
    sign_in(stack, provider, made["id"])
    return str(made["id"])


def sign_in(stack: Stack, provider: OAuthServer, connection: str) -> None:
    status, started = stack.call("POST", f"/api/v1/connections/{connection}/oauth/start")
    assert status == 200, started
    query = provider.sign_in(started["url"])
    page = httpx2.get(f"{stack.url}/api/v1/oauth/callback", params=query, trust_env=False, timeout=30)
    assert page.status_code == 200, page.text


def sync(stack: Stack, connection: str) -> None:
    status, job = stack.call("POST", f"/api/v1/connections/{connection}/sync")
    assert status == 202, job


def kill_workers(stack: Stack) -> None:
    assert kill(stack.processes("entrypoints.cli worker"))


def ids(count: int) -> list[str]:
    return [f"{n:05}" for n in range(count)]


def look(stack: Stack, ledger: Ledger) -> int:
    """How many records are stored; raises where the cursor is ahead of them."""
    [(cursor, stored)] = stack.query(LOOK)
    assert len(set(stored)) == len(stored)
    if cursor is not None:
        since = cursor.get("since")
        promised = int(cursor.get("at", 0))
        if since is not None:  # what is older than the mark, less the overlap, is never asked for again
            promised = max(promised, sum(moment(n).timestamp() < float(since) for n in range(ledger.size)))
        assert set(ids(promised)) <= set(stored), f"{json.dumps(cursor)} is ahead of {len(stored)} records"
    return len(stored)


@contextmanager
def looking(stack: Stack, ledger: Ledger) -> Iterator[None]:
    """Looks as often as it can meanwhile."""
    done, faults, looks = threading.Event(), list[BaseException](), 0

    def watch() -> None:
        nonlocal looks
        while not done.wait(0.02):
            try:
                look(stack, ledger)
                looks += 1
            except BaseException as fault:
                faults.append(fault)
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(30)
    assert not faults, faults[0]
    assert looks > 10


def renewals(provider: OAuthServer) -> int:
    return provider.asked.count("refresh_token")


def assert_renewed_once_each(provider: OAuthServer) -> None:
    """Every exchange gave tokens: a refresh token that came twice would have ended all of them."""
    assert len(provider.tokens) == len(provider.asked)
    assert not provider.tokens[-1].revoked
    assert provider.reused == 0


def test_workers_killed_while_tokens_end_and_the_source_is_busy(
    stack: Stack, ledger: Ledger, provider: OAuthServer
) -> None:
    connection = connect(stack, ledger, provider)
    ledger.held = {page * PAGE for page in range(PAGES)}
    with looking(stack, ledger):
        sync(stack, connection)
        for page in range(PAGES):
            place = page * PAGE
            stack.wait_until(lambda place=place: ledger.waiting[place] >= 1)
            assert look(stack, ledger) == place
            before = ledger.waiting[place]
            kill_workers(stack)
            stack.wait_until(lambda place=place, n=before: ledger.waiting[place] > n)  # another goes on just there
            if page == 2:  # once more: tokens were exchanged, and who did it dies before it can use them
                provider.expire()
                ledger.held_first_use = True
                exchanged = renewals(provider)
                ledger.release(place)
                stack.wait_until(lambda: ledger.waiting[-1] >= 1)
                assert renewals(provider) == exchanged + 1
                kill_workers(stack)
                stack.wait_until(lambda: ledger.waiting[-1] >= 2)
                assert renewals(provider) == exchanged + 1, "the next one found what was stored"
                ledger.held_first_use = False
                ledger.release(-1)
            else:
                ledger.release(place)
        stack.wait_until(stack.idle)
        assert look(stack, ledger) == PAGES * PAGE
        ledger.size += 8  # of which some are as old as the newest that is known
        assert moment(PAGES * PAGE) == moment(PAGES * PAGE - 1)
        sync(stack, connection)
        stack.wait_until(stack.idle)
    [(cursor, stored)] = stack.query(LOOK)
    assert stored == ids(ledger.size)
    assert float(cursor["since"]) == moment(ledger.size - 1).timestamp()
    counted = stack.query("SELECT count(*), count(DISTINCT subject_id) FROM events WHERE type = 'INGESTED'")
    assert counted == [(ledger.size, ledger.size)]
    assert stack.query("SELECT health, failures FROM connections") == [("healthy", 0)]
    assert renewals(provider) >= 2, "that of page 2, and one for the three pages from there"
    assert_renewed_once_each(provider)
    assert {200, 401, 429, 503} <= ledger.statuses.keys()


def test_two_workers_with_the_same_ended_token_exchange_it_once(
    stack: Stack, ledger: Ledger, provider: OAuthServer
) -> None:
    """The first stopped for longer than its lease, so that another took its job over, and then it woke."""
    ledger.faults, ledger.uses, ledger.held = False, 1_000, {2 * PAGE}
    connection = connect(stack, ledger, provider)
    with looking(stack, ledger):
        sync(stack, connection)
        stack.wait_until(lambda: ledger.waiting[2 * PAGE] >= 1)
        (sleeper,) = askers(stack, ledger)
        suspend(stack, sleeper)
        try:
            stack.wait_until(lambda: ledger.waiting[2 * PAGE] >= 2)
            provider.expire()
            while provider.arrived.acquire(blocking=False):
                pass
            provider.gate.clear()
            ledger.release(2 * PAGE)
        finally:
            sleeper.resume()
        assert provider.arrived.acquire(timeout=30)
        stack.wait_until(lambda: stack.query(WAITING_FOR_A_LOCK) == [(1,)])
        assert renewals(provider) == 1
        provider.gate.set()
        stack.wait_until(stack.idle)
    [(_, stored)] = stack.query(LOOK)
    assert stored == ids(ledger.size)
    assert renewals(provider) == 1
    assert_renewed_once_each(provider)
    assert provider.tokens[-1].access_token in ledger.seen


def test_who_dies_within_an_exchange_costs_a_sign_in_and_no_record(
    stack: Stack, ledger: Ledger, provider: OAuthServer
) -> None:
    ledger.faults, ledger.uses, ledger.held = False, 1_000, {2 * PAGE}
    connection = connect(stack, ledger, provider)
    sync(stack, connection)
    stack.wait_until(lambda: ledger.waiting[2 * PAGE] >= 1)
    provider.expire()
    while provider.arrived.acquire(blocking=False):
        pass
    provider.gate.clear()
    ledger.release(2 * PAGE)
    assert provider.arrived.acquire(timeout=30)
    kill_workers(stack)
    provider.gate.set()  # the provider exchanges, and nobody hears of it
    stack.wait_until(lambda: stack.query("SELECT health FROM connections") == [("reauth",)])
    assert look(stack, ledger) == 2 * PAGE
    sign_in(stack, provider, connection)  # from here on by itself, where it was
    stack.wait_until(lambda: look(stack, ledger) == ledger.size)
    stack.wait_until(stack.idle)
    assert stack.query("SELECT health, failures FROM connections") == [("healthy", 0)]
    assert [int(r.query.get("after", 0)) for r in ledger.server.requests].count(0) == 1


WAITING_FOR_A_LOCK = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


def suspend(stack: Stack, worker: psutil.Process) -> None:
    """Between its transactions: a job that it had locked just then would be nobody else's until it wakes."""
    worker.suspend()
    while not stack.query("SELECT id FROM jobs WHERE status = 'running' FOR UPDATE SKIP LOCKED"):
        worker.resume()
        time.sleep(0.05)
        worker.suspend()


def askers(stack: Stack, ledger: Ledger) -> list[psutil.Process]:
    """The workers that are connected to the source."""
    port = int(ledger.server.url.rpartition(":")[2])

    def connected(process: psutil.Process) -> bool:
        try:
            found: list[Any] = process.net_connections(kind="tcp")
        except psutil.Error:  # it ended meanwhile
            return False
        return any(one.raddr and one.raddr.port == port and one.status == psutil.CONN_ESTABLISHED for one in found)

    return [worker for worker in stack.processes("entrypoints.cli worker") if connected(worker)]
