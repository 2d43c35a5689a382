"""A tenant with endpoints, a receiver that answers as it is told, workers and a clock of its own, over whatever
storage."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from inspect import signature
from typing import Any
from uuid import UUID

from adapters.memory.clock import FixedClock
from adapters.secrets.box import AesSecretBox
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job, JobStatus, Stream
from core.domain.notifications import Endpoint, EndpointKind, Notification, Topic
from core.domain.permissions import Role
from core.domain.tenants import Membership, User
from core.errors import LeaseLost, NotFound
from core.usecases import endpoints, mail, notifications, sending, telling
from core.usecases.jobs import fail_job
from ports.mail import Mail
from ports.notifications import Answer, OutgoingWebhook
from tests.contract.billing_world import LONG_AGO, ORIGIN
from tests.contract.storage import Storage, some_terms

OK = Answer(status=200, code="ok")
DOWN = Answer(status=503, code="refused")
KEY = "a key of tests, which seals nothing that anybody wants"


@dataclass(kw_only=True)
class NotificationWorld:
    storage: Storage
    clock: FixedClock = field(default_factory=lambda: FixedClock(LONG_AGO))
    answers: list[Answer] = field(default_factory=lambda: [OK])
    """What the receiver answers, one each; the last one stays."""
    received: list[OutgoingWebhook] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    refuses: Exception | None = None
    """What the mail server says."""

    def __post_init__(self) -> None:
        self.tenant = self.storage.tenant()
        self.secrets = AesSecretBox(KEY)
        self.owner = self.member(Role.OWNER)

    @property
    def ports(self) -> Mapping[str, Any]:
        return {
            "backoff_seconds": 1.0,
            "clock": self.clock,
            "ids": self.storage.ids,
            "mailer": self,
            "max_attempts": 3,
            "notifications": self.storage.notifications,
            "people": self.storage.people,
            "public_url": ORIGIN,
            "secrets": self.secrets,
            "sender": _Receiver(self),
            "terms": some_terms(mails=True),
            "uow": self.storage.uow,
        }

    def call(self, usecase: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """The use case with those of the ports that it takes."""
        taken = signature(usecase).parameters
        return usecase(*args, **{name: port for name, port in self.ports.items() if name in taken} | named)

    def send(self, mail: Mail) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.mails.append(mail)

    def member(self, role: Role) -> User:
        id = self.storage.ids.new()
        user = User(id=id, email=f"{id}@example.org", name="", created_at=self.clock.now())
        with self.storage.writing(self.tenant) as tx:
            return tx.members.add(user, Membership(tenant_id=self.tenant.tenant_id, user_id=id, role=role))

    def webhook(self, *topics: Topic, **fields: Any) -> tuple[UUID, str]:
        """The id of a new endpoint, and its secret."""
        given = {"kind": EndpointKind.WEBHOOK, "name": "Pager", "url": "https://hooks.example/in", **fields}
        made, secret = self.call(endpoints.create_endpoint, self.tenant, topics=topics or (Topic.FAILURES,), **given)
        return made.id, secret

    def mailing(self, user: User, *topics: Topic) -> UUID:
        given = {"kind": EndpointKind.MAIL, "name": "Mail", "user_id": user.id}
        made, _ = self.call(endpoints.create_endpoint, self.tenant, topics=topics or (Topic.FAILURES,), **given)
        return UUID(str(made.id))

    def happens(self, type: EventType = EventType.IMPORT_FAILED, **payload: Any) -> UUID:
        """An event, sealed and made into notifications; whom it is about."""
        subject = self.storage.ids.new()
        with self.storage.writing(self.tenant) as tx:
            tx.events.append([NewEvent(type=type, subject_id=subject, payload=payload)])
        self.make()
        return subject

    def make(self) -> int:
        self.storage.system.seal()
        made = 0
        for tenant_id in self.call(telling.tenants_with_news):
            made += self.call(telling.make_notifications, tenant_id)
        return made

    def endpoint(self, id: UUID) -> Endpoint:
        found: Endpoint = self.call(endpoints.get_endpoint, self.tenant, id)
        return found

    def log(self, endpoint_id: UUID) -> Sequence[Notification]:
        """The oldest first."""
        given = {"before": None, "limit": 500}
        found: Sequence[Notification] = self.call(notifications.list_notifications, self.tenant, endpoint_id, **given)
        return list(reversed(found))

    def jobs(self, *statuses: JobStatus, stream: Stream = Stream.SEND) -> list[Job]:
        """Those that are open, unless it is said otherwise."""
        wanted = [status.value for status in statuses or (JobStatus.QUEUED, JobStatus.PUBLISHED)]
        with self.storage.reading(self.tenant) as tx:
            return list(tx.jobs.list(stream=stream.value, statuses=wanted, after=None, limit=500))

    def claim(self, job: Job) -> Job | None:
        with self.storage.writing(self.tenant) as tx:
            return tx.jobs.claim(job.id, self.storage.ids.new(), 60)

    def work(self, job: Job) -> bool:
        """What a worker does with a job; whether it was to be had."""
        claimed = self.claim(job)
        if claimed is None:
            return False
        handler = sending.send_notification if claimed.stream is Stream.SEND else mail.send_mail
        try:
            self.call(handler, claimed)
        except LeaseLost:
            return False
        except Exception as error:
            self.call(fail_job, claimed, error)
        return True

    def drain(self) -> int:
        """Sends what is due by the clock, and the mails; how many jobs that were."""
        done = 0
        while found := [job for job in self.jobs() if self._is_due(job)] + self.jobs(stream=Stream.MAIL):
            done += sum(self.work(job) for job in found)
        return done

    def pass_time(self, by: timedelta) -> int:
        self.clock.advance(by)
        return self.drain()

    def bodies(self) -> list[Any]:
        return [json.loads(webhook.body) for webhook in self.received]

    def _is_due(self, job: Job) -> bool:
        """By the world's clock: of what waits for its next try, for which the storage's own is always late enough."""
        try:
            with self.storage.reading(self.tenant) as tx:
                next_at = tx.notifications.get(UUID(job.payload["notification_id"])).next_at
        except NotFound:  # it is gone with its endpoint
            return True
        return next_at is None or next_at <= self.clock.now()


@dataclass(frozen=True)
class _Receiver:
    world: NotificationWorld

    def send(self, webhook: OutgoingWebhook) -> Answer:
        self.world.received.append(webhook)
        answers = self.world.answers
        return answers.pop(0) if len(answers) > 1 else answers[0]
