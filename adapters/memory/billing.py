"""What a tenant pays for, what it used, and what waits until its plan has room for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from adapters.memory.record_changes import write
from adapters.memory.state import KeptAccount, Workspace
from core.domain.billing import Account
from core.domain.plans import Meter
from core.domain.records import RecordStatus
from core.errors import Conflict
from ports.billing_storage import Taken, UsageReport


class MemoryBilling:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._accounts = workspace.state.billing

    def get(self, *, lock: bool = False) -> Account:
        kept = self._kept()
        if lock:  # written anew, so that a commit fails when another transaction wrote it meanwhile
            self._accounts[self._at.tenant_id] = replace(kept)
        return kept.account

    def put(self, account: Account, *, changes_at: datetime | None) -> None:
        kept, customers = self._kept(), self._at.state.customers
        if account.customer_id is not None:
            key = (account.provider, account.customer_id)
            if customers.setdefault(key, self._at.tenant_id) != self._at.tenant_id:
                raise Conflict("this customer is another tenant's")
        account = replace(account, resumes_at=kept.account.resumes_at)
        self._accounts[self._at.tenant_id] = replace(kept, account=account, changes_at=changes_at)

    def ask(self, now: datetime, since: datetime) -> bool:
        kept = self._kept()
        if kept.asked_at is not None and kept.asked_at >= since:
            return False
        self._accounts[self._at.tenant_id] = replace(kept, asked_at=now)
        return True

    def note_held(self, until: datetime | None) -> None:
        kept = self._kept()
        self._accounts[self._at.tenant_id] = replace(kept, account=replace(kept.account, resumes_at=until))

    def _kept(self) -> KeptAccount:
        return self._accounts.get(self._at.tenant_id) or KeptAccount(account=Account(tenant_id=self._at.tenant_id))


class MemoryUsages:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._usages = workspace.state.usages
        self._reports = workspace.state.usage_reports

    def take(self, meter: Meter, month: date, wanted: int, most: Decimal | None) -> Taken:
        before, reported = self._usages.get((month, meter), (0, 0))
        granted = wanted if most is None else max(0, min(wanted, int(most) - before))
        self._usages[month, meter] = (before + granted, reported)
        return Taken(granted=granted, before=before, after=before + granted)

    def since(self, month: date) -> Sequence[tuple[Meter, date, int]]:
        return [(meter, of, used) for (of, meter), (used, _) in sorted(self._usages.items()) if of >= month]

    def to_report(self, meter: Meter, now: datetime) -> None:
        for (month, of), (used, reported) in sorted(self._usages.items()):
            if of is meter and used > reported:
                report = UsageReport(
                    id=self._at.ids.new(), meter=meter, month=month, quantity=used - reported, created_at=now
                )
                self._reports[report.id] = report
                self._usages[month, of] = (used, used)

    def forgo(self, meter: Meter) -> None:
        for (month, of), (used, reported) in list(self._usages.items()):
            if of is meter and used > reported:
                self._usages[month, of] = (used, used)

    def reports(self, *, limit: int) -> Sequence[UsageReport]:
        return [report for _, report in sorted(self._reports.items()) if report.sent_at is None][:limit]

    def note_reports(self, ids: Sequence[UUID], *, tried_at: datetime | None, sent_at: datetime | None) -> None:
        for id in ids:
            report = self._reports[id]
            self._reports[id] = replace(report, tried_at=report.tried_at or tried_at, sent_at=report.sent_at or sent_at)


class MemoryHeld:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._records = workspace.state.records

    def hold(self, ids: Sequence[UUID]) -> None:
        self._move(ids, RecordStatus.INGESTED, RecordStatus.HELD)

    def next(self, limit: int) -> Sequence[tuple[UUID, UUID]]:
        found = ((id, self._records[id].record.import_id) for id in self._held())
        return [(id, import_id) for id, import_id in found if import_id is not None][:limit]

    def release(self, ids: Sequence[UUID]) -> None:
        self._move(ids, RecordStatus.HELD, RecordStatus.INGESTED)

    def count(self) -> int:
        return len(self._held())

    def _held(self) -> list[UUID]:
        return sorted(id for id, kept in self._records.items() if kept.record.status is RecordStatus.HELD)

    def _move(self, ids: Sequence[UUID], before: RecordStatus, after: RecordStatus) -> None:
        for id in ids:
            if id in self._records and self._records[id].record.status is before:
                write(self._at, replace(self._records[id].record, status=after))
