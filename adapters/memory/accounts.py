"""Tenants and their API keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from adapters.memory.state import Workspace, check_version, one, page
from core.domain.tenants import ApiKey, Tenant
from core.errors import Conflict

TOUCH_EVERY = timedelta(minutes=1)


class MemoryTenants:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._tenants = workspace.state.tenants

    def get(self) -> Tenant:
        return one(self._tenants, self._at.tenant_id, "tenant")

    def add(self, tenant: Tenant) -> None:
        if tenant.id in self._tenants:
            raise Conflict("this tenant exists already")
        self._tenants[tenant.id] = tenant

    def update(self, tenant: Tenant) -> None:
        stored = self.get()
        check_version(stored.version, tenant.version)
        self._tenants[stored.id] = replace(
            stored,
            name=tenant.name,
            time_zone=tenant.time_zone,
            settings=tenant.settings,
            rules_version=stored.rules_version + 1,
            version=stored.version + 1,
        )

    def note_reading(self, now: datetime, since: datetime) -> bool:
        reads, id = self._at.state.operator_reads, self._at.tenant_id
        if id not in self._tenants or (id in reads and reads[id] > since):
            return False
        reads[id] = now
        return True

    def note_queue(self, told_at: datetime | None) -> bool:
        told, id = self._at.state.queues_told, self._at.tenant_id
        if (told_at is None) == (id not in told):
            return False
        if told_at is None:
            del told[id]
        else:
            told[id] = told_at
        return True


class MemoryApiKeys:
    def __init__(self, workspace: Workspace) -> None:
        self._keys = workspace.state.api_keys

    def add(self, key: ApiKey) -> None:
        if key.id in self._keys:
            raise Conflict("a key with this id exists")
        self._keys[key.id] = key

    def list(self) -> Sequence[ApiKey]:
        return page(self._keys, None)

    def get(self, id: UUID) -> ApiKey:
        return one(self._keys, id, "API key")

    def revoke(self, id: UUID, now: datetime) -> ApiKey:
        key = self.get(id)
        if key.revoked_at is None:
            self._keys[id] = key = replace(key, revoked_at=now)
        return key

    def expire(self, id: UUID, latest: datetime) -> ApiKey:
        key = self.get(id)
        if key.revoked_at is not None:
            raise Conflict("this API key was revoked")
        self._keys[id] = key = replace(
            key, expires_at=latest if key.expires_at is None else min(key.expires_at, latest)
        )
        return key

    def touch(self, id: UUID, now: datetime) -> None:
        key = self._keys.get(id)
        if key is not None and (key.last_used_at is None or key.last_used_at < now - TOUCH_EVERY):
            self._keys[id] = replace(key, last_used_at=now)
