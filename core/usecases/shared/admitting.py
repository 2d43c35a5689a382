"""Records are taken up to be sorted as far as their tenant's plan holds; the rest is held."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from core.domain.billing import Entitlement, Terms, entitle
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job, NewJob, Stream
from core.domain.llm_spending import month_of
from core.domain.plans import Limit, Meter
from core.domain.usage import crossed, next_month
from core.usecases.shared.billing_notices import NOTICE
from core.usecases.shared.owner_mails import write_owners
from core.usecases.shared.paying import queue_sync
from ports.billing_storage import Taken
from ports.clock import Clock, Ids
from ports.storage import Transaction

CHUNK = 2_500
"""Records that one job sorts: less than what is stored at once, so that several workers end at about the same time."""
ASKED_EVERY = timedelta(minutes=5)
"""How often a provider is asked anew, at most, because a tenant was denied something: a denial that is wrong, since a
payment was not told, ends within that."""


def entitled(tx: Transaction, terms: Terms, clock: Clock) -> Entitlement:
    """What the tenant may do now."""
    return entitle(tx.billing.get(), terms, clock.now())


def admit(
    tx: Transaction, records: Sequence[UUID], terms: Terms, job: Job, *, clock: Clock, ids: Ids
) -> Sequence[UUID]:
    """Counts as many of these new records as the plan holds, and gives them back; holds the others. The counter is what
    transactions of a tenant wait for each other at, so this comes late in them."""
    if not records:
        return records
    entitlement = entitled(tx, terms, clock)
    granted = take_records(tx, len(records), entitlement, terms, job, clock=clock, ids=ids).granted
    if granted < len(records):
        # Once more under the account's lock: who changed the plan while we waited at the counter found nothing held to
        # be taken up, and who changes it from here on finds what we hold.
        entitlement = entitle(tx.billing.get(lock=True), terms, clock.now())
        left = len(records) - granted
        granted += take_records(tx, left, entitlement, terms, job, clock=clock, ids=ids).granted
    held = records[granted:]
    if held:
        tx.held.hold(held)
        tx.billing.note_held(next_month(month_of(clock.now())))
        payload = {"records": len(held), "plan": entitlement.plan.key, "access": entitlement.access.value}
        tx.events.append([NewEvent(type=EventType.RECORDS_HELD, payload=payload)])
        ask_anew(tx, job.max_attempts, clock=clock, ids=ids)
    return records[:granted]


def take_records(
    tx: Transaction, wanted: int, entitlement: Entitlement, terms: Terms, job: Job, *, clock: Clock, ids: Ids
) -> Taken:
    """Counts as many as the plan holds, and tells when what it holds is nearly used up."""
    limit, month = entitlement.limit(Meter.RECORDS), month_of(clock.now())
    taken = tx.usages.take(Meter.RECORDS, month, wanted, limit.hard)
    before, after = Decimal(taken.before), Decimal(taken.after)
    note_usage(tx, Meter.RECORDS, month, before, after, limit, terms, job.max_attempts, ids=ids)
    return taken


def note_usage(
    tx: Transaction,
    meter: Meter,
    month: date,
    before: Decimal,
    after: Decimal,
    limit: Limit,
    terms: Terms,
    max_attempts: int,
    *,
    ids: Ids,
) -> None:
    """Tells owners of each share of the plan that was reached between."""
    for percent in crossed(before, after, limit.soft):
        told = {"meter": meter.value, "percent": percent, "month": month.isoformat(), "limit": f"{limit.soft:f}"}
        tx.events.append([NewEvent(type=EventType.USAGE_NOTICED, payload=told)])
        if terms.mails:
            write_owners(tx, {"notice": "usage", **told}, max_attempts, kind=NOTICE, ids=ids)


def ask_anew(tx: Transaction, max_attempts: int, *, clock: Clock, ids: Ids) -> bool:
    """Queues a job that asks the provider what the tenant pays for, unless that was done a moment ago; whether."""
    account, now = tx.billing.get(), clock.now()
    if account.customer_id is None or not tx.billing.ask(now, now - ASKED_EVERY):
        return False
    queue_sync(tx, "denied", None, max_attempts, ids=ids)
    return True


def process_job(job: Job, import_id: UUID, id: UUID, records: Sequence[UUID]) -> NewJob:
    """The job that sorts these records of an import, for the job that brought them."""
    return NewJob(
        id=id,
        stream=Stream.PROCESS,
        payload={"import_id": str(import_id), "first": str(records[0]), "last": str(records[-1])},
        request_id=job.request_id,
        source_agent=job.source_agent,
        max_attempts=job.max_attempts,
        trace_parent=job.trace_parent,
    )
