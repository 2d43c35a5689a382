"""Runs of rules over records that were decided before, and what they changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, insert, select

from adapters.postgres.guards import at
from adapters.postgres.rule_tables import rule_run_changes, rule_runs
from core.domain.rule_runs import RuleRun, RunChange, RunCounts, RunStatus
from core.errors import NotFound

_MUTABLE = ("job_id", "finished_at", "undone_at", "failure")
_SHOWN = ("status", "category_id", "stage", "rule_id", "tags", "attributes", "confidence")


class PostgresRuleRuns:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, run: RuleRun) -> None:
        self._connection.execute(
            insert(rule_runs).values(
                tenant_id=self._tenant_id,
                id=run.id,
                rule_ids=None if run.rule_ids is None else list(run.rule_ids),
                record_filter=run.where,
                requested_by=run.requested_by,
                created_at=run.created_at,
                **_mutable(run),
            )
        )

    def get(self, id: UUID, *, lock: bool = False) -> RuleRun:
        query = select(rule_runs).where(at(rule_runs, self._tenant_id, id))
        row = self._connection.execute(query.with_for_update() if lock else query).mappings().first()
        if row is None:
            raise NotFound("this rule run does not exist")
        return _to_run(row)

    def list(self, *, before: UUID | None, limit: int) -> Sequence[RuleRun]:
        query = select(rule_runs).where(rule_runs.c.tenant_id == self._tenant_id)
        if before is not None:
            query = query.where(rule_runs.c.id < before)
        rows = self._connection.execute(query.order_by(rule_runs.c.id.desc()).limit(limit)).mappings()
        return [_to_run(row) for row in rows]

    def update(self, run: RuleRun) -> None:
        statement = rule_runs.update().where(at(rule_runs, self._tenant_id, run.id)).values(**_mutable(run))
        if self._connection.execute(statement).rowcount == 0:
            raise NotFound("this rule run does not exist")

    def changes(self, run_id: UUID, *, after: UUID | None, limit: int) -> Sequence[RunChange]:
        c = rule_run_changes.c
        query = select(c.record_id, c.before, c.after, c.undone).where(
            c.tenant_id == self._tenant_id, c.run_id == run_id
        )
        if after is not None:
            query = query.where(c.record_id > after)
        rows = self._connection.execute(query.order_by(c.record_id).limit(limit))
        return [
            RunChange(record_id=row.record_id, before=_shown(row.before), after=_shown(row.after), undone=row.undone)
            for row in rows
        ]


def _mutable(run: RuleRun) -> dict[str, Any]:
    return {name: getattr(run, name) for name in _MUTABLE} | {"status": run.status.value, "counts": asdict(run.counts)}


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in _SHOWN}


def _to_run(row: RowMapping) -> RuleRun:
    values = {name: row[name] for name in RuleRun.__slots__ if name != "where"}
    changed = {
        "status": RunStatus(row["status"]),
        "counts": RunCounts(**row["counts"]),
        "rule_ids": None if row["rule_ids"] is None else tuple(row["rule_ids"]),
    }
    return RuleRun(**values | changed, where=row["record_filter"])
