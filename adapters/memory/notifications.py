"""Endpoints, and what they are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from adapters.memory.state import MemoryStore, TenantState, Workspace, as_json, check_version, one
from adapters.memory.work import list_events
from core.domain.events import EventFilter
from core.domain.notifications import TEST, TOLD, Endpoint, Notification, NotificationStatus
from core.errors import Conflict, Invalid
from ports.notification_storage import News


class MemoryEndpoints:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state
        self._endpoints = workspace.state.endpoints

    def add(self, endpoint: Endpoint) -> None:
        if endpoint.user_id is not None and endpoint.user_id not in self._state.memberships:
            raise Invalid("user_id is no member's")
        self._endpoints[endpoint.id] = endpoint

    def list(self) -> Sequence[Endpoint]:
        return [self._endpoints[id] for id in sorted(self._endpoints)]

    def listening(self) -> Sequence[Endpoint]:
        return [self.get(found.id, lock=True) for found in self.list() if found.disabled_at is None]

    def get(self, id: UUID, *, lock: bool = False) -> Endpoint:
        found = one(self._endpoints, id, "endpoint")
        if lock:  # written anew, so that a commit fails when another transaction wrote it meanwhile
            found = self._endpoints[id] = replace(found)
        return found

    def update(self, endpoint: Endpoint) -> None:
        stored = self.get(endpoint.id)
        check_version(stored.version, endpoint.version)
        self._endpoints[stored.id] = replace(
            stored,
            name=endpoint.name,
            url=endpoint.url,
            topics=endpoint.topics,
            digest=endpoint.digest,
            digest_hour=endpoint.digest_hour,
            sealed=endpoint.sealed,
            version=stored.version + 1,
        )

    def note(self, endpoint: Endpoint) -> None:
        stored = self._endpoints.get(endpoint.id)
        if stored is not None:
            self._endpoints[stored.id] = replace(
                stored,
                told_seq=endpoint.told_seq,
                succeeded_at=endpoint.succeeded_at,
                failing_since=endpoint.failing_since,
                disabled_at=endpoint.disabled_at,
                disabled_reason=endpoint.disabled_reason,
            )

    def told(self, ids: Sequence[UUID], upto: int) -> None:
        for id in ids:
            if id in self._endpoints:
                self._endpoints[id] = replace(self._endpoints[id], told_seq=upto)

    def delete(self, id: UUID, version: int | None) -> None:
        check_version(self.get(id).version, version)
        forget_endpoint(self._state, id)


class MemoryNotifications:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._state = workspace.state
        self._notifications = workspace.state.notifications

    def last_seq(self) -> int:
        return _last_seq(self._state)

    def news(self, after: int, limit: int) -> News:
        wanted = EventFilter(types=tuple(TOLD))
        found = list_events(self._at.tenant_id, self._state, wanted, after=after, limit=limit)
        return News(events=found, upto=found[-1].seq if len(found) == limit else self.last_seq())

    def add(self, notifications: Sequence[Notification]) -> None:
        for new in notifications:
            if new.endpoint_id not in self._state.endpoints:
                raise Invalid("this endpoint does not exist")
            told = [other.seq for other in self._notifications.values() if other.endpoint_id == new.endpoint_id]
            collects = new.status is NotificationStatus.COLLECTING and self.collecting(new.endpoint_id) is not None
            if collects or (new.seq is not None and new.seq in told):
                raise Conflict("this endpoint was told of this already")
            self._notifications[new.id] = replace(new, data=as_json(new.data))

    def get(self, id: UUID, *, lock: bool = False) -> Notification:
        found = one(self._notifications, id, "delivery")
        if lock:  # as of endpoints
            found = self._notifications[id] = replace(found)
        return found

    def list(self, endpoint_id: UUID, *, before: UUID | None, limit: int) -> Sequence[Notification]:
        newest_first = sorted(self._notifications, reverse=True)
        mine = (self._notifications[id] for id in newest_first if before is None or id < before)
        return [found for found in mine if found.endpoint_id == endpoint_id][:limit]

    def collecting(self, endpoint_id: UUID) -> Notification | None:
        return next(iter(self._in(endpoint_id, NotificationStatus.COLLECTING)), None)

    def collect(self, digest: Notification, limit: int) -> tuple[int, Sequence[Notification]]:
        waiting = self._in(digest.endpoint_id, NotificationStatus.WAITING)
        for found in waiting:
            taken = replace(found, digest_id=digest.id, status=NotificationStatus.PENDING)
            self._notifications[found.id] = taken
        return len(waiting), [found for found in self._sorted() if found.digest_id == digest.id][:limit]

    def update(self, notification: Notification) -> None:
        stored = self.get(notification.id)
        self._notifications[stored.id] = replace(
            stored,
            data=as_json(notification.data),
            occurred_at=notification.occurred_at,
            status=notification.status,
            digest_id=notification.digest_id,
            job_id=notification.job_id,
            tries=notification.tries,
            attempts=notification.attempts,
            next_at=notification.next_at,
            finished_at=notification.finished_at,
        )
        for along in [found for found in self._sorted() if found.digest_id == stored.id]:
            became = replace(along, status=notification.status, finished_at=notification.finished_at)
            self._notifications[along.id] = became

    def failed_since(self, endpoint_id: UUID, since: datetime, limit: int) -> Sequence[Notification]:
        failed = self._in(endpoint_id, NotificationStatus.FAILED)
        oldest_first = sorted(failed, key=lambda found: (found.created_at, found.id))
        return [
            self.get(found.id, lock=True)
            for found in oldest_first
            if found.created_at >= since and found.type != TEST and found.digest_id is None
        ][:limit]

    def _sorted(self) -> Sequence[Notification]:
        return [self._notifications[id] for id in sorted(self._notifications)]

    def _in(self, endpoint_id: UUID, status: NotificationStatus) -> Sequence[Notification]:
        return [found for found in self._sorted() if (found.endpoint_id, found.status) == (endpoint_id, status)]


class MemoryNotificationSystem:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def tenants_with_news(self) -> Sequence[UUID]:
        with self._store.lock:
            return sorted(
                id
                for id, state in self._store.tenants.items()
                if any(e.disabled_at is None and e.told_seq < _last_seq(state) for e in state.endpoints.values())
            )

    def queues_to_tell(self, low_share: float) -> Sequence[UUID]:
        with self._store.lock:
            return sorted(id for id, state in self._store.tenants.items() if _to_tell(id, state, low_share))

    def sweep(self, seconds: float) -> int:
        with self._store.lock:
            before = self._store.clock.now() - timedelta(seconds=seconds)
            count = 0
            for state in self._store.tenants.values():
                ended = [n.id for n in state.notifications.values() if n.finished_at and n.finished_at < before]
                for id in ended:
                    del state.notifications[id]
                count += len(ended)
        return count


def forget_endpoint(state: TenantState, id: UUID) -> None:
    """With all that it was told."""
    del state.endpoints[id]
    for told in [n.id for n in state.notifications.values() if n.endpoint_id == id]:
        del state.notifications[told]


def _last_seq(state: TenantState) -> int:
    return max((batch.last_seq or 0 for batch in state.batches.values()), default=0)


def _to_tell(tenant_id: UUID, state: TenantState, low_share: float) -> bool:
    tenant = state.tenants.get(tenant_id)
    if tenant is None:
        return False
    most, told = tenant.settings.queue_limit, tenant_id in state.queues_told
    waiting = sum(approval.verdict is None for approval in state.approvals.values())
    if most is None:
        return told
    return waiting < most * low_share if told else waiting > most
