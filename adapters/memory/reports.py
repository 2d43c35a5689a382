"""Reports: their definitions, and what became of each that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from adapters.memory.state import Workspace, check_version, one
from core.domain.reports import ReportDefinition, ReportKind, ReportRun, RunStatus
from core.errors import Conflict
from ports.system import ReportTurn


class MemoryReports:
    def __init__(self, workspace: Workspace) -> None:
        self._definitions = workspace.state.report_definitions
        self._runs = workspace.state.report_runs

    def add_definition(self, definition: ReportDefinition) -> None:
        self._check_name(definition)
        self._definitions[definition.id] = definition

    def definition(self, id: UUID) -> ReportDefinition:
        return one(self._definitions, id, "report definition")

    def definitions(self) -> Sequence[ReportDefinition]:
        return [self._definitions[id] for id in sorted(self._definitions)]

    def update_definition(self, definition: ReportDefinition) -> None:
        stored = self.definition(definition.id)
        check_version(stored.version, definition.version)
        self._check_name(definition)
        self._definitions[definition.id] = replace(
            stored,
            name=definition.name,
            spec=definition.spec,
            schedule=definition.schedule,
            next_run_at=definition.next_run_at,
            updated_at=definition.updated_at,
            version=stored.version + 1,
        )

    def delete_definition(self, id: UUID, version: int | None) -> None:
        check_version(self.definition(id).version, version)
        del self._definitions[id]

    def add(self, run: ReportRun) -> None:
        self._runs[run.id] = run

    def get(self, id: UUID) -> ReportRun:
        return one(self._runs, id, "report")

    def list(
        self,
        *,
        before: UUID | None,
        limit: int,
        definition_id: UUID | None = None,
        kind: ReportKind | None = None,
        status: RunStatus | None = None,
    ) -> Sequence[ReportRun]:
        newest_first = (self._runs[id] for id in sorted(self._runs, reverse=True) if before is None or id < before)
        return [
            run
            for run in newest_first
            if definition_id in (None, run.definition_id)
            and kind in (None, run.spec.kind)
            and status in (None, run.status)
        ][:limit]

    def update(self, run: ReportRun) -> None:
        self._runs[run.id] = replace(
            self.get(run.id),
            status=run.status,
            finished_at=run.finished_at,
            rows=run.rows,
            files=run.files,
            failure=run.failure,
            expired_at=run.expired_at,
        )

    def _check_name(self, definition: ReportDefinition) -> None:
        if any(one.name == definition.name and one.id != definition.id for one in self._definitions.values()):
            raise Conflict("another report has this name")


def turned(definition: ReportDefinition, turn: ReportTurn, now: datetime) -> ReportRun:
    """The run of a definition whose turn has come."""
    return ReportRun(
        id=turn.run_id,
        tenant_id=definition.tenant_id,
        job_id=turn.job_id,
        definition_id=definition.id,
        name=definition.name,
        spec=definition.spec,
        today=turn.today,
        slot=turn.slot,
        status=RunStatus.QUEUED,
        requested_by="sortation",
        created_at=now,
    )
