"""Storage of endpoints and of what they are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from core.domain.events import Event
from core.domain.notifications import Endpoint, Notification


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """The events that are told, in order, of all up to `upto`."""

    events: Sequence[Event]
    upto: int


class Endpoints(Protocol):
    def add(self, endpoint: Endpoint) -> None:
        """Raises `Invalid` for a `user_id` of no member."""
        ...

    def list(self) -> Sequence[Endpoint]:
        """By rising id."""
        ...

    def listening(self) -> Sequence[Endpoint]:
        """Those that are not disabled, by rising id, held until the transaction ends."""
        ...

    def get(self, id: UUID, *, lock: bool = False) -> Endpoint:
        """Raises `NotFound`. With `lock` nobody else changes it until the transaction ends."""
        ...

    def update(self, endpoint: Endpoint) -> None:
        """Writes what people change, if the stored version is `endpoint.version`, which then rises by one; raises
        `VersionMismatch` or `NotFound`."""
        ...

    def note(self, endpoint: Endpoint) -> None:
        """Writes what became of it: `told_seq`, `succeeded_at`, `failing_since`, and since when and why it is disabled.
        The version stays."""
        ...

    def told(self, ids: Sequence[UUID], upto: int) -> None:
        """These were told of all events up to that one."""
        ...

    def delete(self, id: UUID, version: int | None) -> None:
        """With all that it was told. Raises `VersionMismatch` or `NotFound`."""
        ...


class Notifications(Protocol):
    def last_seq(self) -> int:
        """That of the tenant's last sealed event; 0 without any."""
        ...

    def news(self, after: int, limit: int) -> News:
        """What was sealed after that event: at most `limit` that are told."""
        ...

    def add(self, notifications: Sequence[Notification]) -> None:
        """Raises `Conflict` where an endpoint is told of an event twice, or has two digests that collect."""
        ...

    def get(self, id: UUID, *, lock: bool = False) -> Notification:
        """Raises `NotFound`. With `lock` nobody else changes it until the transaction ends."""
        ...

    def list(self, endpoint_id: UUID, *, before: UUID | None, limit: int) -> Sequence[Notification]:
        """Newest first; `before` is the last id of the page before."""
        ...

    def collecting(self, endpoint_id: UUID) -> Notification | None:
        """The digest that takes along what waits at the endpoint."""
        ...

    def collect(self, digest: Notification, limit: int) -> tuple[int, Sequence[Notification]]:
        """Puts all that waits at the digest's endpoint into it; how many they are, and the first `limit` in order."""
        ...

    def update(self, notification: Notification) -> None:
        """Writes all but what it is of; what a digest took along becomes what it becomes. Raises `NotFound`."""
        ...

    def failed_since(self, endpoint_id: UUID, since: datetime, limit: int) -> Sequence[Notification]:
        """The oldest that were made since then and failed, but for tests and what went in digests; held until the
        transaction ends."""
        ...


class NotificationSystem(Protocol):
    """What is done of notifications across tenants, each call a transaction of its own."""

    def tenants_with_news(self) -> Sequence[UUID]:
        """Those with an endpoint that was not told of all sealed events. Costs nothing of who has no endpoint."""
        ...

    def queues_to_tell(self, low_share: float) -> Sequence[UUID]:
        """Tenants whose queue of open approvals passed their limit since it was told, or that were told and have fewer
        than that share of it now."""
        ...

    def sweep(self, seconds: float) -> int:
        """Drops notifications that ended so long ago; returns how many."""
        ...
