"""Jobs carried out without a worker: what is due soon is waited for, what is due later is left."""

from __future__ import annotations

from uuid import UUID

from core.domain.jobs import JobStatus, NewJob, Stream
from core.domain.tenants import Actor
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
