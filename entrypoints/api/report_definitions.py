"""Reports that are kept under a name, and made by themselves."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.domain.permissions import Permission
from core.domain.report_schedules import Schedule
from core.domain.reports import ReportDefinition
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional
from entrypoints.api.idempotency import posting
from entrypoints.api.reports import spec_out
from entrypoints.api.responses import fields_of, if_match, part, tagged, versioned
from entrypoints.api.schemas.base import WholeListSchema, page_of
from entrypoints.api.schemas.reports import DefinitionChangeSchema, DefinitionSchema, NewDefinitionSchema
from entrypoints.api.state import actor, container

blp = Blueprint(
    "report_definitions", "Reports that are kept under a name, and made by themselves.", "/reports/definitions"
)


@blp.route("")
@needs(Permission.REPORTS_READ)
@blp.query(WholeListSchema)
@blp.answer(200, page_of(DefinitionSchema))
def list_definitions(query: dict[str, Any]) -> dict[str, Any]:
    """All definitions, by rising id."""
    return part([_out(one) for one in container().list_report_definitions(actor())], query)


@blp.route("", "POST")
@needs(Permission.REPORTS_WRITE)
@blp.body(NewDefinitionSchema)
@blp.answer(201, DefinitionSchema)
def create_definition(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Keeps a report under a name, which no other has; with a schedule it is made by itself."""
    made = container().create_report_definition(posting(), **body)
    versioned(made.version)
    return _out(made), {"Location": f"/api/v1/reports/definitions/{made.id}"}


@blp.route("/<uuid:report_definition_id>")
@needs(Permission.REPORTS_READ)
@conditional
@blp.answer(200, DefinitionSchema)
def get_definition(report_definition_id: UUID) -> dict[str, Any]:
    """A definition, with when it is made next."""
    found = container().get_report_definition(actor(), report_definition_id)
    versioned(found.version)
    return _out(found)


@blp.route("/<uuid:report_definition_id>", "PATCH")
@needs(Permission.REPORTS_WRITE)
@conditional
@blp.body(DefinitionChangeSchema)
@blp.answer(200, DefinitionSchema)
def change_definition(body: dict[str, Any], report_definition_id: UUID) -> dict[str, Any]:
    """Changes name, spec or schedule; what was made by it so far stays as it is."""
    made = container().change_report_definition(actor(), report_definition_id, version=if_match(), **body)
    tagged(made.version)
    return _out(made)


@blp.route("/<uuid:report_definition_id>", "DELETE")
@needs(Permission.REPORTS_WRITE)
@conditional
@blp.answer(204)
def delete_definition(report_definition_id: UUID) -> None:
    """Removes a definition, and with it its schedule. What was made by it stays."""
    container().delete_report_definition(actor(), report_definition_id, version=if_match())


def _out(definition: ReportDefinition) -> dict[str, Any]:
    schedule: Schedule | None = definition.schedule
    return {
        **fields_of(definition, "tenant_id"),
        "spec": spec_out(definition.spec),
        "schedule": None if schedule is None else fields_of(schedule) | {"every": schedule.every.value},
    }
