"""Rules applied to records that were decided before, and undone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.domain.permissions import Permission
from core.domain.rule_runs import RuleRun
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional, fails_with
from entrypoints.api.idempotency import posting
from entrypoints.api.limits import Kind, limited
from entrypoints.api.records import record_filter
from entrypoints.api.responses import page, polled
from entrypoints.api.schemas.base import AfterSchema, page_of
from entrypoints.api.schemas.rules import NewRunSchema, RunChangeSchema, RunSchema, RunsQuerySchema
from entrypoints.api.state import actor, container

blp = Blueprint("rule_runs", "Rules applied afterwards: recorded, and undoable.", "/rules/runs")


@blp.route("", "POST")
@limited(Kind.COSTLY)
@needs(Permission.RULES_WRITE)
@fails_with(404)
@blp.body(NewRunSchema)
@blp.answer(202, RunSchema)
def start_run(body: dict[str, Any]) -> tuple[RuleRun, dict[str, str]]:
    """Applies rules to stored records, in the background; what people decided stays as it is."""
    run = container().start_run(posting(), rule_ids=body["rule_ids"], where=record_filter(body["where"]))
    return run, {"Location": f"/api/v1/rules/runs/{run.id}"}


@blp.route("")
@needs(Permission.RULES_READ)
@blp.query(RunsQuerySchema)
@blp.answer(200, page_of(RunSchema))
def list_runs(query: dict[str, Any]) -> dict[str, Any]:
    """Runs, newest first."""
    runs = container().list_runs(actor(), before=query["before"], limit=query["limit"] + 1)
    return page(runs, query["limit"], lambda run: str(run.id))


@blp.route("/<uuid:run_id>")
@needs(Permission.RULES_READ)
@conditional
@blp.answer(200, RunSchema)
def get_run(run_id: UUID) -> RuleRun:
    """A run, as far as it got."""
    polled()
    run: RuleRun = container().get_run(actor(), run_id)
    return run


@blp.route("/<uuid:run_id>/changes")
@needs(Permission.RULES_READ)
@blp.query(AfterSchema)
@blp.answer(200, page_of(RunChangeSchema))
def list_changes(query: dict[str, Any], run_id: UUID) -> dict[str, Any]:
    """What the run did, record by record: before and after."""
    actor().require(Permission.RECORDS_READ)
    changes = container().list_run_changes(actor(), run_id, after=query["after"], limit=query["limit"] + 1)
    return page(changes, query["limit"], lambda change: str(change.record_id))


@blp.route("/<uuid:run_id>/undo", "POST")
@limited(Kind.COSTLY)
@needs(Permission.RULES_WRITE)
@blp.answer(202, RunSchema)
def undo_run(run_id: UUID) -> RuleRun:
    """Restores what the run changed and nobody changed since, in the background."""
    run: RuleRun = container().undo_run(posting(), run_id)
    return run
