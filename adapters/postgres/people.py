"""People before their tenant is known, with the system's role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Engine,
    Executable,
    LargeBinary,
    RowMapping,
    Select,
    Table,
    Update,
    any_,
    case,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.people_tables import identities, known_devices, local_accounts, sessions
from adapters.postgres.tables import memberships, tenants, users
from adapters.postgres.unit_of_work import passing_faults
from core.domain.people import SEEN_EVERY, Belonging, KnownDevice, LocalAccount, Session, WaysIn
from core.domain.permissions import Role
from core.domain.tenants import User
from core.errors import Conflict, NotFound


class PostgresPeople:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def user(self, user_id: UUID) -> User:
        row = self._first(select(users).where(users.c.id == user_id))
        if row is None:
            raise NotFound("this person does not exist")
        return to_user(row)

    def user_of_email(self, email: str) -> User | None:
        row = self._first(select(users).where(users.c.email == email))
        return None if row is None else to_user(row)

    def belongings(self, user_id: UUID) -> Sequence[Belonging]:
        query = (
            select(tenants.c.tenant_id, tenants.c.name, memberships.c.role, memberships.c.granted_by)
            .join(memberships, memberships.c.tenant_id == tenants.c.tenant_id)
            .where(memberships.c.user_id == user_id)
            .order_by(tenants.c.name, tenants.c.tenant_id)
        )
        with passing_faults(), self._engine.connect() as connection:
            return [
                Belonging(tenant_id=row.tenant_id, tenant_name=row.name, role=Role(row.role), granted_by=row.granted_by)
                for row in connection.execute(query)
            ]

    def ways_in(self, tenant_id: UUID) -> Mapping[UUID, WaysIn]:
        with passing_faults(), self._engine.connect() as connection:
            return {row["user_id"]: _to_ways_in(row) for row in connection.execute(_ways_in(tenant_id)).mappings()}

    def account(self, email: str) -> LocalAccount | None:
        query = (
            select(users.c.email, local_accounts)
            .join(local_accounts, local_accounts.c.user_id == users.c.id)
            .where(users.c.email == email)
        )
        row = self._first(query)
        return None if row is None else _to_account(row)

    def put_password(self, user_id: UUID, password_hash: str, now: datetime) -> None:
        fresh = {"password_hash": password_hash, "failures": 0, "locked_until": None, "changed_at": now}
        c, forgiven = local_accounts.c, ("failures", "locked_until")
        # Whoever reads the mail may set passwords again and again: that must not make up for wrong codes.
        kept = {name: case((c.second_factor.is_(None), fresh[name]), else_=c[name]) for name in forgiven}
        with passing_faults(), self._engine.connect() as connection:
            connection.execute(
                insert(local_accounts)
                .values(user_id=user_id, **fresh)
                .on_conflict_do_update(index_elements=["user_id"], set_=fresh | kept)
            )
            connection.execute(_ended(user_id, now))
            connection.execute(_forgetting(user_id))
            connection.commit()

    def refresh_password(self, user_id: UUID, password_hash: str) -> None:
        self._change(local_accounts.update().where(_of(user_id)).values(password_hash=password_hash))

    def count_failure(self, user_id: UUID, *, device: UUID | None = None) -> int:
        table, theirs = _counted(user_id, device)
        counted = table.update().where(theirs).values(failures=table.c.failures + 1)
        row = self._change(counted.returning(table.c.failures))
        return 0 if row is None else int(row["failures"])

    def begin_attempt(
        self, user_id: UUID, failures: int, locked_until: datetime | None, *, device: UUID | None = None
    ) -> bool:
        table, theirs = _counted(user_id, device)
        begun = (
            table.update()
            .where(theirs, table.c.failures == failures)
            .values(failures=failures + 1, locked_until=locked_until)
        )
        return self._change(begun.returning(table.c.user_id)) is not None

    def lock(self, user_id: UUID, until: datetime | None, *, device: UUID | None = None) -> None:
        table, theirs = _counted(user_id, device)
        self._change(table.update().where(theirs).values(locked_until=until))

    def forget_failures(self, user_id: UUID, *, device: UUID | None = None) -> None:
        table, theirs = _counted(user_id, device)
        failed = or_(table.c.failures > 0, table.c.locked_until.is_not(None))
        self._change(table.update().where(theirs, failed).values(failures=0, locked_until=None))

    def device(self, secret_hash: bytes) -> KnownDevice | None:
        row = self._first(select(known_devices).where(known_devices.c.secret_hash == secret_hash))
        return None if row is None else _to_device(row)

    def devices(self, user_id: UUID) -> Sequence[KnownDevice]:
        c = known_devices.c
        query = select(known_devices).where(c.user_id == user_id).order_by(c.seen_at.desc(), c.id.desc())
        with passing_faults(), self._engine.connect() as connection:
            return [_to_device(row) for row in connection.execute(query).mappings()]

    def add_device(self, device: KnownDevice, *, most: int) -> None:
        with passing_faults(), self._engine.connect() as connection:
            values = {name: getattr(device, name) for name in KnownDevice.__slots__}
            connection.execute(insert(known_devices).values(values))
            connection.execute(_forgetting(device.user_id, kept=most))
            connection.commit()

    def renew_device(self, user_id: UUID, former: bytes, fresh: bytes, now: datetime) -> bool:
        c = known_devices.c
        renewed = (
            known_devices.update()
            .where(c.secret_hash == former, c.user_id == user_id)
            .values(secret_hash=fresh, failures=0, locked_until=None, seen_at=now)
        )
        return self._change(renewed.returning(c.id)) is not None

    def put_second_factor(self, user_id: UUID, sealed: bytes, recovery: Sequence[bytes], now: datetime) -> None:
        values = {"second_factor": sealed, "recovery": list(recovery), "last_step": 0}
        self._change_and_end(local_accounts.update().where(_of(user_id)).values(values), user_id, now)

    def remove_second_factor(self, user_id: UUID, now: datetime) -> bool:
        without: dict[str, Any] = {"second_factor": None, "recovery": [], "last_step": 0}
        had_one = local_accounts.c.second_factor.is_not(None)
        return self._change_and_end(local_accounts.update().where(_of(user_id), had_one).values(without), user_id, now)

    def use_step(self, user_id: UUID, step: int) -> bool:
        c = local_accounts.c
        used = local_accounts.update().where(_of(user_id), c.last_step < step).values(last_step=step)
        return self._change(used.returning(c.user_id)) is not None

    def use_recovery(self, user_id: UUID, code_hash: bytes) -> bool:
        c, code = local_accounts.c, literal(code_hash, LargeBinary)
        used = (
            local_accounts.update()
            .where(_of(user_id), code == any_(c.recovery))
            .values(recovery=func.array_remove(c.recovery, code))
        )
        return self._change(used.returning(c.user_id)) is not None

    def factors_sealed_otherwise(
        self, prefix: bytes, *, after: UUID | None, limit: int
    ) -> Sequence[tuple[UUID, bytes]]:
        c = local_accounts.c
        query = select(c.user_id, c.second_factor).where(
            c.second_factor.is_not(None), func.substr(c.second_factor, 1, len(prefix)) != prefix
        )
        if after is not None:
            query = query.where(c.user_id > after)
        with passing_faults(), self._engine.connect() as connection:
            rows = connection.execute(query.order_by(c.user_id).limit(limit))
            return [(row.user_id, bytes(row.second_factor)) for row in rows]

    def reseal_factor(self, user_id: UUID, former: bytes, fresh: bytes) -> bool:
        c = local_accounts.c
        resealed = local_accounts.update().where(_of(user_id), c.second_factor == former).values(second_factor=fresh)
        return self._change(resealed.returning(c.user_id)) is not None

    def user_of_identity(self, issuer: str, subject: str) -> UUID | None:
        c = identities.c
        row = self._first(select(c.user_id).where(c.issuer == issuer, c.subject == subject))
        return None if row is None else row["user_id"]

    def has_identity(self, user_id: UUID) -> bool:
        return bool(self.linked_issuers(user_id))

    def linked_issuers(self, user_id: UUID) -> Sequence[str]:
        c = identities.c
        query = select(c.issuer).where(c.user_id == user_id).distinct().order_by(c.issuer)
        with passing_faults(), self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def remove_identities(self, user_id: UUID, issuer: str, now: datetime) -> bool:
        with passing_faults(), self._engine.connect() as connection:
            removed: int = connection.execute(select(func.unlink_identities(user_id, issuer))).scalar_one()
            if removed:
                connection.execute(_ended(user_id, now).where(sessions.c.via == issuer))
            connection.commit()
        return removed > 0

    def add_identity(self, issuer: str, subject: str, user_id: UUID, now: datetime) -> None:
        values = {"issuer": issuer, "subject": subject, "user_id": user_id, "created_at": now}
        self._change(insert(identities).values(values).on_conflict_do_nothing())
        if self.user_of_identity(issuer, subject) != user_id:
            raise Conflict("this identity is somebody else's")

    def add_session(self, session: Session) -> None:
        self._change(insert(sessions).values({name: getattr(session, name) for name in Session.__slots__}))

    def session(self, secret_hash: bytes) -> Session | None:
        row = self._first(select(sessions).where(sessions.c.secret_hash == secret_hash))
        return None if row is None else _to_session(row)

    def sessions(self, user_id: UUID) -> Sequence[Session]:
        c = sessions.c
        query = (
            select(sessions)
            .where(c.user_id == user_id, c.ended_at.is_(None), c.expires_at > func.now())
            .order_by(c.id.desc())
        )
        with passing_faults(), self._engine.connect() as connection:
            return [_to_session(row) for row in connection.execute(query).mappings()]

    def touch_session(self, id: UUID, now: datetime) -> None:
        stale = sessions.c.seen_at < now - SEEN_EVERY
        self._change(sessions.update().where(sessions.c.id == id, stale).values(seen_at=now))

    def enter_tenant(self, id: UUID, tenant_id: UUID) -> None:
        self._change(sessions.update().where(sessions.c.id == id).values(tenant_id=tenant_id))

    def end_sessions(
        self, user_id: UUID, now: datetime, *, only: UUID | None = None, tenant_id: UUID | None = None
    ) -> int:
        ended = _ended(user_id, now)
        if only is not None:
            ended = ended.where(sessions.c.id == only)
        if tenant_id is not None:
            ended = ended.where(sessions.c.tenant_id == tenant_id)
        with passing_faults(), self._engine.connect() as connection:
            count = connection.execute(ended).rowcount
            if only is None and tenant_id is None:
                connection.execute(_forgetting(user_id))
            connection.commit()
        return count

    def _first(self, query: Executable) -> RowMapping | None:
        with passing_faults(), self._engine.connect() as connection:
            return connection.execute(query).mappings().first()

    def _change(self, statement: Executable) -> RowMapping | None:
        """What it returns, if it returns rows."""
        with passing_faults(), self._engine.connect() as connection:
            done = connection.execute(statement)
            row = done.mappings().first() if done.returns_rows else None
            connection.commit()
        return row

    def _change_and_end(self, statement: Update, user_id: UUID, now: datetime) -> bool:
        """Whether it changed anything: then all sessions of the person end with it, and no browser is known."""
        with passing_faults(), self._engine.connect() as connection:
            changed = connection.execute(statement).rowcount > 0
            if changed:
                connection.execute(_ended(user_id, now))
                connection.execute(_forgetting(user_id))
            connection.commit()
        return changed


def to_user(row: RowMapping) -> User:
    return User(**{name: row[name] for name in User.__slots__})


def _ways_in(tenant_id: UUID) -> Select[Any]:
    member = memberships.c.user_id
    seen = (
        select(sessions.c.user_id, func.max(sessions.c.seen_at).label("seen_at"))
        .where(sessions.c.tenant_id == tenant_id)
        .group_by(sessions.c.user_id)
        .subquery()
    )
    issuers = select(func.array_agg(identities.c.issuer)).where(identities.c.user_id == member).scalar_subquery()
    return (
        select(
            member,
            local_accounts.c.user_id.is_not(None).label("password"),
            local_accounts.c.second_factor.is_not(None).label("second_factor"),
            issuers.label("issuers"),
            seen.c.seen_at,
        )
        .select_from(memberships)
        .outerjoin(local_accounts, local_accounts.c.user_id == member)
        .outerjoin(seen, seen.c.user_id == member)
        .where(memberships.c.tenant_id == tenant_id)
    )


def _to_ways_in(row: RowMapping) -> WaysIn:
    return WaysIn(
        password=row["password"],
        second_factor=row["second_factor"],
        issuers=tuple(sorted(set(row["issuers"] or ()))),
        seen_at=row["seen_at"],
    )


def _to_account(row: RowMapping) -> LocalAccount:
    sealed = row["second_factor"]
    return LocalAccount(
        user_id=row["user_id"],
        email=row["email"],
        password_hash=row["password_hash"],
        failures=row["failures"],
        locked_until=row["locked_until"],
        second_factor=None if sealed is None else bytes(sealed),
        recovery=tuple(map(bytes, row["recovery"])),
    )


def _of(user_id: UUID) -> Any:
    return local_accounts.c.user_id == user_id


def _ended(user_id: UUID, now: datetime) -> Update:
    """Those of the person that nobody ended."""
    return sessions.update().where(sessions.c.user_id == user_id, sessions.c.ended_at.is_(None)).values(ended_at=now)


def _counted(user_id: UUID, device: UUID | None) -> tuple[Table, Any]:
    """The table in which failures are counted, and the row."""
    if device is None:
        return local_accounts, _of(user_id)
    return known_devices, (known_devices.c.id == device) & (known_devices.c.user_id == user_id)


def _forgetting(user_id: UUID, kept: int = 0) -> Executable:
    return select(func.forget_devices(user_id, kept))


def _to_device(row: RowMapping) -> KnownDevice:
    return KnownDevice(
        **{name: row[name] for name in KnownDevice.__slots__} | {"secret_hash": bytes(row["secret_hash"])}
    )


def _to_session(row: RowMapping) -> Session:
    return Session(**{name: row[name] for name in Session.__slots__} | {"secret_hash": bytes(row["secret_hash"])})
