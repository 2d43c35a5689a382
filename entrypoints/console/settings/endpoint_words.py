"""How an endpoint is, what it is told of, and what became of it, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from core.domain.notifications import (
    DIGEST,
    OPEN,
    TEST,
    Digest,
    DisabledReason,
    Endpoint,
    EndpointKind,
    Notification,
    NotificationStatus,
    Topic,
)
from entrypoints.console.places import named_in

TOPICS: Mapping[Topic, tuple[str, str]] = {
    Topic.FAILURES: ("What failed", "An import or a delivery that could not be read; a job that used up its tries."),
    Topic.QUEUE: ("A long queue", "More questions wait for your people than the limit of the workspace."),
    Topic.REAUTH: ("Connections to sign in at", "A source wants somebody to sign in again before more comes."),
    Topic.PROMISE: ("The promise at risk", "Spot checks say that a stage is right less often than promised."),
    Topic.QUOTA: ("Limits of the plan", "80 % or all of what the plan allows is used."),
    Topic.REPORTS: ("Reports", "A report is ready."),
}
DIGESTS: Mapping[Digest, str] = {
    Digest.NONE: "At once, each by itself",
    Digest.HOURLY: "Every hour, all in one",
    Digest.DAILY: "Once a day, all in one",
}
OVERLAPS: Mapping[str, str] = {
    "86400": "a day",
    "3600": "an hour",
    "604800": "a week",
    "0": "not at all: it leaked",
}
"""For how many seconds the former secret signs beside the new one."""
_TYPES: Mapping[str, str] = {
    TEST: "A test",
    DIGEST: "A digest",
    "import.failed": "An import failed",
    "webhook.failed": "A delivery could not be read",
    "job.dead": "A job used up its tries",
    "queue.over_limit": "The queue is over its limit",
    "connection.reauth": "A connection wants somebody to sign in",
    "promise.at_risk": "The promise is at risk",
    "usage.noticed": "A limit of the plan comes near",
    "report.generated": "A report is ready",
}
_CODES: Mapping[str, str] = {
    "ok": "it was taken",
    "refused": "it was refused",
    "redirect": "the receiver leads elsewhere, which is not followed",
    "timeout": "no answer within 20 seconds",
    "unreachable": "the receiver could not be reached",
    "broken_off": "the answer did not come to its end",
    "not_allowed": "this address may not be asked from here, or it answers too much",
    "secret_unreadable": "its secret can't be read: the installation's key has changed",
    "no_mail_server": "there is no mail server here",
    "endpoint_disabled": "not sent: the endpoint was disabled before",
    "job_dead": "not sent: each worker was lost with it",
    "empty": "not sent: another digest took all along",
}
_TO_DO: Mapping[str, str] = {
    "refused": "Look at the receiver's log: it answers by this status.",
    "redirect": "Enter the address to which it leads.",
    "timeout": "Have the receiver answer first, and work afterwards.",
    "unreachable": "See whether the address is right and the receiver runs.",
    "not_allowed": "Private addresses and http:// are for the operator to allow (SORTATION_HTTP_ALLOW).",
    "secret_unreadable": "Make another secret below.",
    "no_mail_server": "The operator sets one (SORTATION_SMTP_URL).",
}
_SOON = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an endpoint is: `title` in two or three words, `what` in a sentence, `action` what to do about it; '' for
    nothing."""

    title: str
    tone: str
    what: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A delivery in words, and where what it names is looked at."""

    delivery: Notification
    title: str
    state: str
    tone: str
    tries: Sequence[str]
    links: Sequence[tuple[str, str]]
    again: bool
    """Whether it can be sent again by itself."""


def standing(endpoint: Endpoint) -> Standing:
    if endpoint.disabled_at is not None:
        return _disabled(endpoint)
    if endpoint.failing_since is not None:
        return Standing(
            title="Failing",
            tone="danger",
            what="Nothing has arrived since the first failure. It is tried again for three days, at growing intervals.",
            action="See below what it answers. After five days without success it is disabled.",
        )
    if endpoint.succeeded_at is not None:
        return Standing(title="Works", tone="success")
    return Standing(title="Nothing arrived yet", tone="secondary", action="Send a test to see whether it does.")


def _disabled(endpoint: Endpoint) -> Standing:
    lost = "What happens meanwhile it is not told later; it is all among the events."
    if endpoint.disabled_reason is DisabledReason.GONE:
        return Standing(
            title="Disabled",
            tone="danger",
            what=f"The receiver answered 410, which means that it is gone for good. {lost}",
            action="Enter its new address and enable it, or delete it.",
        )
    if endpoint.disabled_reason is DisabledReason.FAILING:
        return Standing(
            title="Disabled",
            tone="danger",
            what=f"Nothing arrived for five days. {lost}",
            action="Mend the receiver, send a test, then enable it.",
        )
    return Standing(title="Paused", tone="secondary", what=f"Somebody paused it. {lost}", action="Enable it to go on.")


def place_of(endpoint: Endpoint) -> str:
    """A webhook's host: the rest of its address may be a secret."""
    if endpoint.kind is EndpointKind.MAIL:
        return "mail"
    return urlsplit(endpoint.url or "").netloc


def told_when(endpoint: Endpoint, time_zone: str) -> str:
    if endpoint.digest is Digest.DAILY:
        return f"Once a day, at {endpoint.digest_hour}:00 in {time_zone}"
    return DIGESTS[endpoint.digest]


def sent(delivery: Notification, disabled: bool) -> Sent:
    state, tone = _state(delivery)
    waits = delivery.status in (NotificationStatus.WAITING, NotificationStatus.COLLECTING)
    return Sent(
        delivery=delivery,
        title=_TYPES.get(delivery.type, delivery.type),
        state=state,
        tone=tone,
        tries=[outcome(one.status, one.code) for one in delivery.attempts],
        links=named_in(_data_of(delivery)),
        again=not waits and delivery.digest_id is None and (delivery.type == TEST or not disabled),
    )


def outcome(status: int | None, code: str) -> str:
    """`503: it was refused`."""
    said = _CODES.get(code, code)
    return said if status is None else f"{status}: {said}"


def result(delivery: Notification) -> str:
    """What became of it, in a sentence, with what to do."""
    if not delivery.attempts:
        if delivery.status is NotificationStatus.FAILED:
            return "It was not sent."
        return "It is on its way …"
    last = delivery.attempts[-1]
    said = outcome(last.status, last.code)
    if delivery.status is NotificationStatus.DELIVERED:
        return f"It arrived: {said}, in {last.seconds:.2f} seconds."
    more = f" {_TO_DO[last.code]}" if last.code in _TO_DO else ""
    return f"It did not arrive: {said}.{more}"


def goes_on(deliveries: Sequence[Notification], now: datetime) -> bool:
    """Whether something may become of one of them within moments."""
    return any(one.status in OPEN and one.next_at is not None and one.next_at < now + _SOON for one in deliveries)


def _state(delivery: Notification) -> tuple[str, str]:
    if delivery.status is NotificationStatus.DELIVERED:
        return "delivered", "success"
    if delivery.status is NotificationStatus.FAILED:
        return "failed", "danger"
    if delivery.status is NotificationStatus.WAITING:
        return "waits for its digest", "secondary"
    if delivery.status is NotificationStatus.COLLECTING:
        return "being collected", "secondary"
    return ("to be tried again", "warning") if delivery.tries else ("being sent", "info")


def _data_of(delivery: Notification) -> Mapping[str, Any]:
    return {name: value for name, value in delivery.data.items() if name not in ("tenant_id", "endpoint_id")}
