"""What somebody who was removed or demoted would leave behind, and come back by: invitations and API keys."""

from __future__ import annotations

from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.people import InvitationStatus
from core.domain.permissions import ROLE_PERMISSIONS, Permission, Role
from core.domain.tenants import Actor
from core.errors import Forbidden, NotFound
from ports.clock import Clock
from ports.storage import Transaction


def person_behind(tx: Transaction, actor: Actor, *, clock: Clock) -> UUID | None:
    """Whose doing it is: the person's, or of an API key the person's who made that; None for nobody's.

    Until the transaction ends they are neither removed nor demoted: what they make here, who does that will find.
    Raises `Forbidden` where it was done a moment ago.
    """
    key_id = actor.api_key_id if actor.user_id is None else None
    user_id = actor.user_id if key_id is None else tx.api_keys.get(key_id).created_by
    if user_id is None:
        return None
    try:
        _, membership = tx.members.get(user_id, lock=True)
    except NotFound:
        raise Forbidden("you are no member of this tenant any more") from None
    if key_id is None and not actor.permissions <= ROLE_PERMISSIONS[membership.role]:
        raise Forbidden("your role has changed: try again")
    if key_id is not None and not tx.api_keys.get(key_id).usable(clock.now()):
        raise Forbidden("this API key was revoked")
    return user_id


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
