"""The operator in a tenant, to help: for some minutes, for a reason, and seen by who is helped."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.permissions import ROLE_PERMISSIONS, Permission, Role
from core.errors import Invalid
from core.usecases.shared.keys import IssuedKey, issue_key
from core.usecases.shared.people import Caller, operator
from ports.clock import Clock, Ids
from ports.storage import UnitOfWork

MOST_MINUTES = 480
MOST_REASON = 200
OUTLASTS = frozenset(
    {
        Permission.KEYS_WRITE,
        Permission.MEMBERS_WRITE,
        Permission.CONNECTIONS_WRITE,
        Permission.TENANT_WRITE,
        Permission.BILLING_WRITE,
        Permission.NOTIFICATIONS_WRITE,
    }
)
"""By which whoever has it for some minutes could stay for good, or have their say for good: a connection brings records
in with a secret of its own, an endpoint goes on telling somebody, settings decide what is kept and who decides, and
what is ordered is paid for."""


def enter_as_operator(
    tenant_id: UUID,
    role: Role,
    caller: Caller,
    *,
    minutes: int,
    reason: str,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> IssuedKey:
    """A key with what that role may, but for what outlasts it, that ends by itself. The tenant sees it among its keys,
    may revoke it, and reads in its log that the operator came in, why, and what they did. Raises `Invalid` or
    `NotFound`."""
    reason = " ".join(reason.split())
    if not 1 <= minutes <= MOST_MINUTES:
        raise Invalid(f"the operator enters for 1 to {MOST_MINUTES} minutes")
    if not 0 < len(reason) <= MOST_REASON:
        raise Invalid(f"the operator enters for a reason, of 1 to {MOST_REASON} characters")
    now = clock.now()
    with uow.begin(operator(tenant_id, caller)) as tx:
        tx.tenants.get()
        scopes, ends = ROLE_PERMISSIONS[role] - OUTLASTS, now + timedelta(minutes=minutes)
        issued = issue_key(tx, tenant_id, f"operator: {reason}"[:200], scopes, ends, now, ids, operators=True)
        payload = {"role": role.value, "minutes": minutes, "reason": reason}
        tx.events.append([NewEvent(type=EventType.OPERATOR_ENTERED, subject_id=issued.key.id, payload=payload)])
        tx.commit()
    return issued
