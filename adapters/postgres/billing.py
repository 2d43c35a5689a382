"""What a tenant pays for, and what it used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, func, null, or_, select, text
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.billing_tables import billing_accounts, usage_counters, usage_reports
from adapters.postgres.documents import read, written
from adapters.postgres.guards import conflicts
from core.domain.billing import Account, Comp, Subscription, Told
from core.domain.plans import Meter
from ports.billing_storage import Taken, UsageReport
from ports.clock import Ids

# The counter's row is the lock: who waits for it here reads, in the next statement, what the other took.
_COUNT = text("""
    UPDATE usage_counters SET used = used + :granted
    WHERE tenant_id = :tenant AND month = :month AND meter = :meter
""")
_SET_ASIDE = text("""
    WITH counted AS (
        SELECT month, used, reported FROM usage_counters
        WHERE tenant_id = :tenant AND meter = :meter AND used > reported
        ORDER BY month FOR UPDATE
    ), moved AS (
        UPDATE usage_counters u SET reported = u.used FROM counted c
        WHERE u.tenant_id = :tenant AND u.meter = :meter AND u.month = c.month
    )
    SELECT month, used - reported AS quantity FROM counted
""")


class PostgresBilling:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._mine = billing_accounts.c.tenant_id == tenant_id

    def get(self, *, lock: bool = False) -> Account:
        query = select(billing_accounts).where(self._mine)
        if lock:
            self._ensure()
            query = query.with_for_update()
        row = self._connection.execute(query).mappings().first()
        return Account(tenant_id=self._tenant_id) if row is None else _to_account(row)

    def put(self, account: Account, *, changes_at: datetime | None) -> None:
        self._ensure()
        documents = {
            name: null() if (value := getattr(account, name)) is None else written(value)
            for name in ("subscription", "comp", "told")
        }
        plain = {name: getattr(account, name) for name in ("provider", "customer_id", "without_since", "fetched_at")}
        with conflicts(taken="this customer is another tenant's"):
            self._connection.execute(
                billing_accounts.update().where(self._mine).values(**documents, **plain, changes_at=changes_at)
            )

    def ask(self, now: datetime, since: datetime) -> bool:
        asked = billing_accounts.c.asked_at
        self._ensure()
        return bool(
            self._connection.execute(
                billing_accounts.update().where(self._mine, or_(asked.is_(None), asked < since)).values(asked_at=now)
            ).rowcount
        )

    def note_held(self, until: datetime | None) -> None:
        self._ensure()
        self._connection.execute(billing_accounts.update().where(self._mine).values(resumes_at=until))

    def _ensure(self) -> None:
        self._connection.execute(insert(billing_accounts).values(tenant_id=self._tenant_id).on_conflict_do_nothing())


class PostgresUsages:
    def __init__(self, connection: Connection, tenant_id: UUID, ids: Ids) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._ids = ids

    def take(self, meter: Meter, month: date, wanted: int, most: Decimal | None) -> Taken:
        counter = {"tenant_id": self._tenant_id, "month": month, "meter": meter.value}
        self._connection.execute(insert(usage_counters).values(counter).on_conflict_do_nothing())
        before: int = self._connection.execute(
            select(usage_counters.c.used).filter_by(**counter).with_for_update()
        ).scalar_one()
        granted = wanted if most is None else max(0, min(wanted, int(most) - before))
        if granted:
            parameters = {"tenant": self._tenant_id, "month": month, "meter": meter.value, "granted": granted}
            self._connection.execute(_COUNT, parameters)
        return Taken(granted=granted, before=before, after=before + granted)

    def since(self, month: date) -> Sequence[tuple[Meter, date, int]]:
        c = usage_counters.c
        rows = self._connection.execute(
            select(c.meter, c.month, c.used)
            .where(c.tenant_id == self._tenant_id, c.month >= month)
            .order_by(c.month, c.meter)
        )
        return [(Meter(row.meter), row.month, row.used) for row in rows]

    def to_report(self, meter: Meter, now: datetime) -> None:
        found = self._connection.execute(_SET_ASIDE, {"tenant": self._tenant_id, "meter": meter.value}).all()
        if found:
            self._connection.execute(
                insert(usage_reports),
                [
                    {
                        "tenant_id": self._tenant_id,
                        "id": self._ids.new(),
                        "meter": meter.value,
                        "month": row.month,
                        "quantity": row.quantity,
                        "created_at": now,
                    }
                    for row in sorted(found, key=lambda row: row.month)
                ],
            )

    def forgo(self, meter: Meter) -> None:
        c = usage_counters.c
        self._connection.execute(
            usage_counters.update()
            .where(c.tenant_id == self._tenant_id, c.meter == meter.value, c.used > c.reported)
            .values(reported=c.used)
        )

    def reports(self, *, limit: int) -> Sequence[UsageReport]:
        query = (
            select(*(usage_reports.c[name] for name in UsageReport.__slots__))
            .where(usage_reports.c.tenant_id == self._tenant_id, usage_reports.c.sent_at.is_(None))
            .order_by(usage_reports.c.id)
            .limit(limit)
            .with_for_update()
        )
        return [_to_report(row) for row in self._connection.execute(query).mappings()]

    def note_reports(self, ids: Sequence[UUID], *, tried_at: datetime | None, sent_at: datetime | None) -> None:
        c = usage_reports.c
        self._connection.execute(
            usage_reports.update()
            .where(c.tenant_id == self._tenant_id, c.id.in_(ids))
            .values(tried_at=func.coalesce(c.tried_at, tried_at), sent_at=func.coalesce(c.sent_at, sent_at))
        )


def _to_account(row: RowMapping) -> Account:
    values: dict[str, Any] = {name: row[name] for name in Account.__slots__}
    read_as: Mapping[str, Any] = {"subscription": Subscription, "comp": Comp, "told": Told}
    return Account(**values | {name: row[name] and read(type, row[name]) for name, type in read_as.items()})


def _to_report(row: RowMapping) -> UsageReport:
    return UsageReport(**{**row, "meter": Meter(row["meter"])})
