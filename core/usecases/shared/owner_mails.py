"""Owners are written what their tenant's people should know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.domain.jobs import NewJob, Stream
from core.domain.permissions import Role
from ports.clock import Ids
from ports.storage import Transaction


def write_owners(tx: Transaction, notice: Mapping[str, Any], max_attempts: int, *, kind: str, ids: Ids) -> None:
    """Queues a mail to each owner; `kind` is what `mail:send` calls it, `notice` what that makes the words of. For who
    has a mail server."""
    owners = [user.id for user, membership in tx.members.list() if membership.role is Role.OWNER]
    mails = [{"mail": kind, "user_id": str(owner), **notice} for owner in owners]
    tx.jobs.add([NewJob(id=ids.new(), stream=Stream.MAIL, payload=mail, max_attempts=max_attempts) for mail in mails])
