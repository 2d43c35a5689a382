"""Who was invited becomes a member."""

from __future__ import annotations

from uuid import UUID

from core.domain.events import EventType, NewEvent
from core.domain.people import Invitation, InvitationStatus
from core.domain.tenants import Actor, Membership, User
from core.errors import LinkInvalid, NotFound
from core.usecases.shared.people import Caller
from ports.clock import Clock
from ports.storage import Transaction, UnitOfWork


def join(invitation: Invitation, user: User, caller: Caller, *, uow: UnitOfWork, clock: Clock) -> User:
    """The member that the invitation makes of the user, or of who has that address already. Raises `LinkInvalid`."""
    actor = Actor(
        tenant_id=invitation.tenant_id,
        name=user.name or user.email,
        user_id=user.id,
        request_id=caller.request_id,
        address=caller.address,
        user_agent=caller.user_agent,
    )
    with uow.begin(actor) as tx:
        acceptable(tx, invitation.id, clock, lock=True)
        tx.invitations.close(invitation.id, InvitationStatus.ACCEPTED)
        role = Membership(tenant_id=invitation.tenant_id, user_id=user.id, role=invitation.role)
        joined = tx.members.add(user, role)
        payload = {"role": invitation.role.value, "invitation_id": invitation.id}
        tx.events.append([NewEvent(type=EventType.MEMBER_JOINED, subject_id=joined.id, payload=payload)])
        tx.commit()
    return joined


def acceptable(tx: Transaction, invitation_id: UUID, clock: Clock, *, lock: bool = False) -> Invitation:
    """The invitation. Raises `LinkInvalid` where there is none that can be accepted."""
    try:
        invitation = tx.invitations.get(invitation_id, lock=lock)
    except NotFound:
        raise LinkInvalid from None
    if not invitation.acceptable(clock.now()):
        raise LinkInvalid
    return invitation
