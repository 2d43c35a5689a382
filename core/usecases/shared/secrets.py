"""A connection's configuration with its secrets: opened when a connector needs it, never stored or shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from core.domain.connections import Connection, secrets_context
from core.domain.webhooks import SECRET_FIELD, FormerSecret, webhook_secrets
from ports.secrets import SecretBox

_FORMER = f"{SECRET_FIELD}, former"
"""Sealed beside the secret fields, whose names have neither comma nor space."""


def seal_secrets(
    secrets: Mapping[str, Any],
    tenant_id: UUID,
    connection_id: UUID,
    box: SecretBox,
    former: Sequence[FormerSecret] = (),
) -> bytes | None:
    """What is kept of the secret fields of a connection's configuration, and of former secrets of its webhook; None
    where there are none."""
    if not secrets:
        return None
    kept = dict(secrets)
    if former:
        kept[_FORMER] = [{"secret": one.secret, "until": one.until.isoformat()} for one in former]
    return box.seal(json.dumps(kept).encode(), secrets_context(tenant_id, connection_id))


def open_secrets(connection: Connection, box: SecretBox) -> Mapping[str, Any]:
    """The secret fields of its configuration. Raises `SecretUnreadable`."""
    return {name: value for name, value in _opened(connection, box).items() if name != _FORMER}


def former_webhook_secrets(connection: Connection, box: SecretBox) -> Sequence[FormerSecret]:
    """Also those whose time is over. Raises `SecretUnreadable`."""
    return [
        FormerSecret(secret=one["secret"], until=datetime.fromisoformat(one["until"]))
        for one in _opened(connection, box).get(_FORMER, ())
    ]


def whole_config(connection: Connection, box: SecretBox) -> Mapping[str, Any]:
    """Its configuration with its secrets, as a connector sees it. Raises `SecretUnreadable`."""
    return {**connection.config, **open_secrets(connection, box)}


def verifying_config(connection: Connection, box: SecretBox, now: datetime) -> Mapping[str, Any]:
    """Its configuration with all secrets that its webhook may be signed with now. Raises `SecretUnreadable`."""
    config = whole_config(connection, box)
    former = [one.secret for one in former_webhook_secrets(connection, box) if now < one.until]
    return {**config, SECRET_FIELD: [*webhook_secrets(config), *former]} if former else config


def _opened(connection: Connection, box: SecretBox) -> Mapping[str, Any]:
    if connection.sealed is None:
        return {}
    opened: dict[str, Any] = json.loads(
        box.open(connection.sealed, secrets_context(connection.tenant_id, connection.id))
    )
    return opened
