"""Events: the append-only log of what happened, for auditors and for agents downstream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class EventType(StrEnum):
    TENANT_CREATED = "TENANT_CREATED"
    TENANT_CHANGED = "TENANT_CHANGED"
    KEY_CREATED = "KEY_CREATED"
    KEY_REVOKED = "KEY_REVOKED"
    KEY_ROTATED = "KEY_ROTATED"
    MEMBER_INVITED = "MEMBER_INVITED"
    INVITATION_REVOKED = "INVITATION_REVOKED"
    MEMBER_JOINED = "MEMBER_JOINED"
    MEMBER_CHANGED = "MEMBER_CHANGED"
    MEMBER_REMOVED = "MEMBER_REMOVED"
    MEMBER_REFUSED = "MEMBER_REFUSED"
    SIGNED_IN = "SIGNED_IN"
    SIGN_IN_FAILED = "SIGN_IN_FAILED"
    ACCOUNT_LOCKED = "ACCOUNT_LOCKED"
    SESSION_ENDED = "SESSION_ENDED"
    PASSWORD_CHANGED = "PASSWORD_CHANGED"  # noqa: S105 - a name
    SECOND_FACTOR_ADDED = "SECOND_FACTOR_ADDED"
    SECOND_FACTOR_REMOVED = "SECOND_FACTOR_REMOVED"
    RECOVERY_CODE_USED = "RECOVERY_CODE_USED"
    IDENTITY_LINKED = "IDENTITY_LINKED"
    IDENTITY_UNLINKED = "IDENTITY_UNLINKED"
    PASSWORD_LINK_MADE = "PASSWORD_LINK_MADE"  # noqa: S105 - a name
    PERSON_ERASED = "PERSON_ERASED"
    OPERATOR_ENTERED = "OPERATOR_ENTERED"
    OPERATOR_READ = "OPERATOR_READ"
    EXPORTED = "EXPORTED"
    CATEGORY_CREATED = "CATEGORY_CREATED"
    CATEGORY_CHANGED = "CATEGORY_CHANGED"
    CATEGORY_DELETED = "CATEGORY_DELETED"
    CATEGORY_MERGED = "CATEGORY_MERGED"
    CONNECTION_CREATED = "CONNECTION_CREATED"
    CONNECTION_CHANGED = "CONNECTION_CHANGED"
    CONNECTION_DELETED = "CONNECTION_DELETED"
    CONNECTION_DISABLED = "CONNECTION_DISABLED"
    CONNECTION_HEALTHY = "CONNECTION_HEALTHY"
    CONNECTION_DEGRADED = "CONNECTION_DEGRADED"
    CONNECTION_REAUTH = "CONNECTION_REAUTH"
    CONNECTION_PAUSED = "CONNECTION_PAUSED"
    CONNECTION_PLUGIN_MISSING = "CONNECTION_PLUGIN_MISSING"
    IMPORT_RECEIVED = "IMPORT_RECEIVED"
    IMPORT_DONE = "IMPORT_DONE"
    IMPORT_FAILED = "IMPORT_FAILED"
    IMPORT_UNDONE = "IMPORT_UNDONE"
    WEBHOOK_RECEIVED = "WEBHOOK_RECEIVED"
    WEBHOOK_DONE = "WEBHOOK_DONE"
    WEBHOOK_FAILED = "WEBHOOK_FAILED"
    INGESTED = "INGESTED"
    UPDATED = "UPDATED"
    PROCESSED = "PROCESSED"
    DELETED = "DELETED"
    RECORDS_EXPIRED = "RECORDS_EXPIRED"
    RECEIPT_ADDED = "RECEIPT_ADDED"
    RECEIPT_CHANGED = "RECEIPT_CHANGED"
    RECEIPT_LINKED = "RECEIPT_LINKED"
    RECEIPT_UNLINKED = "RECEIPT_UNLINKED"
    RECEIPT_DELETED = "RECEIPT_DELETED"
    TX_APPROVED = "TX_APPROVED"
    APPROVAL_WITHDRAWN = "APPROVAL_WITHDRAWN"
    RULE_CREATED = "RULE_CREATED"
    RULE_CHANGED = "RULE_CHANGED"
    RULE_DELETED = "RULE_DELETED"
    RULE_DEMOTED = "RULE_DEMOTED"
    RULE_PROVED = "RULE_PROVED"
    RULE_PROPOSED = "RULE_PROPOSED"
    PROPOSAL_REJECTED = "PROPOSAL_REJECTED"
    RULE_RUN_DONE = "RULE_RUN_DONE"
    RULE_RUN_UNDONE = "RULE_RUN_UNDONE"
    PROMISE_AT_RISK = "PROMISE_AT_RISK"
    PROMISE_KEPT = "PROMISE_KEPT"
    PROMISE_RESET = "PROMISE_RESET"
    EVALUATION_DONE = "EVALUATION_DONE"
    REPORT_DEFINED = "REPORT_DEFINED"
    REPORT_REDEFINED = "REPORT_REDEFINED"
    REPORT_UNDEFINED = "REPORT_UNDEFINED"
    REPORT_GENERATED = "REPORT_GENERATED"
    REPORT_FAILED = "REPORT_FAILED"
    SECRETS_ROTATED = "SECRETS_ROTATED"
    ORDER_BEGUN = "ORDER_BEGUN"
    SUBSCRIPTION_CHANGED = "SUBSCRIPTION_CHANGED"
    SUBSCRIPTION_REPAIRED = "SUBSCRIPTION_REPAIRED"
    SUBSCRIPTIONS_OVERLAP = "SUBSCRIPTIONS_OVERLAP"
    ACCESS_CHANGED = "ACCESS_CHANGED"
    PLAN_COMPED = "PLAN_COMPED"
    PAYMENT_NOTED = "PAYMENT_NOTED"
    AGREEMENT_ENDED = "AGREEMENT_ENDED"
    USAGE_NOTICED = "USAGE_NOTICED"
    USAGE_DOUBTFUL = "USAGE_DOUBTFUL"
    RECORDS_HELD = "RECORDS_HELD"
    RECORDS_RESUMED = "RECORDS_RESUMED"
    QUEUE_OVER_LIMIT = "QUEUE_OVER_LIMIT"
    ENDPOINT_CREATED = "ENDPOINT_CREATED"
    ENDPOINT_CHANGED = "ENDPOINT_CHANGED"
    ENDPOINT_DELETED = "ENDPOINT_DELETED"
    ENDPOINT_DISABLED = "ENDPOINT_DISABLED"
    ENDPOINT_ENABLED = "ENDPOINT_ENABLED"
    JOB_DEAD = "JOB_DEAD"
    JOB_REPLAYED = "JOB_REPLAYED"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """`subject_id` is the thing that it happened to; `payload` holds ids, states and counts, no personal data."""

    type: EventType
    subject_id: UUID | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A sealed event. `seq` counts up from 1 without gaps in a tenant, in the order in which events became visible."""

    tenant_id: UUID
    seq: int
    type: str
    occurred_at: datetime
    source_agent: str
    actor: str
    subject_id: UUID | None
    request_id: str | None
    actor_id: UUID | None
    """Of the person or the API key that acted."""
    address: str | None
    """From where it was done, and with which program: of what people and programs outside do."""
    user_agent: str | None
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What came of going through a tenant's sealed events: how many are as they were sealed, the digest of the last of
    these in hexadecimal digits, and what is wrong with the next one; None where all hold."""

    events: int
    digest: str
    fault: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    types: tuple[str, ...] = ()
    source_agent: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    subject_id: UUID | None = None
