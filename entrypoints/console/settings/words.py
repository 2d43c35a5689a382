"""What settings say of roles, permissions, members and keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.people import WaysIn
from core.domain.permissions import Permission, Role
from core.domain.tenants import ApiKey

_P = Permission
ROLES: Mapping[Role, str] = {
    Role.OWNER: "May do everything: also change the workspace's settings, order and pay, and make others owners.",
    Role.ADMIN: "Runs the workspace: categories, rules, connections, reports, API keys and people. Nothing that "
    "concerns owners, what is ordered, or the workspace's settings.",
    Role.REVIEWER: "Answers what is asked, changes records and receipts, and has reports made.",
    Role.VIEWER: "Reads records, rules, reports and the event log, and changes nothing.",
}
AREAS: tuple[tuple[str, Mapping[Permission, str]], ...] = (
    (
        "Records",
        {
            _P.RECORDS_READ: "See records and imports, and how each record was decided",
            _P.RECORDS_WRITE: "Upload and send records, change and delete them",
        },
    ),
    (
        "Review",
        {
            _P.APPROVALS_READ: "See what waits for an answer",
            _P.APPROVALS_DECIDE: "Answer, and take answers back",
        },
    ),
    (
        "Receipts",
        {
            _P.RECEIPTS_READ: "See receipts, and open them",
            _P.RECEIPTS_WRITE: "Upload receipts, link them with records, and delete them",
        },
    ),
    (
        "Rules",
        {
            _P.RULES_READ: "See rules, what is proposed, and what runs changed",
            _P.RULES_WRITE: "Write rules and put them in order, accept proposals, apply them to what is stored",
        },
    ),
    (
        "Categories",
        {
            _P.CATEGORIES_READ: "See categories",
            _P.CATEGORIES_WRITE: "Add, rename, move, merge and delete categories",
        },
    ),
    (
        "Connections",
        {
            _P.CONNECTIONS_READ: "See connections, how they are, and what they brought",
            _P.CONNECTIONS_WRITE: "Add, change, sync and end connections",
        },
    ),
    (
        "Reports",
        {
            _P.REPORTS_READ: "Read and download reports",
            _P.REPORTS_RUN: "Have reports made",
            _P.REPORTS_WRITE: "Define reports, and when they are made",
        },
    ),
    (
        "Events and jobs",
        {
            _P.EVENTS_READ: "Read the event log: who did what, when and from where",
            _P.JOBS_READ: "See what is worked on, and what failed",
            _P.JOBS_REPLAY: "Have failed work tried again",
        },
    ),
    (
        "Notifications",
        {
            _P.NOTIFICATIONS_READ: "See who is told what, and what was sent",
            _P.NOTIFICATIONS_WRITE: "Say who is told what, by webhook or mail",
        },
    ),
    (
        "People and keys",
        {
            _P.MEMBERS_READ: "See members and invitations",
            _P.MEMBERS_WRITE: "Invite people, change their roles, sign them out and remove them",
            _P.KEYS_READ: "See API keys, without their secrets",
            _P.KEYS_WRITE: "Make, replace and revoke API keys",
        },
    ),
    (
        "Workspace",
        {
            _P.TENANT_READ: "See the workspace's settings",
            _P.TENANT_WRITE: "Change the workspace's settings, and trust packs of rules",
            _P.BILLING_READ: "See what is paid and used",
            _P.BILLING_WRITE: "Order, change and cancel what is paid",
        },
    ),
)
"""Every permission that there is for roles and keys, by what it is about."""
SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Of an API key, as a badge says it; `since` is when it ended."""

    title: str
    tone: str
    since: datetime | None = None


def key_state(key: ApiKey, now: datetime) -> State:
    if key.revoked_at is not None:
        return State(title="revoked", tone="secondary", since=key.revoked_at)
    if not key.usable(now):
        return State(title="expired", tone="secondary", since=key.expires_at)
    if key.expires_at is not None and key.expires_at < now + SOON:
        return State(title="ends soon", tone="warning")
    return State(title="active", tone="success")


def comes_in_by(ways: WaysIn, providers: Mapping[str, str]) -> str:
    """`password with a second factor, Acme`; providers by their issuer."""
    said = []
    if ways.password:
        said.append(f"password {'with a' if ways.second_factor else 'without a'} second factor")
    said += [providers.get(issuer, issuer) for issuer in ways.issuers]
    return ", ".join(said) or "no way in yet"
