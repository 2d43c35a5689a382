"""What is kept, tenant by tenant; transactions work on copies, and a commit writes back what they changed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from core.domain.agreements import Agreement
from core.domain.approvals import Approval, Example
from core.domain.billing import Account
from core.domain.categories import Category
from core.domain.connections import Connection, Import, StreamCursor
from core.domain.decisions import Stage
from core.domain.drift import Watch
from core.domain.evaluations import Evaluation
from core.domain.events import NewEvent
from core.domain.health import HealthEntry, LogLine
from core.domain.inventories import Inventory, Role
from core.domain.jobs import Job
from core.domain.learning import Arrival
from core.domain.llm import LlmAnswer
from core.domain.llm_spending import LlmSpend
from core.domain.notifications import Endpoint, Notification
from core.domain.oauth import OAuthTokens, SignIn
from core.domain.payments import PaymentEvent
from core.domain.people import Invitation, KnownDevice, LocalAccount, Session
from core.domain.plans import Meter
from core.domain.plugins import WebhookMessage
from core.domain.proposals import Proposal
from core.domain.receipts import Match, Receipt
from core.domain.records import Record
from core.domain.reports import ReportDefinition, ReportRun
from core.domain.rule_runs import RuleRun, RunChange
from core.domain.rules import Rule
from core.domain.saved_views import SavedView
from core.domain.tenants import Actor, ApiKey, Membership, Tenant, User
from core.domain.webhooks import RefusedDeliveries, WebhookDelivery
from core.errors import Invalid, NotFound, Transient, VersionMismatch
from ports.billing_storage import UsageReport
from ports.clock import Clock, Ids
from ports.learning_storage import StoredEnsemble

V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecord:
    """A record, its calendar day in the tenant's time zone, and the external id that it had while it was pending."""

    record: Record
    day: date
    former_external_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptExample:
    """An example and its vectors by model."""

    example: Example
    vectors: Mapping[str, Sequence[float]] = field(default_factory=dict)
    learned: bool = False
    """Whether the ensemble had it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptChange:
    """A run's change, with the record and its open approval as they were, and the version that the run left."""

    change: RunChange
    before: Record
    approval: Approval | None
    after_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptJob:
    job: Job
    published_at: datetime | None = None
    lease_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAccount:
    """An account, and when it is looked at next, or was last, and why."""

    account: Account
    changes_at: datetime | None = None
    asked_at: datetime | None = None
    reported_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBatch:
    """The events of one transaction; the sealer sets `last_seq`."""

    actor: str
    source_agent: str
    request_id: str | None
    actor_id: UUID | None
    address: str | None
    user_agent: str | None
    created_at: datetime
    events: tuple[NewEvent, ...]
    last_seq: int | None = None
    erased: bool = False
    """Whether who acted was taken out of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResponse:
    request_digest: str
    created_at: datetime
    status: int | None = None
    body: bytes = b""


@dataclass(slots=True, kw_only=True)
class TenantState:
    """The tables of one tenant. Values are immutable, so a copy of the dicts is a copy of everything."""

    tenants: dict[UUID, Tenant] = field(default_factory=dict)
    operator_reads: dict[UUID, datetime] = field(default_factory=dict)
    queues_told: dict[UUID, datetime] = field(default_factory=dict)
    """When the tenant was told that its queue is over its limit, by its id, as long as it is."""
    users: dict[str, User] = field(default_factory=dict)
    """By e-mail address; shared by all tenants."""
    customers: dict[tuple[str | None, str], UUID] = field(default_factory=dict)
    """Whose they are, by provider and id; shared by all tenants."""
    memberships: dict[UUID, Membership] = field(default_factory=dict)
    invitations: dict[UUID, Invitation] = field(default_factory=dict)
    api_keys: dict[UUID, ApiKey] = field(default_factory=dict)
    categories: dict[UUID, Category] = field(default_factory=dict)
    aliases: dict[str, UUID] = field(default_factory=dict)
    """What categories were known by before."""
    connections: dict[UUID, Connection] = field(default_factory=dict)
    cursors: dict[tuple[UUID, str], StreamCursor] = field(default_factory=dict)
    """By connection and stream."""
    health: dict[tuple[UUID, UUID], HealthEntry] = field(default_factory=dict)
    """By connection and entry, as `log`."""
    log: dict[tuple[UUID, UUID], LogLine] = field(default_factory=dict)
    sync_counts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """How many, and with how many records, by connector and outcome."""
    imports: dict[UUID, Import] = field(default_factory=dict)
    payloads: dict[UUID, bytes] = field(default_factory=dict)
    oauth_tokens: dict[UUID, OAuthTokens] = field(default_factory=dict)
    """By connection."""
    sign_ins: dict[bytes, SignIn] = field(default_factory=dict)
    deliveries: dict[UUID, WebhookDelivery] = field(default_factory=dict)
    messages: dict[UUID, WebhookMessage] = field(default_factory=dict)
    """By delivery, until they are dropped."""
    refused: dict[UUID, RefusedDeliveries] = field(default_factory=dict)
    """By connection."""
    records: dict[UUID, KeptRecord] = field(default_factory=dict)
    tombstones: dict[tuple[UUID, str, str], datetime] = field(default_factory=dict)
    """By connection, account and external id."""
    receipts: dict[UUID, Receipt] = field(default_factory=dict)
    receipt_matches: dict[tuple[UUID, UUID], Match] = field(default_factory=dict)
    """By receipt and record."""
    approvals: dict[UUID, Approval] = field(default_factory=dict)
    skips: dict[tuple[UUID, UUID], datetime] = field(default_factory=dict)
    """When somebody skipped an approval, by their id and its."""
    examples: dict[UUID, KeptExample] = field(default_factory=dict)
    embeddings: dict[tuple[str, bytes], Sequence[float]] = field(default_factory=dict)
    llm_answers: dict[bytes, tuple[LlmAnswer, datetime]] = field(default_factory=dict)
    """By the key of their question, with when they were kept."""
    llm_usages: dict[date, LlmSpend] = field(default_factory=dict)
    llm_reservations: dict[UUID, tuple[date, Decimal]] = field(default_factory=dict)
    arrivals: dict[UUID, tuple[Arrival, int]] = field(default_factory=dict)
    """By record, with the version of the ensemble that said it."""
    ensembles: dict[UUID, tuple[StoredEnsemble, bytes]] = field(default_factory=dict)
    """The tenant's one, by the tenant's id."""
    serving: dict[UUID, str] = field(default_factory=dict)
    """The model that a search among the tenant's examples is to ask by; none before the first was embedded."""
    rules: dict[UUID, Rule] = field(default_factory=dict)
    proposals: dict[UUID, Proposal] = field(default_factory=dict)
    runs: dict[UUID, RuleRun] = field(default_factory=dict)
    changes: dict[tuple[UUID, UUID], KeptChange] = field(default_factory=dict)
    """By run and record."""
    evaluations: dict[UUID, Evaluation] = field(default_factory=dict)
    views: dict[UUID, SavedView] = field(default_factory=dict)
    report_definitions: dict[UUID, ReportDefinition] = field(default_factory=dict)
    report_runs: dict[UUID, ReportRun] = field(default_factory=dict)
    billing: dict[UUID, KeptAccount] = field(default_factory=dict)
    """The tenant's one, by the tenant's id."""
    usages: dict[tuple[date, Meter], tuple[int, int]] = field(default_factory=dict)
    """What was used, and how much of that is in reports, by month and meter."""
    usage_reports: dict[UUID, UsageReport] = field(default_factory=dict)
    endpoints: dict[UUID, Endpoint] = field(default_factory=dict)
    notifications: dict[UUID, Notification] = field(default_factory=dict)
    jobs: dict[UUID, KeptJob] = field(default_factory=dict)
    batches: dict[UUID, EventBatch] = field(default_factory=dict)
    responses: dict[str, KeptResponse] = field(default_factory=dict)
    counts: dict[tuple[date, str, str], int] = field(default_factory=dict)
    """Records by day (in the tenant's time zone), stage and status that they were decided with."""
    watches: dict[Stage, Watch] = field(default_factory=dict)
    agreements: dict[UUID, Agreement] = field(default_factory=dict)
    """The tenant's one, by the tenant's id."""

    def copy(self) -> TenantState:
        return TenantState(**{f.name: dict(getattr(self, f.name)) for f in fields(self)})

    def write(self, before: TenantState, after: TenantState) -> None:
        """Takes over what differs between `before` and `after`.

        Raises `Transient`, and takes over nothing, when another transaction changed one of these things meanwhile.
        """
        changes: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        for f in fields(self):
            mine, was, now = (getattr(state, f.name) for state in (after, before, self))
            changed = {key: mine.get(key) for key in mine.keys() | was.keys() if mine.get(key) is not was.get(key)}
            if any(now.get(key) is not was.get(key) for key in changed):
                raise Transient("another transaction changed the same thing")
            changes.append((now, changed))
        for now, changed in changes:
            for key, value in changed.items():
                if value is None:
                    now.pop(key, None)
                else:
                    now[key] = value


