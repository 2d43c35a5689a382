"""What people said is learned from in the background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from core.domain.jobs import Job, NewJob, Stream
from core.domain.tenants import Actor
from ports.clock import Ids
from ports.storage import Transaction

REFIT_SECONDS = 5.0
"""How long what people decide is gathered before the ensemble learns from it."""
RANK_AFTER = 12
"""So many times as long, a long queue stays in its order: to rank takes several times as long as to learn."""
RANK: Final = {"rank": True}
"""What a job has that ranks, and learns nothing."""


def queue_learning(
    tx: Transaction,
    actor: Actor,
    learn_delay: float | None,
    ids: Ids,
    *,
    embed: bool = False,
    refit_delay: float = REFIT_SECONDS,
    queued_by: Job | None = None,
) -> None:
    """Queues the jobs that learn of what changed among examples, unless those that have not begun will do so; `embed`
    says that there are new ones: the ensemble learns when they are embedded, else `refit_delay` seconds later. Rules
    are proposed anew `learn_delay` seconds later (None: not at all).

    What a job queues (`queued_by`) is tried as often, and goes on with its trace."""
    new = NewJob(
        id=ids.new(), stream=Stream.EMBED, payload={}, request_id=actor.request_id, source_agent=actor.source_agent
    )
    if queued_by is not None:
        new = replace(new, max_attempts=queued_by.max_attempts, trace_parent=queued_by.trace_parent)
    # A job with a payload embeds by another model, or forgets one.
    if embed and not tx.jobs.waiting(Stream.EMBED, {}):
        tx.jobs.add([new])
    if not embed:
        queue_refit(tx, actor, ids, refit_delay)
    if learn_delay is not None and not tx.jobs.waiting(Stream.LEARN):
        tx.jobs.add([replace(new, id=ids.new(), stream=Stream.LEARN, delay_seconds=learn_delay)])


def queue_refit(tx: Transaction, actor: Actor, ids: Ids, delay: float = REFIT_SECONDS) -> None:
    """Queues the job that lets the ensemble learn after `delay` seconds, unless one that has not begun will see what is
    new."""
    _queue(tx, actor, ids, {}, delay)


def queue_ranking(tx: Transaction, actor: Actor, ids: Ids, refit_delay: float = REFIT_SECONDS) -> None:
    """Queues the job that puts a long queue into the order of what was learned, unless one waits: for so long that
    ranking takes little of the time, however quickly people answer."""
    _queue(tx, actor, ids, RANK, refit_delay * RANK_AFTER)


def _queue(tx: Transaction, actor: Actor, ids: Ids, payload: Mapping[str, Any], delay: float) -> None:
    if not tx.jobs.waiting(Stream.REFIT, payload):
        refit = NewJob(
            id=ids.new(),
            stream=Stream.REFIT,
            payload=payload,
            request_id=actor.request_id,
            source_agent=actor.source_agent,
        )
        tx.jobs.add([replace(refit, delay_seconds=delay)])
