"""Jobs carried out without a worker: what is due soon is waited for, what is due later is left."""

from __future__ import annotations

import signal
from typing import Any
from uuid import UUID

import pytest
from dependency_injector import providers

from core.domain.jobs import JobStatus, NewJob, Stream
from core.domain.tenants import Actor
from entrypoints.cli import stopping
from entrypoints.container import Container
from entrypoints.worker.inline import drain


def queue(container: Container, actor: Actor, delay: float) -> UUID:
    """A job that forgets the vectors of a model that nobody has heard of."""
    id: UUID = container.ids().new()
    with container.uow().begin(actor) as tx:
        tx.jobs.add([NewJob(id=id, stream=Stream.EMBED, payload={"forget": "none@1"}, delay_seconds=delay)])
        tx.commit()
    return id


def test_what_is_due_soon_is_waited_for_and_what_is_due_later_is_left(container: Container) -> None:
    tenant, _ = container.create_tenant("Patient")
    actor = Actor(tenant_id=tenant.id, name="a tester")
    later = [queue(container, actor, 900) for _ in range(2)]
    soon = queue(container, actor, 0.2)

    left = drain(container, tenant.id)

    assert [job.id for job in left] == later
    assert {job.status for job in left} == {JobStatus.QUEUED}
    assert container.get_job(actor, soon).status is JobStatus.DONE


def test_how_long_it_waits_is_the_callers_choice(container: Container) -> None:
    tenant, _ = container.create_tenant("Impatient")
    actor = Actor(tenant_id=tenant.id, name="a tester")
    id = queue(container, actor, 30)
    assert [job.id for job in drain(container, tenant.id, patience=1)] == [id]


def test_who_is_told_to_stop_in_a_job_stops_after_it(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job takes what stops it for a plugin that exits, to be tried again; the process must end all the same."""
    monkeypatch.setattr(stopping, "_told", 0)
    tenant, _ = container.create_tenant("Stopped")
    actor = Actor(tenant_id=tenant.id, name="a tester")

    def told(_: Any) -> None:
        stopping._handle(signal.SIGTERM, None)

    container.embed_examples.override(providers.Callable(told))
    stopped, after = queue(container, actor, 0), queue(container, actor, 0)
    with pytest.raises(SystemExit) as exited:
        drain(container, tenant.id)
    assert exited.value.code == 128 + signal.SIGTERM
    jobs = [container.get_job(actor, id) for id in (stopped, after)]
    assert [job.attempts for job in jobs] == [1, 0]
    assert jobs[0].last_error == f"RuntimeError: exited: {128 + signal.SIGTERM}"
