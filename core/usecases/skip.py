"""Skipping: an item of the review queue is left for later, or for others. It decides nothing, so no event tells it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.domain.approvals import SKIPPED
from core.domain.tenants import Actor
from core.errors import AlreadyDecided
from core.usecases.shared.skipping import skipper
from ports.clock import Clock
from ports.storage import UnitOfWork


def skip_approval(actor: Actor, approval_id: UUID, *, uow: UnitOfWork, clock: Clock) -> datetime:
    """Keeps an open item out of the actor's own queue; until when. Others see it as before.

    Raises `NotFound`, `AlreadyDecided`, or `Invalid` for who has no queue of their own."""
    by, now = skipper(actor), clock.now()
    with uow.begin(actor) as tx:
        [approval] = tx.approvals.get_many([approval_id])
        if approval.verdict is not None:
            raise AlreadyDecided
        tx.approvals.skip(approval_id, by=by, at=now)
        tx.commit()
    return now + SKIPPED


def unskip_approval(actor: Actor, approval_id: UUID, *, uow: UnitOfWork) -> None:
    """Brings an item back into the actor's queue, where it still waits. Raises `NotFound`, and `Invalid` as above."""
    by = skipper(actor)
    with uow.begin(actor) as tx:
        tx.approvals.get_many([approval_id])
        tx.approvals.unskip(approval_id, by=by)
        tx.commit()
