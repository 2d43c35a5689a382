"""Evaluations, as they were asked for and reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, insert, null, select

from adapters.postgres.evaluation_tables import evaluations
from adapters.postgres.guards import at
from core.domain.evaluations import Evaluation, EvaluationStatus
from core.errors import NotFound

_MUTABLE = ("finished_at", "failure")
_REMAINING = ("id", "job_id", "promise", "test", "test_share", "with_rules", "requested_by", "created_at")


class PostgresEvaluations:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, evaluation: Evaluation) -> None:
        given = {name: getattr(evaluation, name) for name in _REMAINING}
        statement = insert(evaluations).values(tenant_id=self._tenant_id, **given, **_mutable(evaluation))
        self._connection.execute(statement)

    def get(self, id: UUID) -> Evaluation:
        query = select(evaluations).where(at(evaluations, self._tenant_id, id))
        row = self._connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("this evaluation does not exist")
        return _to_evaluation(row)

    def list(self, *, before: UUID | None, limit: int) -> Sequence[Evaluation]:
        query = select(evaluations).where(evaluations.c.tenant_id == self._tenant_id)
        if before is not None:
            query = query.where(evaluations.c.id < before)
        rows = self._connection.execute(query.order_by(evaluations.c.id.desc()).limit(limit)).mappings()
        return [_to_evaluation(row) for row in rows]

    def update(self, evaluation: Evaluation) -> None:
        where = at(evaluations, self._tenant_id, evaluation.id)
        statement = evaluations.update().where(where).values(**_mutable(evaluation))
        if self._connection.execute(statement).rowcount == 0:
            raise NotFound("this evaluation does not exist")


def _mutable(evaluation: Evaluation) -> dict[str, object]:
    return {name: getattr(evaluation, name) for name in _MUTABLE} | {
        "status": evaluation.status.value,
        "report": null() if evaluation.report is None else evaluation.report,
    }


def _to_evaluation(row: RowMapping) -> Evaluation:
    values: dict[str, Any] = {name: row[name] for name in Evaluation.__slots__}
    return Evaluation(**values | {"status": EvaluationStatus(row["status"])})
