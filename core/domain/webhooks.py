"""Webhooks in: whether a delivery comes from the source that a connection is for, and what became of it.

All secrets of the connection are tried, so that a source may sign with the former one until its owner has changed it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from core.domain.plugins import Webhook, WebhookScheme
from core.errors import Invalid, WebhookRefused

SECRET_FIELD = "webhook_secret"  # noqa: S105 - a name
"""The field of a configuration with the secret, or a list of those that may sign."""
MAX_OVERLAP = timedelta(days=30)
"""How long a former secret serves on at most."""
MAX_FORMER = 5
UNSIGNED_FIELD = "accept_unsigned"
"""The field that must be true where nothing is signed."""
REPLAY_WINDOW = timedelta(minutes=5)
MAX_EVENT_ID = 200
_MAX_SIGNATURES = 20
_SIGNATURES = frozenset({"webhook-signature", "stripe-signature", "x-hub-signature", "x-hub-signature-256"})
_UNKEPT_HEADERS = _SIGNATURES | {"authorization", "cookie", "proxy-authorization"}


class DeliveryStatus(StrEnum):
    RECEIVED = "received"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivery:
    """An event that a source sent, and what became of it. Counts are as an import's; `refusals` as its."""

    id: UUID
    tenant_id: UUID
    connection_id: UUID
    event_id: str
    job_id: UUID
    bytes: int
    status: DeliveryStatus
    inserted: int
    known: int
    refused: int
    refusals: tuple[Mapping[str, Any], ...]
    failure: str | None
    received_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerSecret:
    """What the source may sign with until then, beside the present secret."""

    secret: str = field(repr=False)
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedDeliveries:
    """What was refused of a connection's deliveries: how many, why the last one and when, and when its log told of it
    last. It is noted once in a while, so a few may be missing."""

    count: int
    outcome: Outcome
    at: datetime
    logged_at: datetime


