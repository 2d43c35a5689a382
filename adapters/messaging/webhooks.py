"""Webhooks out, by Standard Webhooks, over the transport that checks addresses."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

import httpcore2
import httpx2

from adapters.http.client import USER_AGENT, retry_after
from core.domain.endpoint_checks import WHSEC
from core.errors import ConfigInvalid, Transient
from ports.notifications import Answer, OutgoingWebhook

_ASKS_TO_WAIT = frozenset({429, 503})


class StandardWebhookSender:
    """A `WebhookSender`; may be shared by threads. What receivers answer is looked at for its status alone."""

    def __init__(self, transport: httpx2.BaseTransport) -> None:
        self._transport = transport

    def send(self, webhook: OutgoingWebhook) -> Answer:
        try:
            request = httpx2.Request("POST", webhook.url, headers=_headers(webhook), content=webhook.body)
            answer = self._transport.handle_request(request)
        except (ConfigInvalid, httpx2.InvalidURL, UnicodeError, ValueError):
            return Answer(status=None, code="not_allowed")
        except httpcore2.TimeoutException:
            return Answer(status=None, code="timeout")
        except (httpcore2.ConnectError, Transient):
            return Answer(status=None, code="unreachable")
        except (httpcore2.NetworkError, httpcore2.ProtocolError):
            return Answer(status=None, code="broken_off")
        status = answer.status_code
        if 200 <= status < 300:
            return Answer(status=status, code="ok")
        asked = retry_after(answer.headers.get("retry-after"), datetime.now(UTC)) if status in _ASKS_TO_WAIT else None
        return Answer(status=status, code="redirect" if 300 <= status < 400 else "refused", retry_after=asked)


def _headers(webhook: OutgoingWebhook) -> Mapping[str, str]:
    stamp = str(int(webhook.at.timestamp()))
    signed = b".".join((webhook.id.encode(), stamp.encode(), webhook.body))
    return {
        "user-agent": USER_AGENT,
        "content-type": "application/json",
        "webhook-id": webhook.id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in webhook.secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(WHSEC))
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
