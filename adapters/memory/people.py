"""People before their tenant is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from adapters.memory.state import MemoryStore
from core.domain.people import SEEN_EVERY, Belonging, KnownDevice, LocalAccount, Session, WaysIn
from core.domain.tenants import User
from core.errors import Conflict, NotFound


class MemoryPeople:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._accounts = store.accounts
        self._identities = store.identities
        self._sessions = store.sessions
        self._devices = store.devices

    def user(self, user_id: UUID) -> User:
        with self._store.lock:
            found = next((user for user in self._store.users.values() if user.id == user_id), None)
        if found is None:
            raise NotFound("this person does not exist")
        return found

    def user_of_email(self, email: str) -> User | None:
        with self._store.lock:
            return self._store.users.get(email)

    def belongings(self, user_id: UUID) -> Sequence[Belonging]:
        with self._store.lock:
            found = [
                Belonging(
                    tenant_id=id,
                    tenant_name=state.tenants[id].name,
                    role=membership.role,
                    granted_by=membership.granted_by,
                )
                for id, state in self._store.tenants.items()
                if (membership := state.memberships.get(user_id)) is not None
            ]
        return sorted(found, key=lambda one: (one.tenant_name, one.tenant_id))

    def ways_in(self, tenant_id: UUID) -> Mapping[UUID, WaysIn]:
        with self._store.lock:
            state = self._store.tenants.get(tenant_id)
            return {} if state is None else {id: self._ways_of(id, tenant_id) for id in state.memberships}

    def account(self, email: str) -> LocalAccount | None:
        with self._store.lock:
            user = self._store.users.get(email)
            return None if user is None else self._accounts.get(user.id)

    def put_password(self, user_id: UUID, password_hash: str, now: datetime) -> None:
        user = self.user(user_id)
        with self._store.lock:
            present = self._accounts.get(user_id)
            self._accounts[user_id] = LocalAccount(
                user_id=user_id,
                email=user.email,
                password_hash=password_hash,
                failures=present.failures if present and present.second_factor else 0,
                locked_until=present.locked_until if present and present.second_factor else None,
                second_factor=present.second_factor if present else None,
                recovery=present.recovery if present else (),
            )
        self.end_sessions(user_id, now)

    def refresh_password(self, user_id: UUID, password_hash: str) -> None:
        self._change(user_id, password_hash=password_hash)

    def count_failure(self, user_id: UUID, *, device: UUID | None = None) -> int:
        with self._store.lock:
            counted = self._counted(user_id, device)
            if counted is None:
                return 0
            self._recount(user_id, device, failures=counted.failures + 1)
            return counted.failures + 1

    def begin_attempt(
        self, user_id: UUID, failures: int, locked_until: datetime | None, *, device: UUID | None = None
    ) -> bool:
        with self._store.lock:
            counted = self._counted(user_id, device)
            if counted is None or counted.failures != failures:
                return False
            self._recount(user_id, device, failures=failures + 1, locked_until=locked_until)
        return True

    def lock(self, user_id: UUID, until: datetime | None, *, device: UUID | None = None) -> None:
        self._recount(user_id, device, locked_until=until)

    def forget_failures(self, user_id: UUID, *, device: UUID | None = None) -> None:
        self._recount(user_id, device, failures=0, locked_until=None)

    def device(self, secret_hash: bytes) -> KnownDevice | None:
        with self._store.lock:
            return next((one for one in self._devices.values() if one.secret_hash == secret_hash), None)

    def devices(self, user_id: UUID) -> Sequence[KnownDevice]:
        with self._store.lock:
            mine = [one for one in self._devices.values() if one.user_id == user_id]
        return sorted(mine, key=lambda one: (one.seen_at, one.id), reverse=True)

    def add_device(self, device: KnownDevice, *, most: int) -> None:
        with self._store.lock:
            self._devices[device.id] = device
            self._forget_devices(device.user_id, kept=most)

    def renew_device(self, user_id: UUID, former: bytes, fresh: bytes, now: datetime) -> bool:
        with self._store.lock:
            found = self.device(former)
            if found is None or found.user_id != user_id:
                return False
            renewed = replace(found, secret_hash=fresh, failures=0, locked_until=None, seen_at=now)
            self._devices[found.id] = renewed
        return True

    def put_second_factor(self, user_id: UUID, sealed: bytes, recovery: Sequence[bytes], now: datetime) -> None:
        with self._store.lock:
            self._change(user_id, second_factor=sealed, recovery=tuple(recovery))
            self._store.last_steps.pop(user_id, None)
            self.end_sessions(user_id, now)

    def remove_second_factor(self, user_id: UUID, now: datetime) -> bool:
        with self._store.lock:
            account = self._accounts.get(user_id)
            if account is None or account.second_factor is None:
                return False
            self._change(user_id, second_factor=None, recovery=())
            self._store.last_steps.pop(user_id, None)
            self.end_sessions(user_id, now)
        return True

    def use_step(self, user_id: UUID, step: int) -> bool:
        with self._store.lock:
            if user_id not in self._accounts or step <= self._store.last_steps.get(user_id, 0):
                return False
            self._store.last_steps[user_id] = step
        return True

    def use_recovery(self, user_id: UUID, code_hash: bytes) -> bool:
        with self._store.lock:
            account = self._accounts.get(user_id)
            if account is None or code_hash not in account.recovery:
                return False
            self._change(user_id, recovery=tuple(one for one in account.recovery if one != code_hash))
        return True

    def factors_sealed_otherwise(
        self, prefix: bytes, *, after: UUID | None, limit: int
    ) -> Sequence[tuple[UUID, bytes]]:
        with self._store.lock:
            sealed = sorted((id, one.second_factor) for id, one in self._accounts.items() if one.second_factor)
        found = [(id, value) for id, value in sealed if not value.startswith(prefix) and (after is None or id > after)]
        return found[:limit]

    def reseal_factor(self, user_id: UUID, former: bytes, fresh: bytes) -> bool:
        with self._store.lock:
            account = self._accounts.get(user_id)
            if account is None or account.second_factor != former:
                return False
            self._change(user_id, second_factor=fresh)
        return True

    def user_of_identity(self, issuer: str, subject: str) -> UUID | None:
        with self._store.lock:
            return self._identities.get((issuer, subject))

    def has_identity(self, user_id: UUID) -> bool:
        with self._store.lock:
            return user_id in self._identities.values()

    def linked_issuers(self, user_id: UUID) -> Sequence[str]:
        with self._store.lock:
            return sorted({issuer for (issuer, _), known in self._identities.items() if known == user_id})

    def remove_identities(self, user_id: UUID, issuer: str, now: datetime) -> bool:
        with self._store.lock:
            theirs = [key for key, known in self._identities.items() if known == user_id and key[0] == issuer]
            for key in theirs:
                del self._identities[key]
            for session in [one for one in self._sessions.values() if theirs and one.via == issuer]:
                self.end_sessions(user_id, now, only=session.id)
        return bool(theirs)

    def add_identity(self, issuer: str, subject: str, user_id: UUID, now: datetime) -> None:  # noqa: ARG002
        with self._store.lock:
            if self._identities.setdefault((issuer, subject), user_id) != user_id:
                raise Conflict("this identity is somebody else's")

    def add_session(self, session: Session) -> None:
        with self._store.lock:
            self._sessions[session.id] = session

    def session(self, secret_hash: bytes) -> Session | None:
        with self._store.lock:
            return next((one for one in self._sessions.values() if one.secret_hash == secret_hash), None)

    def sessions(self, user_id: UUID) -> Sequence[Session]:
        now = self._store.clock.now()
        with self._store.lock:
            mine = [one for one in self._sessions.values() if one.user_id == user_id and one.ended_at is None]
        return sorted((one for one in mine if one.expires_at > now), key=lambda one: one.id, reverse=True)

    def touch_session(self, id: UUID, now: datetime) -> None:
        with self._store.lock:
            if (session := self._sessions.get(id)) is not None and session.seen_at < now - SEEN_EVERY:
                self._sessions[id] = replace(session, seen_at=now)

    def enter_tenant(self, id: UUID, tenant_id: UUID) -> None:
        with self._store.lock:
            if (session := self._sessions.get(id)) is not None:
                self._sessions[id] = replace(session, tenant_id=tenant_id)

    def end_sessions(
        self, user_id: UUID, now: datetime, *, only: UUID | None = None, tenant_id: UUID | None = None
    ) -> int:
        with self._store.lock:
            theirs = [one for one in self._sessions.values() if one.user_id == user_id and one.ended_at is None]
            ending = [one for one in theirs if only in (None, one.id) and tenant_id in (None, one.tenant_id)]
            for session in ending:
                self._sessions[session.id] = replace(session, ended_at=now)
            if only is None and tenant_id is None:
                self._forget_devices(user_id)
        return len(ending)

    def _ways_of(self, user_id: UUID, tenant_id: UUID) -> WaysIn:
        account, sessions = self._accounts.get(user_id), self._sessions.values()
        here = [one.seen_at for one in sessions if (one.user_id, one.tenant_id) == (user_id, tenant_id)]
        return WaysIn(
            password=account is not None,
            second_factor=account is not None and account.second_factor is not None,
            issuers=tuple(self.linked_issuers(user_id)),
            seen_at=max(here, default=None),
        )

    def _counted(self, user_id: UUID, device: UUID | None) -> LocalAccount | KnownDevice | None:
        """On what failures are counted."""
        if device is None:
            return self._accounts.get(user_id)
        found = self._devices.get(device)
        return found if found is not None and found.user_id == user_id else None

    def _recount(self, user_id: UUID, device: UUID | None, **fields: object) -> None:
        with self._store.lock:
            counted = self._counted(user_id, device)
            if isinstance(counted, KnownDevice):
                self._devices[counted.id] = replace(counted, **fields)  # type: ignore[arg-type]
            elif counted is not None:
                self._change(user_id, **fields)

    def _forget_devices(self, user_id: UUID, kept: int = 0) -> None:
        for device in self.devices(user_id)[kept:]:
            del self._devices[device.id]

    def _change(self, user_id: UUID, **fields: object) -> None:
        with self._store.lock:
            if (account := self._accounts.get(user_id)) is not None:
                self._accounts[user_id] = replace(account, **fields)  # type: ignore[arg-type]
