"""examples:embed: approved examples get their vectors, then the ensemble learns; and how another model takes over."""

from __future__ import annotations

from core.domain.jobs import OPEN_STATUSES, Job, JobStatus, NewJob, Stream
from core.domain.records import text_digest
from core.domain.tenants import Actor, worker_actor
from core.usecases.shared.teaching import REFIT_SECONDS, queue_refit
from core.usecases.shared.vectors import cached_vectors
from ports.clock import Ids
from ports.embedder import Embedder
from ports.storage import UnitOfWork
from ports.system import SystemStorage

BATCH = 500
FORGET_BATCH = 5_000
FORGET_SECONDS = 900.0
"""How long the vectors of a model stay when another has taken over: what asked which model serves may be asking yet."""


def embed_examples(
    job: Job,
    *,
    forget_seconds: float = FORGET_SECONDS,
    refit_delay: float = REFIT_SECONDS,
    uow: UnitOfWork,
    embedder: Embedder | None,
    ids: Ids,
) -> None:
    """Embeds all of the tenant's examples that lack a vector of the model that serves.

    A job whose payload names a `model` embeds them all by that one, if it is the present one, and then lets it serve;
    one that names a model to `forget` drops its vectors. Raises `LeaseLost`.
    """
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    if embedder is not None:
        if (forgotten := job.payload.get("forget")) is not None:
            if forgotten != embedder.model:
                _forget(job, actor, forgotten, uow)
        elif job.payload.get("model", embedder.model) == embedder.model:
            _embed(job, actor, forget_seconds, uow, embedder, ids)
    with uow.begin(actor) as tx:
        if "forget" not in job.payload:
            queue_refit(tx, actor, ids, refit_delay)
        tx.jobs.finish(job)
        tx.commit()


def start_reembedding(*, system: SystemStorage, uow: UnitOfWork, embedder: Embedder | None, ids: Ids) -> int:
    """Queues a job for each tenant whose examples are searched by another model than the present one; returns how many.
    One that is open is not queued twice, and one that is dead waits for its replay."""
    queued = 0
    for tenant_id in [] if embedder is None else system.served_otherwise(embedder.model):
        with uow.begin(worker_actor(tenant_id)) as tx:
            statuses = [*OPEN_STATUSES, JobStatus.DEAD]
            jobs = tx.jobs.list(stream=Stream.EMBED.value, statuses=statuses, after=None, limit=1_000)
            if embedder is not None and not any(job.payload.get("model") == embedder.model for job in jobs):
                tx.jobs.add([NewJob(id=ids.new(), stream=Stream.EMBED, payload={"model": embedder.model})])
                tx.commit()
                queued += 1
    return queued


def _embed(job: Job, actor: Actor, forget_seconds: float, uow: UnitOfWork, embedder: Embedder, ids: Ids) -> None:
    with uow.begin(actor) as tx:
        serving = tx.examples.serving()
    if serving is not None and "model" not in job.payload:
        embedder = embedder.of(serving) or embedder
    _fill(job, actor, uow, embedder)
    if serving == embedder.model:
        return
    with uow.begin(actor) as tx:
        tx.jobs.hold(job)
        if tx.examples.serve(embedder.model) and serving is not None:
            forget = NewJob(
                id=ids.new(), stream=Stream.EMBED, payload={"forget": serving}, delay_seconds=forget_seconds
            )
            tx.jobs.add([forget])
        tx.commit()


def _fill(job: Job, actor: Actor, uow: UnitOfWork, embedder: Embedder) -> None:
    while True:
        with uow.begin(actor) as tx:
            examples = tx.examples.without_embedding(embedder.model, BATCH)
        if not examples:
            return
        vectors = cached_vectors([e.text for e in examples], actor, uow=uow, embedder=embedder)
        with uow.begin(actor) as tx:
            tx.jobs.hold(job)
            tx.examples.set_embeddings(embedder.model, {e: vectors[text_digest(e.text)] for e in examples})
            tx.commit()


def _forget(job: Job, actor: Actor, model: str, uow: UnitOfWork) -> None:
    """Those of a model that serves again stay."""
    with uow.begin(actor) as tx:
        if tx.examples.serving() == model:
            return
    gone = FORGET_BATCH
    while gone:
        with uow.begin(actor) as tx:
            tx.jobs.hold(job)
            gone = tx.examples.forget_embeddings(model, FORGET_BATCH) + tx.embeddings.forget(model, FORGET_BATCH)
            tx.commit()
