"""What would be decided alone, and how right, tried on what people decided."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.domain.evaluations import Evaluation
from core.domain.permissions import Permission
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional
from entrypoints.api.idempotency import posting
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import page, polled
from entrypoints.api.schemas.base import page_of
from entrypoints.api.schemas.evaluations import EvaluationSchema, EvaluationsQuerySchema, NewEvaluationSchema
from entrypoints.api.state import actor, container

blp = Blueprint("evaluations", "What would be decided alone, tried on what people decided.", "/evaluations")


@blp.route("", "POST")
@limited(Kind.COSTLY)
@needs(Permission.RULES_WRITE)
@blp.body(NewEvaluationSchema)
@blp.answer(202, EvaluationSchema)
def start_evaluation(body: dict[str, Any]) -> tuple[Evaluation, dict[str, str]]:
    """Teaches a copy of the service the older part of what people decided, and asks it about the newer one, in the
    background. Nothing of the tenant changes. `too_little_history`: people have decided too few records yet."""
    evaluation = container().start_evaluation(posting(), **body)
    return evaluation, {"Location": f"/api/v1/evaluations/{evaluation.id}"}


@blp.route("")
@needs(Permission.TENANT_READ)
@blp.query(EvaluationsQuerySchema)
@blp.answer(200, page_of(EvaluationSchema))
def list_evaluations(query: dict[str, Any]) -> dict[str, Any]:
    """Evaluations with their reports, newest first."""
    found = container().list_evaluations(actor(), before=query["before"], limit=query["limit"] + 1)
    return page(found, query["limit"], lambda evaluation: str(evaluation.id))


@blp.route("/<uuid:evaluation_id>")
@needs(Permission.TENANT_READ)
@conditional
@blp.answer(200, EvaluationSchema)
def get_evaluation(evaluation_id: UUID) -> Evaluation:
    """An evaluation; its report when it is done. How far it got stands in its job."""
    polled()
    evaluation: Evaluation = container().get_evaluation(actor(), evaluation_id)
    return evaluation
