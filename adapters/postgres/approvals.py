"""The review queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, and_, func, insert, or_, select, text

from adapters.postgres.guards import conflicts
from adapters.postgres.record_rows import RECORD_COLUMNS, to_record
from adapters.postgres.tables import approvals, records
from core.domain.approvals import Approval, ApprovalReason, Verdict
from core.domain.records import Record
from core.errors import AlreadyDecided, NotFound

_DECIDE = text("""
    UPDATE approvals a SET
        verdict = d.verdict, category_id = d.category_id, decided_by = d.decided_by, decided_at = d.decided_at
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:verdicts AS text[]), CAST(:categories AS uuid[]), CAST(:people AS text[]),
        CAST(:times AS timestamptz[])
    ) AS d(id, verdict, category_id, decided_by, decided_at)
    WHERE a.tenant_id = :tenant AND a.id = d.id AND a.verdict IS NULL
""")


class PostgresApprovals:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def get_many(self, ids: Sequence[UUID], *, lock: bool = False) -> Sequence[Approval]:
        query = select(approvals).where(approvals.c.tenant_id == self._tenant_id, approvals.c.id.in_(ids))
        if lock:
            query = query.order_by(approvals.c.id).with_for_update()
        found = {row["id"]: _to_approval(row) for row in self._connection.execute(query).mappings()}
        if missing := [id for id in ids if id not in found]:
            raise NotFound(f"approval {missing[0]} does not exist")
        return [found[id] for id in ids]

    def queue(
        self, *, after: tuple[float, UUID] | None, limit: int, group_key: str | None = None
    ) -> Sequence[tuple[Approval, Record]]:
        query = (
            select(*(c.label(f"approval_{c.name}") for c in approvals.c), *RECORD_COLUMNS)
            .join(records, and_(records.c.tenant_id == approvals.c.tenant_id, records.c.id == approvals.c.record_id))
            .where(approvals.c.tenant_id == self._tenant_id, approvals.c.verdict.is_(None))
            .order_by(approvals.c.urgency.desc(), approvals.c.id)
            .limit(limit)
        )
        if after is not None:
            urgency, id = after
            query = query.where(approvals.c.urgency <= urgency, or_(approvals.c.urgency < urgency, approvals.c.id > id))
        if group_key is not None:
            query = query.where(approvals.c.group_key == group_key)
        rows = self._connection.execute(query).mappings()
        return [(_to_approval(row, "approval_"), to_record(row)) for row in rows]

    def open_of(self, record_id: UUID) -> Approval | None:
        query = select(approvals).where(
            approvals.c.tenant_id == self._tenant_id, approvals.c.record_id == record_id, approvals.c.verdict.is_(None)
        )
        row = self._connection.execute(query.with_for_update()).mappings().first()
        return None if row is None else _to_approval(row)

    def add(self, new: Sequence[Approval]) -> None:
        if new:
            with conflicts(taken="this record waits for a person already", unknown="the record does not exist"):
                self._connection.execute(insert(approvals), [_values(a) for a in new])

    def decide(self, decided: Sequence[Approval]) -> None:
        if not decided:
            return
        changed = self._connection.execute(
            _DECIDE,
            {
                "tenant": self._tenant_id,
                "ids": [a.id for a in decided],
                "verdicts": [a.verdict.value if a.verdict else None for a in decided],
                "categories": [a.category_id for a in decided],
                "people": [a.decided_by for a in decided],
                "times": [a.decided_at for a in decided],
            },
        )
        if changed.rowcount != len(decided):
            self.get_many([a.id for a in decided])
            raise AlreadyDecided

    def count_open(self) -> int:
        query = select(func.count()).where(approvals.c.tenant_id == self._tenant_id, approvals.c.verdict.is_(None))
        return self._connection.execute(query).scalar_one()


def _values(approval: Approval) -> dict[str, Any]:
    values = {name: getattr(approval, name) for name in Approval.__slots__}
    return values | {
        "reason": approval.reason.value,
        "verdict": approval.verdict.value if approval.verdict else None,
    }


def _to_approval(row: RowMapping, prefix: str = "") -> Approval:
    values = {name: row[prefix + name] for name in Approval.__slots__}
    verdict = values["verdict"]
    return Approval(
        **values
        | {"reason": ApprovalReason(values["reason"]), "verdict": Verdict(verdict) if verdict is not None else None}
    )
