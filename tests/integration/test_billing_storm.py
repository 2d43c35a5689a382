"""Everything that touches a tenant's account at once, over PostgreSQL: nobody waits in a circle, and the counter counts
what is there."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from threading import Barrier

import psycopg

from adapters.memory.clock import FixedClock
from adapters.memory.files import MemoryFileStore
from core.domain.jobs import JobStatus, Stream
from core.errors import Conflict, NotFound
from core.usecases.retention import expire_records
from ports.storage import RecordFilter
from tests.contract.billing_world import BUSINESS_PRICE, LONG_AGO, TEAM_PRICE, BillingWorld
from tests.contract.paper_payments import CHANGES
from tests.contract.storage import Storage

_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
WORKERS, TURNS = 4, 80


def test_all_at_once_ends_in_order(storage: Storage, superuser: psycopg.Connection) -> None:
    world = BillingWorld(storage=storage, clock=FixedClock(LONG_AGO))
    world.order()
    world.payments.begin(world.customer, "created", TEAM_PRICE)
    ids, begin = count(1), Barrier(WORKERS)

    def work(*streams: Stream) -> None:
        for job in world.jobs():
            if job.stream in streams:
                world.work(job)

    def give(plan: str | None) -> None:
        with suppress(NotFound):  # somebody else took it back
            world.comp(plan)

    def order(plan: str) -> None:
        with suppress(Conflict):  # a subscription runs, or a payment is missing
            world.order(plan)

    def happen(chance: random.Random) -> None:
        world.payments.change(world.customer, chance.choice(sorted(CHANGES)))
        world.deliver(world.payments.told[-1])

    def turns(seed: int) -> None:
        chance = random.Random(seed)
        acts: list[Callable[[], object]] = [
            lambda: world.bring(*(str(next(ids)) for _ in range(3))),
            lambda: world.bring(str(next(ids))),
            lambda: work(Stream.RESUME),
            lambda: work(Stream.BILLING, Stream.REPORT),
            lambda: give(chance.choice(["business", "team", None])),
            lambda: order(chance.choice(["team", "free"])),
            lambda: happen(chance),
            lambda: world.payments.begin(world.customer, "created", BUSINESS_PRICE),
            world.tick,
            world.deny,
            lambda: world.call(expire_records, refit_delay=0.0, system=storage.system, files=MemoryFileStore()),
        ]
        begin.wait()
        for _ in range(TURNS):
            chance.choice(acts)()

    with ThreadPoolExecutor(WORKERS) as pool:
        for under_way in [pool.submit(turns, seed) for seed in range(WORKERS)]:
            under_way.result(120)
    assert superuser.execute(_DEADLOCKS).fetchone() == (0,)
    assert world.failures() == []
    world.comp("business")
    world.drain()
    assert world.jobs(None, JobStatus.DEAD, JobStatus.RUNNING) == []
    with storage.reading(world.tenant) as tx:
        records = tx.records.count(RecordFilter())
    assert (world.held(), world.used()) == (0, records)
    assert records == next(ids) - 1
