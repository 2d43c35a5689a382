"""Signs deliveries as a source does that a manifest speaks of, and has the host look at them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from core.domain.plugins import Webhook, WebhookScheme
from core.domain.webhooks import SECRET_FIELD, UNSIGNED_FIELD

TIMED = frozenset({WebhookScheme.STANDARD, WebhookScheme.STRIPE})
"""Schemes that sign when a delivery was sent."""


def made_secret(tenant: int, which: str = "") -> str:
    """A secret that every scheme takes."""
    return f"whsec_{base64.b64encode(f'canary-{SECRET_FIELD}-{tenant}{which}-6e1f0c'.encode()).decode()}"


def fields_of(webhook: Webhook) -> Mapping[str, object]:
    """What the configuration of a connection must have for its deliveries to be taken."""
    unsigned = webhook.scheme is WebhookScheme.UNSIGNED
    return {UNSIGNED_FIELD: True} if unsigned else {SECRET_FIELD: made_secret(0)}


def signed(webhook: Webhook, secret: str, id: str, body: bytes, at: datetime) -> dict[str, str]:
    """The headers, names in lower case, by which a delivery that was sent then says that it is genuine, and its event's
    id."""
    stamp = str(int(at.timestamp()))
    match webhook.scheme:
        case WebhookScheme.STANDARD:
            key = base64.b64decode(secret.removeprefix("whsec_"))
            value = base64.b64encode(_digest(key, b".".join((id.encode(), stamp.encode(), body)))).decode()
            return {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{value}"}
        case WebhookScheme.STRIPE:
            value = _digest(secret.encode(), stamp.encode() + b"." + body).hex()
            return {"stripe-signature": f"t={stamp},v1={value}"}
        case WebhookScheme.GITHUB:
            value = _digest(secret.encode(), body).hex()
            return {"x-hub-signature-256": f"sha256={value}", "x-github-delivery": id}
        case WebhookScheme.HMAC:
            names = {webhook.signature_header.lower(): _digest(secret.encode(), body).hex()}
        case WebhookScheme.UNSIGNED:
            names = {}
    return names | ({webhook.id_header.lower(): id} if webhook.id_header else {})


def header_names(webhook: Webhook) -> frozenset[str]:
    """The headers that a source must send, in lower case, where the manifest names them itself."""
    hmac_only = webhook.signature_header if webhook.scheme is WebhookScheme.HMAC else ""
    return frozenset(name.lower() for name in (hmac_only, webhook.id_header) if name)


def _digest(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, hashlib.sha256).digest()