class Outcome(StrEnum):
    """What became of a call, for those who operate this; who calls learns nothing but that it was refused."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown"
    """No connection, or none that takes webhooks."""
    UNSIGNED = "unsigned"
    FORGED = "forged"
    STALE = "stale"


REASONS: Mapping[Outcome, str] = {
    Outcome.UNSIGNED: "it has no signature, or not in the headers of its scheme",
    Outcome.FORGED: "it is signed with another secret than `webhook_secret`, or was changed on its way",
    Outcome.STALE: "it was signed more than five minutes before or after now, or says not when",
}
"""Why a delivery to a connection was refused, for its owner."""


def verify(webhook: Webhook, config: Mapping[str, Any], headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """The id of the event that a delivery tells of; names of `headers` are in lower case.

    Raises `WebhookRefused`, with the `Outcome` in its details.
    """
    secrets = webhook_secrets(config)
    match webhook.scheme:
        case WebhookScheme.STANDARD:
            id = headers.get("webhook-id", "")
            _check_standard(secrets, id, headers, body, now)
            return _event_id(id, body)
        case WebhookScheme.STRIPE:
            _check_stripe(secrets, headers, body, now)
            return _event_id(_id_in(body), body)
        case WebhookScheme.GITHUB:
            _check_hex(secrets, headers.get("x-hub-signature-256", ""), body, prefix="sha256=")
            return _unsigned_id(headers.get("x-github-delivery", ""), body)
        case WebhookScheme.HMAC:
            _check_hex(secrets, headers.get(webhook.signature_header.lower(), ""), body)
        case WebhookScheme.UNSIGNED:
            if config.get(UNSIGNED_FIELD) is not True:
                raise _refused(Outcome.UNSIGNED)
    return _unsigned_id(headers.get(webhook.id_header.lower(), "") if webhook.id_header else "", body)


def webhook_secrets(config: Mapping[str, Any]) -> Sequence[str]:
    given = config.get(SECRET_FIELD)
    several = given if isinstance(given, list | tuple) else [given]
    return [secret.strip() for secret in several if isinstance(secret, str) and secret.strip()]


def superseded(
    present: Sequence[str], former: Sequence[FormerSecret], new: str, overlap: timedelta, now: datetime
) -> tuple[FormerSecret, ...]:
    """The former secrets when `new` takes the place of `present`: these serve on for `overlap`, those of before as long
    as they were to. Without an overlap all of them end at once, as after a leak. Raises `Invalid`."""
    if not timedelta() <= overlap <= MAX_OVERLAP:
        raise Invalid(f"overlap_seconds lies between 0 and {MAX_OVERLAP.total_seconds():.0f}")
    if not overlap:
        return ()
    ending = [FormerSecret(secret=secret, until=now + overlap) for secret in present]
    known = {one.secret for one in ending} | {new}
    still = [one for one in former if one.secret not in known and now < one.until]
    return tuple(one for one in (*ending, *still) if one.secret != new)[:MAX_FORMER]


def check_secret_form(webhook: Webhook | None, config: Mapping[str, Any]) -> None:
    """Raises `Invalid` for a secret that signs nothing by the scheme: every delivery would be refused."""
    if webhook is None or webhook.scheme is not WebhookScheme.STANDARD:
        return
    if not all(any(_standard_keys(secret)) for secret in webhook_secrets(config)):
        raise Invalid(
            f"config.{SECRET_FIELD}: a secret of Standard Webhooks is Base64, mostly behind whsec_",
            fields={f"config.{SECRET_FIELD}": ["Not whsec_ and Base64 behind it."]},
        )


def kept_headers(webhook: Webhook, headers: Mapping[str, str]) -> dict[str, str]:
    """What of the headers is kept for the plugin: nothing that lets anybody in, as a signature does whoever sends the
    delivery again."""
    unkept = _UNKEPT_HEADERS | {webhook.signature_header.lower()}
    return {name: value for name, value in headers.items() if name not in unkept}


def _check_standard(secrets: Sequence[str], id: str, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    stamp, given = headers.get("webhook-timestamp", ""), headers.get("webhook-signature", "")
    if not (id and stamp and given):
        raise _refused(Outcome.UNSIGNED)
    content = b".".join((id.encode("utf-8", "replace"), stamp.encode("utf-8", "replace"), body))
    signatures = [part.partition(",") for part in given.split()[:_MAX_SIGNATURES]]
    _check(
        (_decoded(value) for version, _, value in signatures if version == "v1"),
        (_signed(key, content) for secret in secrets for key in _standard_keys(secret)),
    )
    _check_time(stamp, now)


def _check_stripe(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    parts = [part.strip().partition("=") for part in headers.get("stripe-signature", "").split(",")]
    stamps = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1"][:_MAX_SIGNATURES]
    if not (stamps and given):
        raise _refused(Outcome.UNSIGNED)
    content = stamps[0].encode("utf-8", "replace") + b"." + body
    _check((_unhexed(value) for value in given), (_signed(secret.encode(), content) for secret in secrets))
    _check_time(stamps[0], now)


def _check_hex(secrets: Sequence[str], given: str, body: bytes, prefix: str = "") -> None:
    if not given or not given.startswith(prefix):
        raise _refused(Outcome.UNSIGNED)
    value = given.removeprefix(prefix or "sha256=").strip()
    _check([_unhexed(value)], (_signed(secret.encode(), body) for secret in secrets))


def _check(given: Iterable[bytes | None], right: Iterable[bytes]) -> None:
    """Compares all with all, however early one fits: how long it takes tells nothing."""
    known = list(right)
    fits = False
    for signature in given:
        for one in known:
            fits |= signature is not None and hmac.compare_digest(signature, one)
    if not fits:
        raise _refused(Outcome.FORGED)


def _check_time(stamp: str, now: datetime) -> None:
    """Only after the signature: what nobody signed deserves no other answer than a forgery."""
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12):
        raise _refused(Outcome.STALE)
    if abs(now.timestamp() - int(stamp)) > REPLAY_WINDOW.total_seconds():
        raise _refused(Outcome.STALE)


def _standard_keys(secret: str) -> Iterator[bytes]:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return  # a secret that is none signs nothing
    if key:
        yield key


def _signed(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")


def _decoded(text: str) -> bytes | None:
    return _tried(lambda: base64.b64decode(text, validate=True))


def _unhexed(text: str) -> bytes | None:
    return _tried(lambda: bytes.fromhex(text) if text.isalnum() else None)


def _tried(decode: Callable[[], bytes | None]) -> bytes | None:
    try:
        return decode()
    except (binascii.Error, ValueError):
        return None


def _id_in(body: bytes) -> str:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    id = event.get("id") if isinstance(event, dict) else None
    return id if isinstance(id, str) else ""


def _unsigned_id(given: str, body: bytes) -> str:
    """Of a header that nobody signed, with a digest of the body: else whoever sends a former body under the id of an
    event to come has that one taken for known."""
    return _event_id(f"{given}:{hashlib.sha256(body).hexdigest()[:32]}" if given else "", body)


def _event_id(given: str, body: bytes) -> str:
    """The source's id where it is a plain one; without one, equal bodies are one event."""
    if given and len(given) <= MAX_EVENT_ID and given.isascii() and given.isprintable():
        return given
    return f"sha256:{hashlib.sha256(given.encode('utf-8', 'replace') if given else body).hexdigest()}"


def _refused(outcome: Outcome) -> WebhookRefused:
    return WebhookRefused(outcome=outcome)
