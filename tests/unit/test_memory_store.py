"""What the in-memory adapter promises beyond the contract: no lost update, and runs that repeat themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.memory.clock import START, CountingIds, FixedClock
from adapters.memory.state import MemoryStore
from adapters.memory.unit_of_work import MemoryUnitOfWork
from core.domain.tenants import Tenant, TenantSettings, worker_actor
from core.errors import Transient


def test_of_two_transactions_that_change_the_same_thing_the_second_fails_whole() -> None:
    ids = CountingIds()
    uow, actor = MemoryUnitOfWork(MemoryStore(FixedClock(), ids)), worker_actor(ids.new())
    tenant = Tenant(
        id=actor.tenant_id,
        name="Before",
        time_zone="UTC",
        settings=TenantSettings(),
        rules_version=1,
        created_at=START,
        version=1,
    )
    with uow.begin(actor) as tx:
        tx.tenants.add(tenant)
        tx.commit()
    with uow.begin(actor) as late:
        late.tenants.update(replace(tenant, name="Late"))
        with uow.begin(actor) as early:
            early.tenants.update(replace(tenant, name="Early"))
            early.commit()
        with pytest.raises(Transient):
            late.commit()
    with uow.begin(actor) as tx:
        assert tx.tenants.get().name == "Early"


def test_ids_count_up_in_the_shape_of_version_7_and_repeat_in_the_next_run() -> None:
    ids, again = CountingIds(), CountingIds()
    made = [ids.new(), *ids.batch(300)]
    assert made == sorted(set(made)) == list(again.batch(301))
    assert {(id.version, id.variant) for id in made} == {(7, "specified in RFC 4122")}
    assert (ids.entropy(40), ids.uniform()) == (again.entropy(40), again.uniform())
    assert len(ids.entropy(40)) == 40
    assert ids.entropy(8) != ids.entropy(8)
    assert all(0 <= ids.uniform() < 1 for _ in range(100))


def test_the_clock_moves_when_it_is_told_to() -> None:
    clock = FixedClock()
    assert clock.now() == clock.now() == START
    assert clock.advance(timedelta(hours=2)) == clock.now() == START + timedelta(hours=2)
    clock.set(START)
    assert clock.now() == START
