"""The use cases of people over storage in memory, for the tests of those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from adapters.memory.agreements import MemoryAgreements
from adapters.memory.billing_system import MemoryBillingSystem
from adapters.memory.clock import CountingIds, FixedClock
from adapters.memory.notifications import MemoryNotificationSystem
from adapters.memory.people import MemoryPeople
from adapters.memory.privacy import MemoryPrivacy
from adapters.memory.state import MemoryStore
from adapters.memory.system import MemorySystem
from adapters.memory.unit_of_work import MemoryUnitOfWork
from adapters.secrets.box import AesSecretBox
from adapters.secrets.one_time_codes import PyotpCodes
from core.domain.permissions import ROLE_PERMISSIONS, Role
from core.domain.tenants import Actor, Membership, User
from core.usecases import mail, sessions
from core.usecases.shared.people import Caller
from core.usecases.shared.signing_in import IssuedSession, at_once
from ports.mail import Mail
from tests.contract.storage import Storage, some_terms

CALLER = Caller(address="192.0.2.7", user_agent="A browser", request_id="req-1")
ADA, BEN = "ada@example.org", "ben@example.org"
PASSWORD, OTHER = "correct horse battery", "staple correct horse"


class PlainHasher:
    """As fast as a test wants it. Counts what was verified, since a guess must cost the same for everybody."""

    def __init__(self) -> None:
        self.verified = 0
        self.form = "1"

    def hash(self, password: str) -> str:
        return f"{self.form}:{password}"

    def verify(self, password_hash: str | None, password: str) -> bool:
        self.verified += 1
        return password_hash is not None and password_hash.partition(":")[2] == password

    def guessable(self, password: str, known: Sequence[str]) -> bool:
        return password in known

    def outdated(self, password_hash: str) -> bool:
        return not password_hash.startswith(self.form)


class Outbox:
    def __init__(self) -> None:
        self.sent: list[Mail] = []

    def send(self, mail: Mail) -> None:
        self.sent.append(mail)

    @property
    def token(self) -> str:
        """Of the last link that was sent."""
        return next(line.rpartition("/")[2] for line in self.sent[-1].text.splitlines() if line.startswith("https://"))


@dataclass(kw_only=True)
class House:
    """The use cases over one storage."""

    clock: FixedClock = field(default_factory=FixedClock)
    hasher: PlainHasher = field(default_factory=PlainHasher)
    outbox: Outbox = field(default_factory=Outbox)
    secrets: AesSecretBox = field(default_factory=lambda: AesSecretBox("k" * 40))

    def __post_init__(self) -> None:
        store = MemoryStore(self.clock, CountingIds())
        self.storage = Storage(
            uow=MemoryUnitOfWork(store),
            system=MemorySystem(store),
            people=MemoryPeople(store),
            privacy=MemoryPrivacy(store),
            billing=MemoryBillingSystem(store),
            agreements=MemoryAgreements(store),
            notifications=MemoryNotificationSystem(store),
            now=self.clock.now,
        )
        self.tenant = self.storage.tenant("Harbour Books")

    @property
    def ports(self) -> dict[str, Any]:
        return {
            "uow": self.storage.uow,
            "people": self.storage.people,
            "hasher": self.hasher,
            "codes": PyotpCodes(),
            "secrets": self.secrets,
            "clock": self.clock,
            "ids": self.storage.ids,
            "lasts_seconds": 12 * 3600.0,
            "later": at_once,
            "terms": some_terms(),
        }

    def call(self, usecase: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """The use case with those of the ports that it takes."""
        taken = signature(usecase).parameters
        wanted = {name: port for name, port in self.ports.items() if name in taken}
        return usecase(*args, **wanted | named)

    def member(self, email: str = ADA, role: Role = Role.REVIEWER, password: str | None = PASSWORD) -> User:
        user = User(id=self.storage.ids.new(), email=email, name="", created_at=self.clock.now())
        with self.storage.writing(self.tenant) as tx:
            user = tx.members.add(user, Membership(tenant_id=self.tenant.tenant_id, user_id=user.id, role=role))
        if password is not None:
            self.storage.people.put_password(user.id, self.hasher.hash(password), self.clock.now())
        return user

    def acting(self, user: User, role: Role) -> Actor:
        return Actor(
            tenant_id=self.tenant.tenant_id,
            name=user.email,
            user_id=user.id,
            role=role,
            permissions=ROLE_PERMISSIONS[role],
        )

    def sign_in(self, password: str = PASSWORD, email: str = ADA) -> IssuedSession:
        issued: IssuedSession = self.call(sessions.sign_in, email, password, CALLER)
        return issued

    def at(self, issued: IssuedSession) -> Actor:
        """Who the session is."""
        found = sessions.open_session(
            issued.secret, CALLER, idle_seconds=3600, people=self.storage.people, clock=self.clock
        )
        return found[1]

    def send(self) -> None:
        for job in list(self._jobs()):
            claimed = self.storage.claim(self.tenant, job)
            self.call(mail.send_mail, claimed, public_url="https://sort.example", mailer=self.outbox)

    def _jobs(self) -> list[Any]:
        with self.storage.reading(self.tenant) as tx:
            return [job.id for job in tx.jobs.list(stream="mail:send", statuses=["queued"], after=None, limit=9)]

    def told(self, *types: str) -> list[str]:
        return [event.type for event in self.storage.events(self.tenant, *types)]
