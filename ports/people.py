"""People before their tenant is known: accounts, identities at other issuers, and sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from core.domain.people import Belonging, KnownDevice, LocalAccount, Session, WaysIn
from core.domain.tenants import User


class PeopleStorage(Protocol):
    """Each call is a transaction of its own. E-mail addresses are in lower case."""

    def user(self, user_id: UUID) -> User:
        """Raises `NotFound`."""
        ...

    def user_of_email(self, email: str) -> User | None: ...

    def belongings(self, user_id: UUID) -> Sequence[Belonging]:
        """The tenants that they are a member of, by name."""
        ...

    def ways_in(self, tenant_id: UUID) -> Mapping[UUID, WaysIn]:
        """Of all members of the tenant, by their id; seen in that tenant, and in no other one of theirs."""
        ...

    def account(self, email: str) -> LocalAccount | None:
        """None for somebody without a password, too."""
        ...

    def put_password(self, user_id: UUID, password_hash: str, now: datetime) -> None:
        """A first or another password: failures are forgotten, unless a second factor's are among them, all their
        sessions end, and no browser is known."""
        ...

    def refresh_password(self, user_id: UUID, password_hash: str) -> None:
        """The same password, hashed as it is done now."""
        ...

    def count_failure(self, user_id: UUID, *, device: UUID | None = None) -> int:
        """One more wrong password, of the account or of the known browser: how many in a row there were, also of those
        that come at once. 0 where there is no such account or browser."""
        ...

    def begin_attempt(
        self, user_id: UUID, failures: int, locked_until: datetime | None, *, device: UUID | None = None
    ) -> bool:
        """Counts an attempt as failed, and locks until then, before it is known whether it is: so that of many at once
        only one is looked at. `failures` are those that there were; False where they are not, any more."""
        ...

    def lock(self, user_id: UUID, until: datetime | None, *, device: UUID | None = None) -> None: ...

    def forget_failures(self, user_id: UUID, *, device: UUID | None = None) -> None: ...

    def device(self, secret_hash: bytes) -> KnownDevice | None:
        """Whoever's it is."""
        ...

    def devices(self, user_id: UUID) -> Sequence[KnownDevice]:
        """The browsers that the person is known by, the one that was seen last first."""
        ...

    def add_device(self, device: KnownDevice, *, most: int) -> None:
        """One more browser that somebody with a password is known by. Beyond so many, those that were seen longest ago
        are forgotten."""
        ...

    def renew_device(self, user_id: UUID, former: bytes, fresh: bytes, now: datetime) -> bool:
        """Another secret for the browser that has the former one; it was seen, and its failures are forgotten. False
        where the person is known by none such."""
        ...

    def put_second_factor(self, user_id: UUID, sealed: bytes, recovery: Sequence[bytes], now: datetime) -> None:
        """The sealed key of their one-time codes, and the digests of their recovery codes, in place of former ones. All
        their sessions end, and no browser is known."""
        ...

    def remove_second_factor(self, user_id: UUID, now: datetime) -> bool:
        """All their sessions end with it, and no browser is known. False where they had none."""
        ...

    def use_step(self, user_id: UUID, step: int) -> bool:
        """Notes that the code of that time step was used; False where it was already, or a later one."""
        ...

    def use_recovery(self, user_id: UUID, code_hash: bytes) -> bool:
        """Takes the code from those that they have; False where it is none of them."""
        ...

    def factors_sealed_otherwise(
        self, prefix: bytes, *, after: UUID | None, limit: int
    ) -> Sequence[tuple[UUID, bytes]]:
        """Whose key is not sealed with the present one, by their id."""
        ...

    def reseal_factor(self, user_id: UUID, former: bytes, fresh: bytes) -> bool:
        """False where it is not the former one any more."""
        ...

    def user_of_identity(self, issuer: str, subject: str) -> UUID | None: ...

    def linked_issuers(self, user_id: UUID) -> Sequence[str]:
        """The issuers of their identities, in order, each once."""
        ...

    def remove_identities(self, user_id: UUID, issuer: str, now: datetime) -> bool:
        """What they have of that issuer; their sessions that began by it end. False where there was nothing."""
        ...

    def has_identity(self, user_id: UUID) -> bool:
        """Whether they prove themselves by a provider."""
        ...

    def add_identity(self, issuer: str, subject: str, user_id: UUID, now: datetime) -> None:
        """Raises `Conflict` where it is somebody else's."""
        ...

    def add_session(self, session: Session) -> None: ...

    def session(self, secret_hash: bytes) -> Session | None:
        """Also one that has ended."""
        ...

    def sessions(self, user_id: UUID) -> Sequence[Session]:
        """Those that nobody ended and that have not expired, the latest first."""
        ...

    def touch_session(self, id: UUID, now: datetime) -> None:
        """Notes that it was seen, at most once a minute."""
        ...

    def enter_tenant(self, id: UUID, tenant_id: UUID) -> None:
        """The session goes on in another tenant."""
        ...

    def end_sessions(
        self, user_id: UUID, now: datetime, *, only: UUID | None = None, tenant_id: UUID | None = None
    ) -> int:
        """Ends all sessions of the person, so that no browser is known any more, the one, or those that are in that
        tenant; returns how many. Ended ones keep their time."""
        ...
