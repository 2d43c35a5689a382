"""Before rules act: what a draft matches and why, what it would change, where rules disagree."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from core.domain.permissions import Permission
from core.domain.records import Draft, Snapshot, check_draft
from core.domain.rule_conflicts import RuleConflict
from core.domain.rule_effects import Effect, Shadows
from core.domain.rule_explanation import Explanation
from core.domain.rules import Rule
from core.errors import Invalid
from core.usecases.rule_preview import Preview
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, fails_with, keyless
from entrypoints.api.limits import Kind, limited
from entrypoints.api.records import record_filter
from entrypoints.api.schemas.base import page_of
from entrypoints.api.schemas.rules import (
    MAX_LAST,
    ConflictSchema,
    ConflictsQuerySchema,
    RulePreviewResultSchema,
    RulePreviewSchema,
    RuleTestResultSchema,
    RuleTestSchema,
)
from entrypoints.api.state import actor, container
from plugins.json_lines import draft_of
from ports.storage import RecordFilter

blp = Blueprint("rule_previews", "What rules would do.", "/rules")
_SAMPLED = ("id", "text", "counterparty", "amount", "currency")


@blp.route("/test", "POST")
@limited(Kind.COSTLY)
@needs(Permission.RULES_READ)
@keyless
@fails_with(404)
@blp.body(RuleTestSchema)
@blp.answer(200, RuleTestResultSchema)
def test_rule(body: dict[str, Any]) -> dict[str, Any]:
    """Which records a draft matches, and why: each part of its condition, with whether it holds."""
    actor().require(Permission.RECORDS_READ)
    currency = container().get_tenant(actor()).settings.default_currency
    given = [_given(place, record, currency) for place, record in enumerate(body["records"])]
    tested = container().test_rule(
        actor(),
        body["rule"],
        given,
        chosen=body["record_ids"],
        where=record_filter(body["where"]),
        last=body["last"] or MAX_LAST,
    )
    records = [_tested(record, why) for record, why in tested.explained]
    return {"seen": tested.seen, "matched": tested.matched, "records": records}


@blp.route("/preview", "POST")
@limited(Kind.COSTLY)
@needs(Permission.RULES_READ)
@keyless
@fails_with(404)
@blp.body(RulePreviewSchema)
@blp.answer(200, RulePreviewResultSchema)
def preview_rules(body: dict[str, Any]) -> dict[str, Any]:
    """What applying drafts (or all rules) would change, record by record; it is what a run with the same filter then
    does. Nothing is stored."""
    actor().require(Permission.RECORDS_READ)
    where = record_filter(body["where"])
    return written_preview(
        container().preview_rules(actor(), body["rules"], where=where, last=body["last"] or MAX_LAST)
    )


@blp.route("/conflicts")
@limited(Kind.COSTLY)
@needs(Permission.RULES_READ)
@blp.query(ConflictsQuerySchema)
@blp.answer(200, page_of(ConflictSchema))
def list_conflicts(query: dict[str, Any]) -> dict[str, Any]:
    """Pairs of rules that give different categories to the same records, the most frequent first."""
    found = container().list_conflicts(actor(), where=RecordFilter(), last=query["last"])
    first, end = query["after"], query["after"] + query["limit"]
    return {
        "items": [_conflict(pair) for pair in found[first:end]],
        "next": str(end) if end < len(found) else None,
    }


def _given(place: int, record: Mapping[str, Any], currency: str) -> Draft:
    """Raises `Invalid`, naming the place."""
    amount = record.get("amount")
    if isinstance(amount, float):
        record = {**record, "amount": Decimal(repr(amount))}
    try:
        return check_draft(draft_of(record, currency))
    except (ValueError, RecursionError, Invalid) as error:
        raise Invalid(f"records[{place}]: {next(iter(str(error).splitlines()), 'not a record')[:300]}") from error


def _tested(record: Snapshot, why: Explanation) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _SAMPLED} | {"matches": why.holds, "why": why}


def written_preview(preview: Preview) -> dict[str, Any]:
    """A preview as `RulePreviewResultSchema` has it."""
    effects = preview.effects
    return {
        "seen": effects.seen,
        "matched": effects.matched,
        "untold": effects.untold,
        **{effect.value: effects.counts[effect] for effect in Effect},
        "samples": [change for effect in Effect for change in effects.samples.get(effect, ())],
        "rules": [_shadows(draft, preview.shadows[draft.id], preview.rules) for draft in preview.drafts],
    }


def _shadows(draft: Rule, shadow: Shadows, rules: Mapping[UUID, Rule]) -> dict[str, Any]:
    def listed(counts: Mapping[UUID, int]) -> list[dict[str, Any]]:
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return [{"rule_id": id, "name": rules[id].name, "records": records} for id, records in ordered]

    return {
        "rule_id": draft.id,
        "name": draft.name,
        "matches": shadow.matches,
        "wins": shadow.wins,
        "unreachable": shadow.unreachable,
        "same_as": shadow.same_as,
        "shadowed_by": listed(shadow.shadowed_by),
        "shadowing": listed(shadow.shadowing),
    }


def _conflict(pair: RuleConflict) -> dict[str, Any]:
    def named(rule: Rule) -> dict[str, Any]:
        return {"id": rule.id, "name": rule.name, "category_id": rule.then.category_id}

    return {
        "first": named(pair.first),
        "second": named(pair.second),
        "records": pair.records,
        "samples": pair.samples,
    }
