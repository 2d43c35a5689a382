"""A connection's configuration with its secrets: opened when a connector needs it, never stored or shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from core.domain.connections import Connection, secrets_context
from ports.secrets import SecretBox


def seal_secrets(secrets: Mapping[str, Any], tenant_id: UUID, connection_id: UUID, box: SecretBox) -> bytes | None:
    """What is kept of the secret fields of a connection's configuration; None where there are none."""
    if not secrets:
        return None
    return box.seal(json.dumps(dict(secrets)).encode(), secrets_context(tenant_id, connection_id))


def open_secrets(connection: Connection, box: SecretBox) -> Mapping[str, Any]:
    """The secret fields of its configuration. Raises `SecretUnreadable`."""
    if connection.sealed is None:
        return {}
    plain = box.open(connection.sealed, secrets_context(connection.tenant_id, connection.id))
    opened: dict[str, Any] = json.loads(plain)
    return opened


def whole_config(connection: Connection, box: SecretBox) -> Mapping[str, Any]:
    """Its configuration with its secrets, as a connector sees it. Raises `SecretUnreadable`."""
    return {**connection.config, **open_secrets(connection, box)}
