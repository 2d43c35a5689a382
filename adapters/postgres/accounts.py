"""Tenants and their API keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, or_, select

from adapters.postgres.guards import at, conflicts, update_versioned
from adapters.postgres.tables import api_keys, tenants
from core.domain.permissions import Permission
from core.domain.tenants import ApiKey, Tenant, settings_from
from core.errors import Conflict, NotFound

TOUCH_EVERY = timedelta(minutes=1)
"""How exact `last_used_at` is: one write a minute, however busy a key is."""


class PostgresTenants:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def get(self) -> Tenant:
        row = self._connection.execute(select(tenants).where(tenants.c.tenant_id == self._tenant_id)).mappings().first()
        if row is None:
            raise NotFound("this tenant does not exist")
        return to_tenant(row)

    def add(self, tenant: Tenant) -> None:
        with conflicts(taken="this tenant exists already"):
            self._connection.execute(
                tenants.insert().values(
                    tenant_id=tenant.id,
                    name=tenant.name,
                    time_zone=tenant.time_zone,
                    settings=asdict(tenant.settings),
                    rules_version=tenant.rules_version,
                    created_at=tenant.created_at,
                    version=tenant.version,
                )
            )

    def update(self, tenant: Tenant) -> None:
        values = {"name": tenant.name, "time_zone": tenant.time_zone, "settings": asdict(tenant.settings)}
        # Trusting a pack changes what its rules do, so compiled rules must go stale too.
        update_versioned(
            self._connection,
            tenants,
            tenants.c.tenant_id == self._tenant_id,
            tenant.version,
            values | {"rules_version": tenants.c.rules_version + 1},
        )

    def note_reading(self, now: datetime, since: datetime) -> bool:
        last = tenants.c.operator_read_at
        first = (tenants.c.tenant_id == self._tenant_id) & (last.is_(None) | (last <= since))
        return self._connection.execute(tenants.update().where(first).values(operator_read_at=now)).rowcount == 1

    def note_queue(self, told_at: datetime | None) -> bool:
        noted = tenants.c.queue_told_at
        news = (tenants.c.tenant_id == self._tenant_id) & (noted.is_not(None) if told_at is None else noted.is_(None))
        return self._connection.execute(tenants.update().where(news).values(queue_told_at=told_at)).rowcount == 1


class PostgresApiKeys:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, key: ApiKey) -> None:
        values = {name: getattr(key, name) for name in ApiKey.__slots__} | {"scopes": sorted(key.scopes)}
        with conflicts(taken="a key with this id exists"):
            self._connection.execute(api_keys.insert().values(**values))

    def list(self) -> Sequence[ApiKey]:
        rows = self._connection.execute(
            select(api_keys).where(api_keys.c.tenant_id == self._tenant_id).order_by(api_keys.c.id)
        ).mappings()
        return [to_api_key(row) for row in rows]

    def get(self, id: UUID) -> ApiKey:
        row = self._connection.execute(select(api_keys).where(at(api_keys, self._tenant_id, id))).mappings().first()
        if row is None:
            raise NotFound("this API key does not exist")
        return to_api_key(row)

    def revoke(self, id: UUID, now: datetime) -> ApiKey:
        key = self.get(id)
        if key.revoked_at is not None:
            return key
        self._connection.execute(api_keys.update().where(at(api_keys, self._tenant_id, id)).values(revoked_at=now))
        return replace(key, revoked_at=now)

    def expire(self, id: UUID, latest: datetime) -> ApiKey:
        key = self.get(id)
        if key.revoked_at is not None:
            raise Conflict("this API key was revoked")
        ends = latest if key.expires_at is None else min(key.expires_at, latest)
        self._connection.execute(api_keys.update().where(at(api_keys, self._tenant_id, id)).values(expires_at=ends))
        return replace(key, expires_at=ends)

    def touch(self, id: UUID, now: datetime) -> None:
        column = api_keys.c.last_used_at
        self._connection.execute(
            api_keys.update()
            .where(at(api_keys, self._tenant_id, id), or_(column.is_(None), column < now - TOUCH_EVERY))
            .values(last_used_at=now)
        )


def to_tenant(row: RowMapping) -> Tenant:
    return Tenant(
        id=row["tenant_id"],
        name=row["name"],
        time_zone=row["time_zone"],
        settings=settings_from(row["settings"]),
        rules_version=row["rules_version"],
        created_at=row["created_at"],
        version=row["version"],
    )


def to_api_key(row: RowMapping) -> ApiKey:
    values: dict[str, Any] = {name: row[name] for name in ApiKey.__slots__}
    return ApiKey(
        **values | {"scopes": frozenset(Permission(s) for s in row["scopes"]), "secret_hash": bytes(row["secret_hash"])}
    )