class MemoryStore:
    """All tenants. `lock` guards everything; `MemorySystem.wait` waits on it for commits."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self.clock = clock
        self.ids = ids
        self.lock = threading.Condition()
        self.tenants: dict[UUID, TenantState] = {}
        self.users: dict[str, User] = {}
        self.customers: dict[tuple[str | None, str], UUID] = {}
        self.accounts: dict[UUID, LocalAccount] = {}
        """By user, as `users` are by e-mail address."""
        self.last_steps: dict[UUID, int] = {}
        self.identities: dict[tuple[str, str], UUID] = {}
        self.sessions: dict[UUID, Session] = {}
        self.devices: dict[UUID, KnownDevice] = {}
        self.inventories: dict[tuple[Role, str], tuple[Inventory, datetime]] = {}
        """By role and digest, when they were announced last."""
        self.payment_events: dict[tuple[str, str], tuple[PaymentEvent, datetime]] = {}
        """By provider and id, with when they were received."""
        self.commits = 0
        """How many commits queued a job or told an event."""

    def state(self, tenant_id: UUID) -> TenantState:
        """The live tables of a tenant, to be used under the lock."""
        if tenant_id not in self.tenants:
            self.tenants[tenant_id] = TenantState(users=self.users, customers=self.customers)
        return self.tenants[tenant_id]

    def woken(self) -> None:
        """Wakes who waits for commits; under the lock."""
        self.commits += 1
        self.lock.notify_all()


@dataclass(slots=True, kw_only=True)
class Workspace:
    """What the repositories of one transaction share."""

    actor: Actor
    now: datetime
    ids: Ids
    state: TenantState
    told: list[NewEvent] = field(default_factory=list)
    example_of: dict[UUID, UUID] | None = None
    """Examples by their records, once somebody asked; an example that went may still stand here."""

    @property
    def tenant_id(self) -> UUID:
        return self.actor.tenant_id

    @property
    def time_zone(self) -> str:
        """The tenant's."""
        return self.state.tenants[self.tenant_id].time_zone

    def tell(self, event: NewEvent) -> None:
        payload = as_json(event.payload)
        self.told.append(NewEvent(type=event.type, subject_id=event.subject_id, payload=payload))

    def category_now(self, id: UUID | None) -> UUID | None:
        """The category that it is by now: itself, what it was merged into, or None."""
        return id if id in self.state.categories else self.state.aliases.get(str(id))

    def check_category(self, id: UUID | None) -> None:
        if id is not None and id not in self.state.categories:
            raise Invalid("the category does not exist")


def one(table: Mapping[UUID, V], id: UUID, what: str) -> V:
    """The thing with that id; raises `NotFound`."""
    if id not in table:
        raise NotFound(f"this {what} does not exist")
    return table[id]


def many(table: Mapping[UUID, V], ids: Iterable[UUID], what: str) -> list[V]:
    """The things with those ids, in their order; raises `NotFound`."""
    wanted = list(ids)
    if missing := [id for id in wanted if id not in table]:
        raise NotFound(f"{what} {missing[0]} does not exist")
    return [table[id] for id in wanted]


def check_version(stored: int, expected: int | None) -> None:
    """Raises `VersionMismatch`; None expects any."""
    if expected is not None and stored != expected:
        raise VersionMismatch


def page(table: Mapping[UUID, V], after: UUID | None) -> list[V]:
    """The things by rising id, above `after`."""
    return [table[id] for id in sorted(table) if after is None or id > after]


def as_json(value: Any) -> Any:
    """What a JSON column would give back: a copy, in which Decimals and ids are strings."""
    return json.loads(json.dumps(value, default=str))
