"""What signs the webhooks of an endpoint: opened when one is sent, shown when it was made, never else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from core.domain.connections import SealedPurpose, secrets_context
from core.domain.notifications import Endpoint
from core.domain.webhooks import FormerSecret
from ports.secrets import SecretBox


def seal_endpoint_secrets(
    secret: str, tenant_id: UUID, endpoint_id: UUID, box: SecretBox, former: Sequence[FormerSecret] = ()
) -> bytes:
    kept = {"secret": secret, "former": [{"secret": one.secret, "until": one.until.isoformat()} for one in former]}
    return box.seal(json.dumps(kept).encode(), secrets_context(tenant_id, endpoint_id, SealedPurpose.ENDPOINT))


def open_endpoint_secrets(endpoint: Endpoint, box: SecretBox) -> tuple[str, Sequence[FormerSecret]]:
    """The present secret, and former ones, also those whose time is over. Raises `SecretUnreadable`."""
    assert endpoint.sealed is not None  # noqa: S101 - webhooks have one, and nothing else asks
    opened = json.loads(
        box.open(endpoint.sealed, secrets_context(endpoint.tenant_id, endpoint.id, SealedPurpose.ENDPOINT))
    )
    former = [
        FormerSecret(secret=one["secret"], until=datetime.fromisoformat(one["until"])) for one in opened["former"]
    ]
    return opened["secret"], former


def signing_secrets(endpoint: Endpoint, box: SecretBox, now: datetime) -> Sequence[str]:
    """All that sign now, the present one first. Raises `SecretUnreadable`."""
    present, former = open_endpoint_secrets(endpoint, box)
    return [present, *(one.secret for one in former if now < one.until)]
