"""What people said is learned from in the background."""

from __future__ import annotations

from core.domain.jobs import NewJob, Stream
from core.domain.tenants import Actor
from ports.clock import Ids
from ports.storage import Transaction

REFIT_SECONDS = 5.0
"""How long what people decide is gathered before the ensemble learns from it."""


def queue_learning(tx: Transaction, actor: Actor, learn_delay: float | None, ids: Ids, *, embed: bool = False) -> None:
    """Queues the jobs that learn of what changed among examples; `embed` says that there are new ones. Rules are
    proposed anew `learn_delay` seconds later (None: not at all), unless a job that has not begun will do so."""
    if embed:
        tx.jobs.add([_job(Stream.EMBED, actor, ids)])
    else:
        queue_refit(tx, actor, ids)
    if learn_delay is not None and not tx.jobs.waiting(Stream.LEARN):
        tx.jobs.add([_job(Stream.LEARN, actor, ids, learn_delay)])


def queue_refit(tx: Transaction, actor: Actor, ids: Ids, delay: float = REFIT_SECONDS) -> None:
    """Queues the job that lets the ensemble learn after `delay` seconds, unless one that has not begun will see what is
    new."""
    if not tx.jobs.waiting(Stream.REFIT):
        tx.jobs.add([_job(Stream.REFIT, actor, ids, delay)])


def _job(stream: Stream, actor: Actor, ids: Ids, delay_seconds: float = 0.0) -> NewJob:
    return NewJob(
        id=ids.new(),
        stream=stream,
        payload={},
        request_id=actor.request_id,
        source_agent=actor.source_agent,
        delay_seconds=delay_seconds,
    )
