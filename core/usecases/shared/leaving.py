"""What somebody who was removed or demoted would leave behind, and come back by: invitations and API keys."""

from __future__ import annotations

from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.people import InvitationStatus
from core.domain.permissions import ROLE_PERMISSIONS, Permission, Role
from core.domain.tenants import Actor
from ports.clock import Clock
from ports.storage import Transaction


def person_behind(tx: Transaction, actor: Actor) -> UUID | None:
    """Whose doing it is: the person's, or of an API key the person's who made that; None for nobody's."""
    if actor.user_id is not None or actor.api_key_id is None:
        return actor.user_id
    return tx.api_keys.get(actor.api_key_id).created_by


def take_back(tx: Transaction, user_id: UUID, role: Role | None, *, clock: Clock) -> None:
    """Revokes the open invitations and the API keys of the person that they may no longer make, now that this is their
    role (None: they are no member), each with its event. Also those that were made by their keys."""
    may = ROLE_PERMISSIONS[role] if role is not None else frozenset[Permission]()
    told, because = [], {"user_id": user_id}
    for invitation in tx.invitations.list():
        assignable = Permission.MEMBERS_WRITE in may and (role is Role.OWNER or invitation.role is not Role.OWNER)
        if invitation.invited_by_id == user_id and not assignable:
            tx.invitations.close(invitation.id, InvitationStatus.REVOKED)
            told.append(NewEvent(type=EventType.INVITATION_REVOKED, subject_id=invitation.id, payload=because))
    for key in tx.api_keys.list():
        grantable = Permission.KEYS_WRITE in may and key.scopes <= may
        if key.created_by == user_id and key.usable(clock.now()) and not grantable:
            tx.api_keys.revoke(key.id, clock.now())
            told.append(NewEvent(type=EventType.KEY_REVOKED, subject_id=key.id, payload=because))
    tx.events.append(told)
