"""A tenant's members, and who was asked to become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from adapters.memory.notifications import forget_endpoint
from adapters.memory.state import Workspace, one, page
from core.domain.people import Invitation, InvitationStatus
from core.domain.permissions import Role
from core.domain.tenants import Membership, User
from core.errors import Conflict, NotFound


class MemoryMembers:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state
        self._users = workspace.state.users
        self._memberships = workspace.state.memberships
        self._views = workspace.state.views

    def add(self, user: User, membership: Membership) -> User:
        email = user.email.lower()
        known = self._users.setdefault(email, replace(user, email=email))
        if known.id in self._memberships:
            raise Conflict("this person is a member already")
        self._memberships[known.id] = replace(membership, user_id=known.id)
        return known

    def list(self) -> Sequence[tuple[User, Membership]]:
        users = sorted(self._users.values(), key=lambda user: user.email)
        return [(user, self._memberships[user.id]) for user in users if user.id in self._memberships]

    def get(self, user_id: UUID, *, lock: bool = False) -> tuple[User, Membership]:  # noqa: ARG002
        found = next((member for member in self.list() if member[0].id == user_id), None)
        if found is None:
            raise NotFound("this person is no member")
        return found

    def owners(self) -> int:
        return sum(membership.role is Role.OWNER for membership in self._memberships.values())

    def set_role(self, user_id: UUID, role: Role) -> None:
        self._memberships[user_id] = replace(self.get(user_id)[1], role=role)

    def remove(self, user_id: UUID) -> None:
        del self._memberships[self.get(user_id)[0].id]
        for id in [found.id for found in self._state.endpoints.values() if found.user_id == user_id]:
            forget_endpoint(self._state, id)
        for id in [id for id, view in self._views.items() if view.user_id == user_id]:
            del self._views[id]


class MemoryInvitations:
    def __init__(self, workspace: Workspace) -> None:
        self._invitations = workspace.state.invitations

    def add(self, invitation: Invitation) -> None:
        if any(one.email == invitation.email for one in self.list()):
            raise Conflict("this address has an open invitation")
        self._invitations[invitation.id] = invitation

    def get(self, id: UUID, *, lock: bool = False) -> Invitation:  # noqa: ARG002
        return one(self._invitations, id, "invitation")

    def list(self) -> Sequence[Invitation]:
        return [one for one in page(self._invitations, None) if one.status is InvitationStatus.OPEN]

    def close(self, id: UUID, status: InvitationStatus) -> None:
        invitation = self.get(id)
        if invitation.status is not InvitationStatus.OPEN:
            raise Conflict(f"this invitation is {invitation.status.value}")
        self._invitations[id] = replace(invitation, status=status)
