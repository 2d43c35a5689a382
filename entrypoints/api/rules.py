"""The tenant's rules and their order."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from flask import Response

from core.domain.condition_text import condition_to_text
from core.domain.conditions import condition_to_json
from core.domain.permissions import Permission
from core.domain.rule_schema import rule_schema
from core.domain.rule_standing import precision
from core.domain.rules import Rule, action_to_json
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional, fails_with
from entrypoints.api.idempotency import posting
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import if_match, part, versioned
from entrypoints.api.schemas.base import WholeListSchema, everything, page_of
from entrypoints.api.schemas.rules import (
    ConfirmQuerySchema,
    NewRuleSchema,
    RuleChangeSchema,
    RuleOrderSchema,
    RuleSchema,
)
from entrypoints.api.state import actor, container

blp = Blueprint("rules", "What the tenant knows for sure.", "/rules")
RulePageSchema = page_of(RuleSchema)


@blp.route("")
@needs(Permission.RULES_READ)
@blp.query(WholeListSchema)
@blp.answer(200, RulePageSchema)
def list_rules(query: dict[str, Any]) -> dict[str, Any]:
    """All rules, in the order in which they are tried. The ETag is what `POST /rules/order` takes by If-Match."""
    versioned(container().get_tenant(actor()).rules_version)
    return part([written_rule(rule) for rule in container().list_rules(actor())], query)


@blp.route("", "POST")
@limited(Kind.COSTLY)
@needs(Permission.RULES_WRITE)
@blp.query(ConfirmQuerySchema)
@blp.body(NewRuleSchema)
@blp.answer(201, RuleSchema)
def create_rule(query: dict[str, Any], body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Adds a rule. What is wrong with it is told with its place: `when.all[2].value`, or the column of its text. One
    that contradicts what people decided, or that is never reached, is 409 `confirm_needed` without `confirm`."""
    [rule] = container().create_rules(posting(), [body], confirm=query["confirm"])
    versioned(rule.version)
    return written_rule(rule), {"Location": f"/api/v1/rules/{rule.id}"}


@blp.route("/order", "POST")
@limited(Kind.COSTLY)
@needs(Permission.RULES_WRITE)
@conditional
@fails_with(404)
@blp.body(RuleOrderSchema)
@blp.answer(200, RulePageSchema)
def order_rules(body: dict[str, Any]) -> dict[str, Any]:
    """Puts rules in this order, within their stages; those left out come after, as they were. Changes the priority of
    no more rules than it must."""
    ordered = container().order_rules(posting(), body["ids"], version=if_match())
    return everything([written_rule(rule) for rule in ordered])


@blp.route("/schema")
@needs(Permission.RULES_READ)
@blp.answer(200, description="The JSON Schema of a rule and of its condition.")
def get_schema() -> Response:
    """The JSON Schema (2020-12) of a rule as POST /rules takes it, for editors and for checks before sending."""
    return Response(
        json.dumps(rule_schema()), mimetype="application/schema+json"
    )  # orjson takes no number above 64 bits


@blp.route("/<uuid:rule_id>")
@needs(Permission.RULES_READ)
@blp.answer(200, RuleSchema)
def get_rule(rule_id: UUID) -> dict[str, Any]:
    """A rule."""
    rule = container().get_rule(actor(), rule_id)
    versioned(rule.version)
    return written_rule(rule)


@blp.route("/<uuid:rule_id>", "PATCH")
@limited(Kind.COSTLY)
@needs(Permission.RULES_WRITE)
@conditional
@blp.query(ConfirmQuerySchema)
@blp.body(RuleChangeSchema)
@blp.answer(200, RuleSchema)
def change_rule(query: dict[str, Any], changes: dict[str, Any], rule_id: UUID) -> dict[str, Any]:
    """Changes a rule. A new condition or action makes its evidence start anew. May ask for `confirm`, as a new one."""
    rule = container().change_rule(actor(), rule_id, changes, version=if_match(), confirm=query["confirm"])
    versioned(rule.version)
    return written_rule(rule)


@blp.route("/<uuid:rule_id>", "DELETE")
@needs(Permission.RULES_WRITE)
@conditional
@blp.answer(204)
def delete_rule(rule_id: UUID) -> None:
    """Removes a rule; what it decided stays decided."""
    container().delete_rule(actor(), rule_id, version=if_match())


def written_rule(rule: Rule) -> dict[str, Any]:
    """A rule with its condition and action as they are written in JSON."""
    plain = (
        "id",
        "name",
        "priority",
        "stop",
        "enabled",
        "pack",
        "trusted",
        "proved",
        "demoted",
        "hits",
        "last_hit_at",
        "confirmed",
        "overridden",
        "corrected",
        "proposal_id",
        "created_at",
        "version",
    )
    return {name: getattr(rule, name) for name in plain} | {
        "stage": rule.stage.value,
        "when": condition_to_json(rule.when),
        "text": condition_to_text(rule.when),
        "precision": precision(rule),
        "then": action_to_json(rule.then),
    }
