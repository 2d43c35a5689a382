"""API keys in the making."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from core.domain import api_keys
from core.domain.events import EventType, NewEvent
from core.domain.permissions import Permission
from core.domain.tenants import ApiKey
from ports.clock import Ids
from ports.storage import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A new key and its written form, which is shown once and kept nowhere."""

    key: ApiKey
    secret: str = field(repr=False)


def issue_key(
    tx: Transaction,
    tenant_id: UUID,
    name: str,
    scopes: frozenset[Permission],
    expires_at: datetime | None,
    now: datetime,
    ids: Ids,
    *,
    operators: bool = False,
    created_by: UUID | None = None,
) -> IssuedKey:
    """Adds a key to the tenant, with its event."""
    key_id, secret = api_keys.make_key(ids.entropy(api_keys.ENTROPY_BYTES))
    key = ApiKey(
        id=ids.new(),
        tenant_id=tenant_id,
        key_id=key_id,
        name=name,
        secret_hash=api_keys.hash_secret(secret),
        scopes=scopes,
        created_at=now,
        expires_at=expires_at,
        operators=operators,
        created_by=created_by,
    )
    tx.api_keys.add(key)
    payload = {"scopes": sorted(s.value for s in scopes)}
    tx.events.append([NewEvent(type=EventType.KEY_CREATED, subject_id=key.id, payload=payload)])
    return IssuedKey(key=key, secret=api_keys.write_key(key_id, secret))
