"""Rules that Sortation proposes, for people to accept or reject."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.domain.condition_text import condition_to_text
from core.domain.conditions import condition_to_json
from core.domain.jobs import Job
from core.domain.permissions import Permission
from core.domain.proposals import Proposal
from core.usecases.proposals import LEARNED_PRIORITY
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional
from entrypoints.api.idempotency import posting
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import fields_of, if_match, page, tagged, versioned
from entrypoints.api.rule_previews import written_preview
from entrypoints.api.rules import written_rule
from entrypoints.api.schemas.base import page_of
from entrypoints.api.schemas.jobs import JobSchema
from entrypoints.api.schemas.rules import (
    DEFAULT_LAST,
    AcceptSchema,
    ConfirmQuerySchema,
    ProposalSchema,
    ProposalsQuerySchema,
    RuleSchema,
    WholeProposalSchema,
)
from entrypoints.api.state import actor, container
from ports.storage import RecordFilter

blp = Blueprint("proposals", "Rules learned from people, never applied without their word.", "/rules/proposals")


@blp.route("")
@needs(Permission.RULES_READ)
@blp.query(ProposalsQuerySchema)
@blp.answer(200, page_of(ProposalSchema))
def list_proposals(query: dict[str, Any]) -> dict[str, Any]:
    """Proposals in the order in which they were made; of those made together those first that would settle most."""
    found = container().list_proposals(actor(), status=query["status"], after=query["after"], limit=query["limit"] + 1)
    answer = page(found, query["limit"], lambda proposal: str(proposal.id))
    return {**answer, "items": [_written(proposal) for proposal in answer["items"]]}


@blp.route("", "POST")
@limited(Kind.COSTLY)
@needs(Permission.RULES_WRITE)
@blp.answer(202, JobSchema)
def start_learning() -> tuple[Job, dict[str, str]]:
    """Looks for new proposals now. It happens by itself some time after people decided."""
    job = container().start_learning(posting())
    return job, {"Location": f"/api/v1/jobs/{job.id}"}


@blp.route("/<uuid:proposal_id>")
@needs(Permission.RULES_READ)
@blp.answer(200, WholeProposalSchema)
def get_proposal(proposal_id: UUID) -> dict[str, Any]:
    """A proposal with its evidence, and what accepting and applying it would change among the latest records."""
    actor().require(Permission.RECORDS_READ)
    proposal = container().get_proposal(actor(), proposal_id)
    versioned(proposal.version)
    preview = container().preview_rules(actor(), [proposed_rule(proposal)], where=RecordFilter(), last=DEFAULT_LAST)
    return _written(proposal) | {"effects": written_preview(preview)}


@blp.route("/<uuid:proposal_id>/accept", "POST")
@needs(Permission.RULES_WRITE)
@conditional
@blp.query(ConfirmQuerySchema)
@blp.body(AcceptSchema)
@blp.answer(201, RuleSchema)
def accept_proposal(
    query: dict[str, Any], edits: dict[str, Any], proposal_id: UUID
) -> tuple[dict[str, Any], dict[str, str]]:
    """Makes it a rule, as proposed or with changes."""
    rule = container().accept_proposal(posting(), proposal_id, edits, version=if_match(), confirm=query["confirm"])
    versioned(rule.version)
    return written_rule(rule), {"Location": f"/api/v1/rules/{rule.id}"}


@blp.route("/<uuid:proposal_id>/reject", "POST")
@needs(Permission.RULES_WRITE)
@conditional
@blp.answer(200, ProposalSchema)
def reject_proposal(proposal_id: UUID) -> dict[str, Any]:
    """Turns it down, for good."""
    proposal = container().reject_proposal(posting(), proposal_id, version=if_match())
    tagged(proposal.version)
    return _written(proposal)


def proposed_rule(proposal: Proposal) -> dict[str, Any]:
    """The proposal as a draft of the rule that accepting it makes."""
    return {
        "name": proposal.name,
        "when": condition_to_json(proposal.when),
        "then": {"category": proposal.category_id},
        "priority": LEARNED_PRIORITY,
    }


def _written(proposal: Proposal) -> dict[str, Any]:
    return fields_of(proposal, "tenant_id", "key", "when") | {
        "when": condition_to_json(proposal.when),
        "text": condition_to_text(proposal.when),
        "status": proposal.status.value,
    }
