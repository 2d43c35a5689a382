"""What members are written of what happened: the same as webhooks tell, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from core.domain.notifications import DIGEST, DisabledReason, Notification
from core.domain.tenants import one_line
from ports.mail import Mail

DISABLED = "endpoint"
"""What `mail:send` calls the mail that tells owners of an endpoint that is given up on."""
_SUBJECTS: Mapping[str, str] = {
    "job.dead": "A job failed for good",
    "import.failed": "An import failed",
    "webhook.failed": "A delivery of a source failed",
    "queue.over_limit": "The review queue is over its limit",
    "connection.reauth": "A connection needs to be signed in again",
    "promise.at_risk": "The promised precision is at risk",
    "usage.noticed": "The plan is nearly used up",
    "report.generated": "A report is ready",
    "endpoint.test": "This is a test",
}
_PLACES: Mapping[str, str] = {"report.generated": "/reports/{report_id}"}
"""Of what is told, its page at the console."""
_GIVEN_UP: Mapping[DisabledReason, str] = {
    DisabledReason.GONE: "The receiver said that it is gone (410), so nothing more is sent there.",
    DisabledReason.FAILING: "Nothing has arrived there for five days, so nothing more is sent.",
}


def subject_of(type: str) -> str:
    return _SUBJECTS.get(type, type)


def notification_mail(notification: Notification, address: str, tenant_name: str, public_url: str) -> Mail:
    """To a member's address, as plain text."""
    name = one_line(tenant_name)
    whole = notification.type == DIGEST
    subject, lines = _digest(notification.data, public_url) if whole else _one(notification)
    place = _place(notification.type, notification.data)
    text = "\n".join([*lines, "", f"What is behind it: {public_url}{place}", ""])
    return Mail(to=address, subject=f"{subject}: {name}", text=text)


def given_up_words(reason: str, name: str, public_url: str) -> tuple[str, str]:
    """Subject and text of what owners are written of an endpoint of that name."""
    why = _GIVEN_UP[DisabledReason(reason)]
    text = f"{why} Once it is well again, enable it: {public_url}/\n\nThe endpoint:\n> {one_line(name)}\n"
    return "An endpoint for notifications was disabled", text


def _one(notification: Notification) -> tuple[str, list[str]]:
    subject = subject_of(notification.type)
    return subject, [
        f"{subject}.",
        "",
        f"At {notification.occurred_at:%Y-%m-%d %H:%M} UTC.",
        *_details(notification.data),
    ]


def _details(data: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {value}" for name, value in data.items() if name not in ("tenant_id", "seq")]


def _place(type: str, data: Mapping[str, Any]) -> str:
    """`/` of what has no page of its own."""
    return _PLACES[type].format_map(data) if type in _PLACES else "/"


def _digest(data: Mapping[str, Any], public_url: str) -> tuple[str, list[str]]:
    count, events = data["count"], data["events"]
    kinds = Counter(event["type"] for event in events)
    lines = [f"{number} × {subject_of(type)}" for type, number in kinds.most_common()]
    if count > len(events):
        lines.append(f"and {count - len(events)} more")
    for event in events:
        details = ", ".join(_details(event["data"]))
        lines += ["", f"{event['timestamp'][:16].replace('T', ' ')} UTC: {subject_of(event['type'])}", details]
        if event["type"] in _PLACES:
            lines.append(f"{public_url}{_place(event['type'], event['data'])}")
    return f"{count} notifications", lines
