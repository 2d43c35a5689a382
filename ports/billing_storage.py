"""The repositories of a tenant's account, of what it used, and of what of that was reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from core.domain.billing import Account
from core.domain.payments import EventOutcome, PaymentEvent
from core.domain.plans import Meter


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """`granted` of what was wanted; the counter before and after."""

    granted: int
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Usage of a month that is to be reported, or was. `tried_at` is when it was sent first; `sent_at` when the
    provider said that it has it, or it was given up."""

    id: UUID
    meter: Meter
    month: date
    quantity: int
    created_at: datetime
    tried_at: datetime | None = None
    sent_at: datetime | None = None


class Accounts(Protocol):
    def get(self, *, lock: bool = False) -> Account:
        """The tenant's account, an empty one before the first `put`. With `lock` nobody else changes it until the
        transaction ends."""
        ...

    def put(self, account: Account, *, changes_at: datetime | None) -> None:
        """Writes the account that was locked but for `resumes_at`, and when what it allows changes next of itself.
        Raises `Conflict` for a customer that is another tenant's."""
        ...

    def ask(self, now: datetime, since: datetime) -> bool:
        """Notes that the provider is asked anew out of turn; whether this is the first time `since` then."""
        ...

    def note_held(self, until: datetime | None) -> None:
        """Notes when records that are held are looked at next; None: none is held."""
        ...


class Usages(Protocol):
    """Counters by calendar month, named by its first day."""

    def take(self, meter: Meter, month: date, wanted: int, most: Decimal | None) -> Taken:
        """Counts as many of `wanted` as `most` leaves room for. Transactions that do so at once wait for each other
        from here to their ends, so that together they never exceed it."""
        ...

    def since(self, month: date) -> Sequence[tuple[Meter, date, int]]:
        """What was counted from that month on, by month and meter."""
        ...

    def to_report(self, meter: Meter, now: datetime) -> None:
        """Makes a report of what was counted and is in none yet, one for each month."""
        ...

    def forgo(self, meter: Meter) -> None:
        """What was counted so far and is in no report comes into none."""
        ...

    def reports(self, *, limit: int) -> Sequence[UsageReport]:
        """Those that were not sent, by id, locked until the transaction ends."""
        ...

    def note_reports(self, ids: Sequence[UUID], *, tried_at: datetime | None, sent_at: datetime | None) -> None:
        """When these were sent, and when taken; what is noted already, or None, stays."""
        ...


class Held(Protocol):
    """Records that wait until the plan has room for them: `held` instead of `ingested`."""

    def hold(self, ids: Sequence[UUID]) -> None:
        """Those of these that are `ingested`."""
        ...

    def next(self, limit: int) -> Sequence[tuple[UUID, UUID]]:
        """The first that are held, with their imports, by rising id, locked until the transaction ends; those that
        another transaction has locked are left out."""
        ...

    def release(self, ids: Sequence[UUID]) -> None:
        """Those of these that are held are `ingested` again."""
        ...

    def count(self) -> int: ...


class BillingSystem(Protocol):
    """What is done of billing across tenants, each call a transaction of its own."""

    def receive(self, event: PaymentEvent, job_id: UUID, *, max_attempts: int, delay_seconds: float) -> EventOutcome:
        """Keeps an event once, and queues a job that asks the provider about its customer, unless one waits. It is due
        after so many seconds."""
        ...

    def queue(
        self,
        ids: Sequence[UUID],
        now: datetime,
        *,
        max_attempts: int,
        reconcile_seconds: float,
        report_seconds: float,
    ) -> int:
        """Queues what is due: jobs that ask a provider where what is allowed changes of itself, or that was not asked
        for so long, or never; that take up what is held; and that report usage, as often as that. Returns how many, at
        most as many as there are `ids`; however many call it at once, none is queued twice."""
        ...

    def sweep(self, seconds: float) -> int:
        """Drops events that were received so long ago; returns how many."""
        ...
