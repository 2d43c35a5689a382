"""examples:embed: approved examples get their vectors, and so begin to vote."""

from __future__ import annotations

from core.domain.jobs import Job
from core.domain.records import text_digest
from core.domain.tenants import worker_actor
from core.usecases.shared.ranking import rank_questions
from core.usecases.shared.vectors import cached_vectors
from ports.embedder import Embedder
from ports.storage import UnitOfWork

BATCH = 500


def embed_examples(job: Job, *, uow: UnitOfWork, embedder: Embedder | None) -> None:
    """Embeds all of the tenant's examples that lack a vector of the present model; where there were any, the review
    queue's order follows. Raises `LeaseLost`."""
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    learned = False
    while embedder is not None:
        with uow.begin(actor) as tx:
            examples = tx.examples.without_embedding(embedder.model, BATCH)
        if not examples:
            break
        vectors = cached_vectors([e.text for e in examples], actor, uow=uow, embedder=embedder)
        with uow.begin(actor) as tx:
            tx.jobs.hold(job)
            tx.examples.set_embeddings(embedder.model, {e.id: vectors[text_digest(e.text)] for e in examples})
            tx.commit()
        learned = True
    if embedder is not None and learned:
        rank_questions(job, actor, uow, embedder)
    with uow.begin(actor) as tx:
        tx.jobs.finish(job)
        tx.commit()
