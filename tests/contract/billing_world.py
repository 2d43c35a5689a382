"""A tenant that pays at `PaperPayments`, with an owner, workers and a clock of its own, over whatever storage."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from inspect import signature
from typing import Any

from adapters.memory.clock import FixedClock
from core.domain.billing import Account, Entitlement, Terms, entitle
from core.domain.jobs import Job, JobStatus, Stream
from core.domain.llm_spending import month_of
from core.domain.payments import EventOutcome, PaymentEvent
from core.domain.permissions import Role
from core.domain.plans import Interval, Limit, Meter, Plan
from core.domain.tenants import Actor, Membership, User
from core.errors import LeaseLost
from core.usecases import access, billing, billing_sync, comps, jobs, mail, payment_events, resume, usage_reports
from core.usecases.shared.storing import Delivery, Progress, store_batch
from ports.mail import Mail
from ports.storage import Transaction
from tests.contract.paper_payments import PaperPayments
from tests.contract.storage import Storage, a_connection, a_draft, an_import, some_terms

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LONG_AGO = datetime.fromisoformat("2025-03-03T09:00:00+00:00")
"""When these worlds begin: before the clock of a storage of its own, for which all that is due is due."""
TEAM_PRICE, BUSINESS_PRICE, NO_PRICE = "price_team", "price_business", "price_of_nobody"
METER = "sorted_records"
FREE = Plan(
    key="free",
    version=1,
    title="Free",
    limits={Meter.RECORDS: Limit(soft=Decimal(5), hard=Decimal(5)), Meter.LLM_SPEND: Limit(hard=Decimal(1))},
    retention_days=30,
)
TEAM = Plan(
    key="team",
    version=1,
    title="Team",
    limits={
        Meter.RECORDS: Limit(soft=Decimal(10), hard=Decimal(20)),
        Meter.LLM_SPEND: Limit(soft=Decimal(10), hard=Decimal(12)),
    },
    trial_days=14,
    retention_days=60,
    prices={"test": {Interval.MONTH: TEAM_PRICE}},
    meters={Meter.RECORDS: METER},
)
BUSINESS = Plan(key="business", version=1, title="Business", prices={"test": {Interval.YEAR: BUSINESS_PRICE}})
TERMS = some_terms(FREE, TEAM, BUSINESS, grace_days=14, mails=True)
ORIGIN = "https://sort.example"


@dataclass(kw_only=True)
class BillingWorld:
    storage: Storage
    clock: FixedClock
    terms: Terms = TERMS
    max_attempts: int = 3
    sent: list[Mail] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.payments = PaperPayments(clock=self.clock)
        self.tenant = self.storage.tenant()
        self.owner = self.member(Role.OWNER)

    @property
    def ports(self) -> Mapping[str, Any]:
        return {
            "terms": self.terms,
            "payments": self.payments,
            "billing": self.storage.billing,
            "origins": (ORIGIN,),
            "max_attempts": self.max_attempts,
            "backoff_seconds": 1.0,
            "event_delay": 0.0,
            "uow": self.storage.uow,
            "people": self.storage.people,
            "secrets": None,
            "mailer": self,
            "public_url": ORIGIN,
            "clock": self.clock,
            "ids": self.storage.ids,
        }

    def call(self, usecase: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """The use case with those of the ports that it takes."""
        taken = signature(usecase).parameters
        return usecase(*args, **{name: port for name, port in self.ports.items() if name in taken} | named)

    def send(self, mail: Mail) -> None:
        self.sent.append(mail)

    def member(self, role: Role) -> User:
        id = self.storage.ids.new()
        user = User(id=id, email=f"{id}@example.org", name="", created_at=self.clock.now())
        with self.storage.writing(self.tenant) as tx:
            return tx.members.add(user, Membership(tenant_id=self.tenant.tenant_id, user_id=id, role=role))

    @property
    def account(self) -> Account:
        with self.storage.reading(self.tenant) as tx:
            return tx.billing.get()

    @property
    def customer(self) -> str:
        return self.payments.customer_of(self.tenant.tenant_id)

    def entitled(self) -> Entitlement:
        return entitle(self.account, self.terms, self.clock.now())

    def order(self, plan: str = "team", interval: Interval = Interval.MONTH) -> Any:
        urls = {"success_url": f"{ORIGIN}/paid", "cancel_url": f"{ORIGIN}/"}
        actor = replace(self.tenant, request_id=str(self.storage.ids.new()))
        return self.call(billing.order_plan, actor, plan=plan, interval=interval, **urls)

    def subscribe(self, how: str = "created", price_id: str = TEAM_PRICE) -> None:
        """Orders, pays, and is told of."""
        if self.account.customer_id is None:
            self.order()
        self.payments.begin(self.customer, how, price_id)
        self._told_of()

    def happens(self, what: str) -> None:
        """To the subscription, of which the provider tells."""
        assert self.payments.change(self.customer, what)
        self._told_of()

    def _told_of(self) -> None:
        self.deliver(self.payments.told[-1])
        self.drain()

    def comp(self, plan: str | None, until: datetime | None = None) -> None:
        self.call(comps.comp_plan, self.tenant, plan=plan, until=until, reason="a pilot")

    def deliver(self, event: PaymentEvent) -> EventOutcome:
        body = json.dumps({"id": event.id}).encode()
        outcome: EventOutcome = self.call(payment_events.receive_payment_event, {}, body)
        return outcome

    def tick(self) -> int:
        queued: int = self.call(payment_events.queue_billing)
        return queued

    def deny(self, actor: Actor | None = None) -> bool:
        asked: bool = self.call(access.doubt_denial, actor or self.tenant)
        return asked

    def jobs(self, stream: Stream | None = None, *statuses: JobStatus) -> list[Job]:
        """Those that wait, unless it is said otherwise."""
        wanted = [status.value for status in statuses or (JobStatus.QUEUED, JobStatus.PUBLISHED)]
        with self.storage.reading(self.tenant) as tx:
            return list(tx.jobs.list(stream=stream and stream.value, statuses=wanted, after=None, limit=500))

    def work(self, job: Job) -> JobStatus | None:
        """What a worker does with a job, and what becomes of that; None: another has it, or it is not due."""
        with self.storage.writing(self.tenant) as tx:
            claimed = tx.jobs.claim(job.id, self.storage.ids.new(), 60)
        if claimed is None:
            return None
        try:
            self.call(_HANDLERS[claimed.stream], claimed)
        except LeaseLost:
            return None
        except Exception as error:
            failed: JobStatus = self.call(jobs.fail_job, claimed, error)
            return failed
        return JobStatus.DONE

    def drain(self, *streams: Stream) -> int:
        """Does what waits, and what follows from that; returns how many jobs that were."""
        done = 0
        while found := [job for stream in streams or _HANDLERS for job in self.jobs(stream)]:
            for job in found:
                assert self.work(job) is JobStatus.DONE, self.failures()
                done += 1
        return done

    def failures(self) -> Sequence[str | None]:
        return [job.last_error for job in self.jobs(None, *JobStatus) if job.last_error is not None]

    def pass_time(self, by: timedelta) -> None:
        """Lets the clock go on, and does what is due then."""
        self.clock.advance(by)
        self.tick()
        self.drain()

    def told(self, *types: str) -> list[Mapping[str, Any]]:
        """The payloads of the tenant's events of these types."""
        return [event.payload for event in self.storage.events(self.tenant, *types)]

    def bring(self, *external_ids: str) -> Progress:
        """Records come in, as by an import: what the plan holds is to be sorted, the rest is held."""
        job = self.storage.claim(self.tenant, self.storage.job(self.tenant, Stream.INGEST))
        with self.storage.writing(self.tenant) as tx:
            connection = tx.connections.ensure(a_connection(self.storage.ids.new(), self.tenant))
            imported = tx.imports.add(an_import(self.storage.ids.new(), self.tenant, connection.id), [])
            tenant = tx.tenants.get()
        delivery = Delivery(
            job=job, actor=self.tenant, tenant=tenant, imported=imported, connection=connection, terms=self.terms
        )

        def keep(tx: Transaction, progress: Progress, whole: bool) -> None:
            tx.jobs.finish(job)

        drafts = [a_draft(id) for id in external_ids]
        stored: Progress = self.call(store_batch, delivery, drafts, Progress(), keep)
        return stored

    def used(self) -> int:
        """Records, in this month."""
        month = month_of(self.clock.now())
        with self.storage.reading(self.tenant) as tx:
            return sum(count for meter, of, count in tx.usages.since(month) if (meter, of) == (Meter.RECORDS, month))

    def held(self) -> int:
        with self.storage.reading(self.tenant) as tx:
            return tx.held.count()


_HANDLERS: Mapping[Stream, Callable[..., None]] = {
    Stream.BILLING: billing_sync.sync_billing,
    Stream.RESUME: resume.resume_held,
    Stream.REPORT: usage_reports.report_usage,
    Stream.MAIL: mail.send_mail,
}
