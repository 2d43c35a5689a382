"""What the LLM took, and what a run would take."""

from __future__ import annotations

from typing import Any

from core.domain.llm_spending import LlmMonth
from core.domain.permissions import Permission
from core.usecases.shared.llm_means import LlmMeans
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, keyless
from entrypoints.api.limits import Kind, limited
from entrypoints.api.records import record_filter
from entrypoints.api.responses import fields_of
from entrypoints.api.schemas.llm import LlmPlanQuerySchema, LlmPlanSchema, LlmUsageQuerySchema, LlmUsageSchema
from entrypoints.api.state import actor, container

blp = Blueprint("llm", "What the LLM costs.", "/llm")


@blp.route("/usage")
@needs(Permission.TENANT_READ)
@blp.query(LlmUsageQuerySchema)
@blp.answer(200, LlmUsageSchema)
def get_usage(query: dict[str, Any]) -> dict[str, Any]:
    """Calls, tokens and cost by calendar month, and what the tenant's cap still allows."""
    means, months = container().llm_usage(actor(), months=query["months"])
    return _means(means) | {"months": [_month(month) for month in months]}


@blp.route("/plan", "POST")
@limited(Kind.COSTLY)
@needs(Permission.TENANT_READ)
@keyless
@blp.body(LlmPlanQuerySchema)
@blp.answer(200, LlmPlanSchema)
def plan(body: dict[str, Any]) -> dict[str, Any]:
    """What asking the LLM about these records would take. Nothing is asked, and nothing is stored but embeddings."""
    actor().require(Permission.RECORDS_READ)
    planned = container().plan_llm(actor(), record_filter(body["where"]))
    return fields_of(planned, "means") | _means(planned.means)


def _means(means: LlmMeans) -> dict[str, Any]:
    return fields_of(means, "month")


def _month(month: LlmMonth) -> dict[str, Any]:
    return fields_of(month.spend) | {"month": f"{month.month:%Y-%m}", "reserved": month.reserved}
