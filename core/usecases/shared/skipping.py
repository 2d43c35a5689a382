"""Who skips items of the review queue, and for how long."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.domain.approvals import SKIPPED
from core.domain.tenants import Actor
from core.errors import Invalid
from ports.review_storage import Skips


def skipper(actor: Actor) -> UUID:
    """By whose id something is skipped. Raises `Invalid` for who has none."""
    if actor.id is None:
        raise Invalid("only a person or an API key skips: nobody else has a queue of their own")
    return actor.id


def skips_of(actor: Actor, now: datetime, *, only: bool = False) -> Skips | None:
    """What the actor skipped that is skipped still; None for who can't skip."""
    return None if actor.id is None else Skips(by=actor.id, since=now - SKIPPED, only=only)
