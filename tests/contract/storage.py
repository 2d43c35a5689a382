"""What the contract tests of `ports.storage` are written with: both adapters behind one face, and things to store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from adapters.memory.clock import START, CountingIds
from core.domain.approvals import Approval, ApprovalReason, Example
from core.domain.billing import Terms
from core.domain.categories import Category
from core.domain.conditions import parse_condition
from core.domain.connections import Connection, Import, ImportStatus, SealedPurpose, SealedValue
from core.domain.decisions import Decision, Stage
from core.domain.evaluations import Evaluation, EvaluationStatus
from core.domain.events import Event, EventFilter
from core.domain.gate import Gate
from core.domain.health import Health, HealthEntry, LogLine
from core.domain.jobs import Job, NewJob, Stream
from core.domain.learning import Arrival
from core.domain.llm import LlmAnswer
from core.domain.oauth import OAuthTokens, SignIn
from core.domain.payments import PaymentEvent
from core.domain.people import LOCAL, Invitation, InvitationStatus, KnownDevice, Session
from core.domain.permissions import Role
from core.domain.plans import UNLIMITED, Catalog, Plan
from core.domain.plugins import WebhookMessage
from core.domain.proposals import Evidence, Proposal, ProposalStatus, proposal_key
from core.domain.receipts import Receipt, ReceiptSource, ReceiptState, Said
from core.domain.records import Draft, RecordStatus, occurred_on
from core.domain.reports import ReportDefinition, ReportKind, ReportRun, ReportSpec
from core.domain.reports import RunStatus as ReportStatus
from core.domain.rule_runs import RuleRun, RunCounts, RunStatus
from core.domain.rules import Action, Rule, RuleStage
from core.domain.saved_views import SavedView
from core.domain.tenants import Actor, ApiKey, Tenant, TenantSettings, worker_actor
from core.domain.webhooks import DeliveryStatus, Outcome, RefusedDeliveries, WebhookDelivery
from ports.agreements import Agreements
from ports.billing_storage import BillingSystem
from ports.learning_storage import StoredEnsemble
from ports.notification_storage import NotificationSystem
from ports.people import PeopleStorage
from ports.privacy import PrivacyStorage
from ports.record_storage import Stored
from ports.storage import Transaction, UnitOfWork
from ports.system import SystemStorage


@dataclass(frozen=True, kw_only=True)
class Storage:
    uow: UnitOfWork
    system: SystemStorage
    people: PeopleStorage
    privacy: PrivacyStorage
    billing: BillingSystem
    agreements: Agreements
    notifications: NotificationSystem
    now: Callable[[], datetime]
    """The storage's own clock."""
    ids: CountingIds = field(default_factory=CountingIds)

    def reading(self, actor: Actor) -> AbstractContextManager[Transaction]:
        return self.uow.begin(actor)

    @contextmanager
    def writing(self, actor: Actor) -> Iterator[Transaction]:
        """A transaction that commits when it is left in peace."""
        with self.uow.begin(actor) as tx:
            yield tx
            tx.commit()

    def tenant(self, name: str = "Harbour Books", settings: TenantSettings | None = None) -> Actor:
        actor = worker_actor(self.ids.new())
        with self.writing(actor) as tx:
            tx.tenants.add(a_tenant(actor.tenant_id, name, settings))
        return actor

    def category(self, actor: Actor, key: str = "food", parent_id: UUID | None = None) -> UUID:
        category = a_category(self.ids.new(), actor, key, parent_id)
        with self.writing(actor) as tx:
            tx.categories.add([category])
        return category.id

    def connection(self, actor: Actor, name: str = "Statements", **fields: Any) -> UUID:
        connection = a_connection(self.ids.new(), actor, name, **fields)
        with self.writing(actor) as tx:
            tx.connections.add(connection)
        return connection.id

    def store(
        self,
        actor: Actor,
        drafts: Sequence[Draft],
        *,
        connection_id: UUID | None = None,
        import_id: UUID | None = None,
        categories: Mapping[str, UUID] | None = None,
    ) -> Stored:
        with self.writing(actor) as tx:
            if connection_id is None:
                wanted = a_connection(self.ids.new(), actor, "Statements")
                connection_id = tx.connections.ensure(wanted).id
            zone = ZoneInfo("Europe/Berlin")
            return tx.records.store(
                [(self.ids.new(), d, occurred_on(d.occurred_at, zone)) for d in drafts],
                connection_id=connection_id,
                import_id=import_id or self.ids.new(),
                categories=categories,
            )

    def record(self, actor: Actor, external_id: str = "1", **fields: Any) -> UUID:
        (id,) = self.store(actor, [a_draft(external_id, **fields)]).inserted
        return id

    def review(self, actor: Actor, external_id: str = "1", *, confidence: float = 0.4, group: str = "") -> UUID:
        """A record that waits for a person; the id of its approval item."""
        record_id = self.record(actor, external_id)
        with self.writing(actor) as tx:
            tx.records.decide([asked(record_id, confidence=confidence, group_key=group)])
            approval = open_of(tx, record_id)
        assert approval is not None
        return approval.id

    def run(self, actor: Actor, **fields: Any) -> UUID:
        run = a_run(self.ids.new(), actor, **fields)
        with self.writing(actor) as tx:
            tx.runs.add(run)
        return run.id

    def job(self, actor: Actor, stream: Stream = Stream.PROCESS, **fields: Any) -> UUID:
        new = NewJob(id=self.ids.new(), stream=stream, **{"payload": {"import_id": "1"}, **fields})
        with self.writing(actor) as tx:
            tx.jobs.add([new])
        return new.id

    def claim(self, actor: Actor, job_id: UUID, seconds: float = 60) -> Job:
        with self.writing(actor) as tx:
            job = tx.jobs.claim(job_id, self.ids.new(), seconds)
        assert job is not None
        return job

    def events(self, actor: Actor, *types: str, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """The events of the actor's tenant, sealed first."""
        self.system.seal()
        with self.reading(actor) as tx:
            return tx.events.list(EventFilter(types=types), after=after, limit=limit)


def a_tenant(id: UUID, name: str = "Harbour Books", settings: TenantSettings | None = None) -> Tenant:
    return Tenant(
        id=id,
        name=name,
        time_zone="Europe/Berlin",
        settings=settings or TenantSettings(),
        rules_version=1,
        created_at=START,
        version=1,
    )


def a_key(id: UUID, actor: Actor, key_id: str = "k1", **fields: Any) -> ApiKey:
    standard = {"name": "Import", "secret_hash": b"\x00\xff" * 16, "scopes": frozenset(), "created_at": START}
    return ApiKey(id=id, tenant_id=actor.tenant_id, key_id=key_id, **{**standard, **fields})


def a_category(id: UUID, actor: Actor, key: str = "food", parent_id: UUID | None = None) -> Category:
    return Category(
        id=id,
        tenant_id=actor.tenant_id,
        parent_id=parent_id,
        key=key,
        name=key.title(),
        description="",
        created_at=START,
        version=1,
    )


def a_connection(
    id: UUID, actor: Actor, name: str = "Statements", config: Mapping[str, Any] | None = None, **fields: Any
) -> Connection:
    return Connection(
        id=id,
        tenant_id=actor.tenant_id,
        connector="csv",
        name=name,
        config=config or {},
        created_at=START,
        version=1,
        **fields,
    )


def a_report_definition(id: UUID, actor: Actor, name: str = "Spending", **fields: Any) -> ReportDefinition:
    standard: dict[str, Any] = {
        "spec": ReportSpec(kind=ReportKind.CATEGORIES),
        "schedule": None,
        "next_run_at": None,
        "created_by": "owner",
        "created_at": START,
        "updated_at": START,
        "version": 1,
    }
    return ReportDefinition(id=id, tenant_id=actor.tenant_id, name=name, **{**standard, **fields})


def a_report(id: UUID, actor: Actor, **fields: Any) -> ReportRun:
    standard: dict[str, Any] = {
        "job_id": id,
        "definition_id": None,
        "name": "Spending",
        "spec": ReportSpec(kind=ReportKind.CATEGORIES),
        "today": date(2026, 4, 1),
        "slot": None,
        "status": ReportStatus.QUEUED,
        "requested_by": "owner",
        "created_at": START,
    }
    return ReportRun(id=id, tenant_id=actor.tenant_id, **{**standard, **fields})


def a_health_entry(id: UUID, **fields: Any) -> HealthEntry:
    standard: dict[str, Any] = {"at": START, "health": Health.DEGRADED, "code": "transient", "message": "away"}
    return HealthEntry(id=id, action="Nothing.", **{**standard, **fields})


def a_log_line(id: UUID, text: str = "a line") -> LogLine:
    return LogLine(id=id, at=START, level="info", text=text)


def an_import(id: UUID, actor: Actor, connection_id: UUID) -> Import:
    return Import(
        id=id,
        tenant_id=actor.tenant_id,
        connection_id=connection_id,
        job_id=id,
        filename="statement.csv",
        bytes=0,
        sha256="",
        approved=False,
        status=ImportStatus.RECEIVED,
        inserted=0,
        known=0,
        refused=0,
        refusals=(),
        failure=None,
        created_at=START,
        finished_at=None,
    )


def a_message(body: bytes = b"{}", event_id: str = "evt_1") -> WebhookMessage:
    return WebhookMessage(id=event_id, body=body, headers={"x-event": "paid"}, received_at=START)


def a_delivery(id: UUID, actor: Actor, connection_id: UUID, event_id: str = "evt_1") -> WebhookDelivery:
    return WebhookDelivery(
        id=id,
        tenant_id=actor.tenant_id,
        connection_id=connection_id,
        event_id=event_id,
        job_id=id,
        bytes=2,
        status=DeliveryStatus.RECEIVED,
        inserted=0,
        known=0,
        refused=0,
        refusals=(),
        failure=None,
        received_at=START,
        finished_at=None,
    )


def some_refused(**fields: Any) -> RefusedDeliveries:
    standard: dict[str, Any] = {"count": 3, "outcome": Outcome.FORGED, "at": START, "logged_at": START}
    return RefusedDeliveries(**{**standard, **fields})


def some_tokens(connection_id: UUID, **fields: Any) -> OAuthTokens:
    standard: dict[str, Any] = {"sealed": b"\x01\x00sealed\xff", "account": "alice", "expires_at": START}
    return OAuthTokens(connection_id=connection_id, changed_at=START, **{**standard, **fields})


def a_session(id: UUID, user_id: UUID, actor: Actor, now: datetime, secret_hash: bytes = b"\x00hash") -> Session:
    return Session(
        id=id,
        secret_hash=secret_hash,
        user_id=user_id,
        tenant_id=actor.tenant_id,
        via=LOCAL,
        address="192.0.2.7",
        user_agent="A browser",
        created_at=now,
        seen_at=now,
        expires_at=now + timedelta(hours=12),
    )


def a_device(id: UUID, user_id: UUID, now: datetime, secret_hash: bytes = b"\x00hash") -> KnownDevice:
    return KnownDevice(id=id, user_id=user_id, secret_hash=secret_hash, created_at=now, seen_at=now)


def a_view(id: UUID, actor: Actor, user_id: UUID | None = None, **fields: Any) -> SavedView:
    standard: dict[str, Any] = {"name": "Large", "query": {"min_amount": "500"}, "created_at": START, "version": 1}
    return SavedView(id=id, tenant_id=actor.tenant_id, user_id=user_id, **{**standard, **fields})


def an_invitation(id: UUID, actor: Actor, email: str = "new@example.org") -> Invitation:
    return Invitation(
        id=id,
        tenant_id=actor.tenant_id,
        email=email,
        role=Role.ADMIN,
        status=InvitationStatus.OPEN,
        invited_by="Ada",
        created_at=START,
        expires_at=START + timedelta(days=7),
    )


def a_sealed(of_id: UUID, sealed: bytes, purpose: SealedPurpose = SealedPurpose.CONFIG) -> SealedValue:
    return SealedValue(purpose=purpose, of_id=of_id, sealed=sealed)


def a_sign_in(actor: Actor, connection_id: UUID, state_hash: bytes = b"\x00hash\xff", **fields: Any) -> SignIn:
    standard: dict[str, Any] = {
        "sealed": b"\x01\x00verifier\xff",
        "redirect_uri": "https://sort.example/back",
        "started_by": "key Console",
        "expires_at": START,
    }
    return SignIn(
        tenant_id=actor.tenant_id, connection_id=connection_id, state_hash=state_hash, **{**standard, **fields}
    )


def a_draft(external_id: str = "1", **fields: Any) -> Draft:
    standard: dict[str, Any] = {
        "text": "REWE Markt 1234",
        "occurred_at": date(2026, 1, 3),
        "account": "giro",
        "amount": Decimal("-12.50"),
        "currency": "EUR",
    }
    return Draft(external_id=external_id, **{**standard, **fields})


def decided(record_id: UUID, category_id: UUID | None = None, **fields: Any) -> Decision:
    standard: dict[str, Any] = {
        "status": RecordStatus.PROCESSED,
        "stage": Stage.RULES,
        "confidence": 0.97,
        "threshold": 0.9,
        "model_version": "rules-1",
        "selection_probability": 0.02,
        "trace": {"reason": "rules: says so", "stages": []},
    }
    return Decision(record_id=record_id, category_id=category_id, **{**standard, **fields})


def open_of(tx: Transaction, record_id: UUID) -> Approval | None:
    """The record's open item, if it waits for a person."""
    found = tx.approvals.open_of([record_id])
    assert len(found) <= 1
    return found[0] if found else None


def asked(record_id: UUID, *, confidence: float = 0.4, group_key: str = "", **fields: Any) -> Decision:
    standard: dict[str, Any] = {
        "status": RecordStatus.NEEDS_REVIEW,
        "stage": None,
        "confidence": confidence,
        "suggested_confidence": confidence,
        "urgency": 1 - confidence,
        "approval": ApprovalReason.UNSURE,
        "group_key": group_key,
        "trace": {"reason": "review: no stage is sure", "stages": []},
    }
    return Decision(record_id=record_id, **{**standard, **fields})


def answered(approval: Approval, verdict: Any, category_id: UUID | None) -> Approval:
    return replace(approval, verdict=verdict, category_id=category_id, decided_by="reviewer", decided_at=START)


def an_example(id: UUID, actor: Actor, category_id: UUID, record_id: UUID | None = None, text: str = "rewe") -> Example:
    return Example(
        id=id, tenant_id=actor.tenant_id, record_id=record_id, text=text, category_id=category_id, created_at=START
    )


def an_arrival(**fields: Any) -> Arrival:
    standard: dict[str, Any] = {
        "candidates": (UUID(int=1), UUID(int=2)),
        "features": b"\x00features\xff",
        "score": 0.5,
        "stacked": True,
        "scope": -1.25,
        "predicted": UUID(int=1),
        "arrived": 7,
    }
    return Arrival(**{**standard, **fields})


def an_ensemble(version: int = 1, **fields: Any) -> StoredEnsemble:
    standard: dict[str, Any] = {"learner": "l-1", "taught": 3, "arrived": 9, "gate": Gate(threshold=0.75, scope=0.5)}
    return StoredEnsemble(version=version, **{**standard, **fields})


def an_answer(category_id: UUID | None, **fields: Any) -> LlmAnswer:
    standard: dict[str, Any] = {"record_id": "", "confidence": 0.75, "rationale": "It says rewe.", "measured": True}
    return LlmAnswer(category_key=None if category_id is None else str(category_id), **{**standard, **fields})


def a_rule(id: UUID, actor: Actor, category_id: UUID | None, **fields: Any) -> Rule:
    standard: dict[str, Any] = {
        "name": "Groceries",
        "stage": RuleStage.MAIN,
        "priority": 100,
        "when": parse_condition({"field": "text", "op": "contains", "value": "rewe"}),
        "then": Action(category_id=category_id, tags=("shop",), fields={"place": "town"}, review=category_id is None),
        "stop": True,
        "enabled": True,
        "pack": None,
        "trusted": True,
        "hits": 0,
        "last_hit_at": None,
        "created_at": START,
        "version": 1,
    }
    return Rule(id=id, tenant_id=actor.tenant_id, **{**standard, **fields})


def a_proposal(id: UUID, actor: Actor, category_id: UUID, **fields: Any) -> Proposal:
    standard: dict[str, Any] = {
        "name": "Groceries",
        "when": parse_condition({"field": "text", "op": "contains", "value": "rewe"}),
        "evidence": Evidence(support=20, agreeing=19, expected=0.95, examples=(id,)),
        "status": ProposalStatus.OPEN,
        "rule_id": None,
        "decided_by": None,
        "decided_at": None,
        "created_at": START,
        "version": 1,
    }
    given = {**standard, **fields}
    key = proposal_key(given["when"], category_id)
    return Proposal(id=id, tenant_id=actor.tenant_id, category_id=category_id, **{"key": key, **given})


def a_run(id: UUID, actor: Actor, **fields: Any) -> RuleRun:
    standard: dict[str, Any] = {
        "job_id": id,
        "status": RunStatus.QUEUED,
        "rule_ids": None,
        "where": {},
        "counts": RunCounts(),
        "requested_by": "reviewer",
        "created_at": START,
    }
    return RuleRun(id=id, tenant_id=actor.tenant_id, **{**standard, **fields})


def an_evaluation(id: UUID, actor: Actor, **fields: Any) -> Evaluation:
    standard: dict[str, Any] = {
        "job_id": id,
        "status": EvaluationStatus.QUEUED,
        "promise": 0.95,
        "test": None,
        "test_share": 0.2,
        "with_rules": False,
        "requested_by": "reviewer",
        "created_at": START,
    }
    return Evaluation(id=id, tenant_id=actor.tenant_id, **{**standard, **fields})


def a_receipt(id: UUID, actor: Actor, n: int = 1, **fields: Any) -> Receipt:
    """The `n`-th: each has another content."""
    standard: dict[str, Any] = {
        "filename": f"receipt-{n}.png",
        "mime_type": "image/png",
        "bytes": 3,
        "sha256": f"{n:064x}",
        "source": ReceiptSource.UPLOAD,
        "connection_id": None,
        "uploaded_by": "reviewer",
        "uploaded_at": START,
        "state": ReceiptState.PICTURE,
        "failure": None,
        "said": Said(),
        "by_person": (),
        "links": 0,
        "version": 1,
    }
    return Receipt(id=id, tenant_id=actor.tenant_id, **{**standard, **fields})


def vector(**components: float) -> list[float]:
    """A vector of 384 dimensions; `x`, `y` and `z` are its first three."""
    return [components.get(name, 0.0) for name in "xyz"] + [0.0] * 381


def a_payment_event(id: str = "evt_1", customer_id: str | None = "cus_1", *, known: bool = True) -> PaymentEvent:
    return PaymentEvent(
        provider="stripe/test",
        id=id,
        type="customer.subscription.updated",
        customer_id=customer_id,
        known=known,
        created_at=START,
    )


def some_terms(*plans: Plan, grace_days: float = 14, mails: bool = False) -> Terms:
    """What an installation offers: these plans, of which the first is everybody's; or no limits at all."""
    catalog = Catalog(plans or (UNLIMITED,))
    return Terms(catalog=catalog, base=catalog.plans[0].key, grace=timedelta(days=grace_days), mails=mails)
