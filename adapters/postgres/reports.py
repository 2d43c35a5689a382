"""Reports: their definitions, and what became of each that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, insert, null, select

from adapters.postgres.guards import at, conflicts, delete_versioned, update_versioned
from adapters.postgres.report_tables import report_definitions, report_runs
from core.domain.reports import (
    ReportDefinition,
    ReportKind,
    ReportRun,
    RunStatus,
    files_from_json,
    files_to_json,
    schedule_from_json,
    schedule_to_json,
    spec_from_json,
    spec_to_json,
)
from core.errors import NotFound

_TAKEN = "another report has this name"
_ASKED = ("id", "job_id", "definition_id", "name", "today", "slot", "requested_by", "created_at")
_BECAME = ("finished_at", "rows", "failure", "expired_at")


class PostgresReports:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add_definition(self, definition: ReportDefinition) -> None:
        given = {name: getattr(definition, name) for name in ("id", "created_by", "created_at", "version")}
        with conflicts(taken=_TAKEN):
            self._connection.execute(
                insert(report_definitions).values(tenant_id=self._tenant_id, **given, **_changeable(definition))
            )

    def definition(self, id: UUID) -> ReportDefinition:
        query = select(report_definitions).where(at(report_definitions, self._tenant_id, id))
        row = self._connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("this report definition does not exist")
        return _to_definition(row)

    def definitions(self) -> Sequence[ReportDefinition]:
        c = report_definitions.c
        query = select(report_definitions).where(c.tenant_id == self._tenant_id).order_by(c.id)
        return [_to_definition(row) for row in self._connection.execute(query).mappings()]

    def update_definition(self, definition: ReportDefinition) -> None:
        where = at(report_definitions, self._tenant_id, definition.id)
        with conflicts(taken=_TAKEN):
            update_versioned(self._connection, report_definitions, where, definition.version, _changeable(definition))

    def delete_definition(self, id: UUID, version: int | None) -> None:
        where = at(report_definitions, self._tenant_id, id)
        delete_versioned(self._connection, report_definitions, where, version)

    def add(self, run: ReportRun) -> None:
        given = {name: getattr(run, name) for name in _ASKED} | {"spec": spec_to_json(run.spec)}
        self._connection.execute(insert(report_runs).values(tenant_id=self._tenant_id, **given, **_became(run)))

    def get(self, id: UUID) -> ReportRun:
        row = self._connection.execute(select(report_runs).where(at(report_runs, self._tenant_id, id))).mappings()
        found = row.first()
        if found is None:
            raise NotFound("this report does not exist")
        return to_run(found)

    def list(
        self,
        *,
        before: UUID | None,
        limit: int,
        definition_id: UUID | None = None,
        kind: ReportKind | None = None,
        status: RunStatus | None = None,
    ) -> Sequence[ReportRun]:
        c = report_runs.c
        query = select(report_runs).where(c.tenant_id == self._tenant_id)
        if before is not None:
            query = query.where(c.id < before)
        if definition_id is not None:
            query = query.where(c.definition_id == definition_id)
        if kind is not None:
            query = query.where(c.spec["kind"].astext == kind.value)
        if status is not None:
            query = query.where(c.status == status.value)
        rows = self._connection.execute(query.order_by(c.id.desc()).limit(limit)).mappings()
        return [to_run(row) for row in rows]

    def update(self, run: ReportRun) -> None:
        where = at(report_runs, self._tenant_id, run.id)
        if self._connection.execute(report_runs.update().where(where).values(**_became(run))).rowcount == 0:
            raise NotFound("this report does not exist")


def _changeable(definition: ReportDefinition) -> dict[str, Any]:
    schedule = schedule_to_json(definition.schedule)
    return {
        "name": definition.name,
        "spec": spec_to_json(definition.spec),
        "schedule": null() if schedule is None else schedule,
        "next_run_at": definition.next_run_at,
        "updated_at": definition.updated_at,
    }


def _became(run: ReportRun) -> dict[str, Any]:
    return {name: getattr(run, name) for name in _BECAME} | {
        "status": run.status.value,
        "files": files_to_json(run.files),
    }


def _to_definition(row: RowMapping) -> ReportDefinition:
    values = {name: row[name] for name in ReportDefinition.__slots__}
    read = {"spec": spec_from_json(row["spec"]), "schedule": schedule_from_json(row["schedule"])}
    return ReportDefinition(**values | read)


def to_run(row: RowMapping) -> ReportRun:
    values = {name: row[name] for name in ReportRun.__slots__}
    status, files = RunStatus(row["status"]), files_from_json(row["files"])
    return ReportRun(**values | {"spec": spec_from_json(row["spec"]), "status": status, "files": files})
