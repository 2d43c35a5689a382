"""A tenant's members, and who was asked to become one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Select, func, select

from adapters.postgres.guards import at, conflicts
from adapters.postgres.people_tables import invitations
from adapters.postgres.tables import memberships, users
from core.domain.people import Invitation, InvitationStatus
from core.domain.permissions import Role
from core.domain.tenants import Membership, User
from core.errors import Conflict, NotFound


class PostgresMembers:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, user: User, membership: Membership) -> User:
        user_id: UUID = self._connection.execute(
            select(func.ensure_user(user.id, user.email, user.name, user.created_at))
        ).scalar_one()
        with conflicts(taken="this person is a member already"):
            self._connection.execute(
                memberships.insert().values(
                    tenant_id=self._tenant_id,
                    user_id=user_id,
                    role=membership.role.value,
                    granted_by=membership.granted_by,
                )
            )
        return self.get(user_id)[0]

    def list(self) -> Sequence[tuple[User, Membership]]:
        rows = self._connection.execute(self._members().order_by(users.c.email)).mappings()
        return [self._to_member(row) for row in rows]

    def get(self, user_id: UUID, *, lock: bool = False) -> tuple[User, Membership]:
        if lock:
            # In one order, so that two who do this at once wait for each other in turn, and never in a circle.
            held = select(memberships.c.user_id).where(
                memberships.c.tenant_id == self._tenant_id,
                (memberships.c.user_id == user_id) | (memberships.c.role == Role.OWNER.value),
            )
            self._connection.execute(held.order_by(memberships.c.user_id).with_for_update()).all()
        row = self._connection.execute(self._members().where(users.c.id == user_id)).mappings().first()
        if row is None:
            raise NotFound("this person is no member")
        return self._to_member(row)

    def owners(self) -> int:
        owning = (memberships.c.tenant_id == self._tenant_id) & (memberships.c.role == Role.OWNER.value)
        return self._connection.execute(select(func.count()).select_from(memberships).where(owning)).scalar_one()

    def set_role(self, user_id: UUID, role: Role) -> None:
        self._changed(self._connection.execute(memberships.update().where(self._of(user_id)).values(role=role.value)))

    def remove(self, user_id: UUID) -> None:
        self._changed(self._connection.execute(memberships.delete().where(self._of(user_id))))

    def _of(self, user_id: UUID) -> Any:
        return (memberships.c.tenant_id == self._tenant_id) & (memberships.c.user_id == user_id)

    def _changed(self, done: Any) -> None:
        if done.rowcount == 0:
            raise NotFound("this person is no member")

    def _members(self) -> Select[Any]:
        return (
            select(users, memberships.c.role, memberships.c.granted_by)
            .join(memberships, memberships.c.user_id == users.c.id)
            .where(memberships.c.tenant_id == self._tenant_id)
        )

    def _to_member(self, row: RowMapping) -> tuple[User, Membership]:
        user = User(**{name: row[name] for name in User.__slots__})
        role = Role(row["role"])
        return user, Membership(tenant_id=self._tenant_id, user_id=user.id, role=role, granted_by=row["granted_by"])


class PostgresInvitations:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, invitation: Invitation) -> None:
        with conflicts(taken="this address has an open invitation"):
            self._connection.execute(
                invitations.insert().values({name: getattr(invitation, name) for name in Invitation.__slots__})
            )

    def get(self, id: UUID, *, lock: bool = False) -> Invitation:
        query = select(invitations).where(at(invitations, self._tenant_id, id))
        row = self._connection.execute(query.with_for_update() if lock else query).mappings().first()
        if row is None:
            raise NotFound("this invitation does not exist")
        return _to_invitation(row)

    def list(self) -> Sequence[Invitation]:
        c = invitations.c
        query = select(invitations).where(c.tenant_id == self._tenant_id, c.status == InvitationStatus.OPEN.value)
        return [_to_invitation(row) for row in self._connection.execute(query.order_by(c.id)).mappings()]

    def close(self, id: UUID, status: InvitationStatus) -> None:
        still_open = invitations.c.status == InvitationStatus.OPEN.value
        changed = self._connection.execute(
            invitations.update().where(at(invitations, self._tenant_id, id), still_open).values(status=status.value)
        )
        if changed.rowcount == 0:
            raise Conflict(f"this invitation is {self.get(id).status.value}")


def _to_invitation(row: RowMapping) -> Invitation:
    values: dict[str, Any] = {name: row[name] for name in Invitation.__slots__}
    return Invitation(**values | {"role": Role(row["role"]), "status": InvitationStatus(row["status"])})
