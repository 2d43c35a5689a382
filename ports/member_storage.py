"""Storage of a tenant's people: its members, and who was asked to become one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from core.domain.people import Invitation, InvitationStatus
from core.domain.permissions import Role
from core.domain.tenants import Membership, User


class Members(Protocol):
    def add(self, user: User, membership: Membership) -> User:
        """Adds the membership, and the user unless a user has that e-mail address (in lower case) already: then the
        membership is theirs. Gives back whose it is; raises `Conflict` when they are a member."""
        ...

    def list(self) -> Sequence[tuple[User, Membership]]:
        """By e-mail address."""
        ...

    def get(self, user_id: UUID, *, lock: bool = False) -> tuple[User, Membership]:
        """Raises `NotFound`. With `lock` the memberships of all owners are held with it until the transaction ends, so
        that two who leave at once don't leave the tenant without any."""
        ...

    def owners(self) -> int:
        """How many owners there are."""
        ...

    def set_role(self, user_id: UUID, role: Role) -> None: ...

    def remove(self, user_id: UUID) -> None:
        """With the endpoints at which they are written to. Raises `NotFound`."""
        ...


class Invitations(Protocol):
    def add(self, invitation: Invitation) -> None:
        """Raises `Conflict` where that address has an open one."""
        ...

    def get(self, id: UUID, *, lock: bool = False) -> Invitation:
        """Raises `NotFound`."""
        ...

    def list(self) -> Sequence[Invitation]:
        """The open ones, also those that nobody can accept any more, by rising id."""
        ...

    def close(self, id: UUID, status: InvitationStatus) -> None:
        """Raises `Conflict` unless it is open."""
        ...
