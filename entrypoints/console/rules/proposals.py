"""Rules that Sortation proposes: looked at with their evidence, accepted as they are or with changes, or rejected."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, request
from werkzeug.wrappers import Response

from core.domain.condition_text import condition_to_text
from core.domain.permissions import Permission
from core.domain.proposals import Proposal, ProposalStatus
from core.errors import AlreadyDecided, Conflict, Invalid, VersionMismatch
from entrypoints.api.limits import Kind, limited
from entrypoints.api.rule_proposals import proposed_rule
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.places import still_there
from entrypoints.console.rules import forms
from entrypoints.console.rules.editing import Refused, refused
from entrypoints.console.rules.trying import LIVE_LAST, Trial, of_trial, tried
from entrypoints.console.rules.wording import category_names, linked
from entrypoints.console.shell import done, show

blp = Blueprint("console_rule_proposals", __name__)
PAGE = 25


@blp.get("/rules/proposals")
@page_for(Permission.RULES_READ)
def proposals() -> Response:
    wanted = request.args.get("status", "")
    status = wanted if wanted in [one.value for one in ProposalStatus] else ProposalStatus.OPEN.value
    after = request.args.get("after", type=UUID)
    found = container().list_proposals(me(), status=status, after=after, limit=PAGE + 1)
    more = f"/rules/proposals?status={status}&after={found[PAGE - 1].id}" if len(found) > PAGE else None
    return show(
        "rules/proposals.html",
        proposals=found[:PAGE],
        texts={one.id: condition_to_text(one.when) for one in found[:PAGE]},
        categories=category_names(),
        there=still_there(_rule_page(one) for one in found[:PAGE]),
        shown=status,
        statuses=[one.value for one in ProposalStatus],
        promise=container().get_tenant(me()).settings.promise,
        next=more,
    )


@blp.post("/rules/proposals")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_WRITE)
def learn() -> Response:
    container().start_learning(me())
    return done(
        "/rules/proposals", "Looking through what people decided. What is found stands here in a moment.", "info"
    )


@blp.get("/rules/proposals/<uuid:proposal_id>")
@page_for(Permission.RULES_READ)
def proposal(proposal_id: UUID) -> Response:
    found = container().get_proposal(me(), proposal_id)
    return proposal_page(found, _typed(found))


@blp.post("/rules/proposals/<uuid:proposal_id>/accept")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_WRITE)
def accept(proposal_id: UUID) -> Response:
    """As it was proposed, or where the form came along, as that says."""
    form, found = request.form, container().get_proposal(me(), proposal_id)
    before = _typed(found)
    typed = forms.sent(form) if "when" in form else before
    if form.get("do") == "preview":
        return proposal_page(found, typed)
    try:
        edits = forms.changes(typed, before)
        rule = container().accept_proposal(
            me(), proposal_id, edits, version=forms.version(form), confirm=form.get("confirm") == "1"
        )
    except (AlreadyDecided, VersionMismatch):
        return done(
            "/rules/proposals", "Somebody decided this proposal, or it has new evidence: look again.", "warning"
        )
    except (Invalid, Conflict) as error:
        return proposal_page(found, typed, refused(error))
    return done(f"/rules/{rule.id}", f"“{rule.name[:80]}” is a rule now. It decides what comes in from now on.")


@blp.post("/rules/proposals/<uuid:proposal_id>/reject")
@page_for(Permission.RULES_WRITE)
def reject(proposal_id: UUID) -> Response:
    form = request.form
    try:
        turned_down = container().reject_proposal(me(), proposal_id, version=forms.version(form))
    except (AlreadyDecided, VersionMismatch):
        return done(
            "/rules/proposals", "Somebody decided this proposal, or it has new evidence: look again.", "warning"
        )
    return done("/rules/proposals", f"“{turned_down.name[:80]}” is turned down, and will not be proposed again.")


def proposal_page(found: Proposal, typed: forms.Form, refusal: Refused | None = None) -> Response:
    me().require(Permission.RECORDS_READ)
    refusal, trial = refusal or Refused(), _trial(found, typed)
    if trial.wrong and not refusal.wrong:
        refusal = Refused(wrong=dict(trial.wrong), column=trial.column, status=422)
    rules = {one.id: one for one in container().list_rules(me())} if refusal.reasons else {}
    evidence = found.evidence
    preview = of_trial(trial) if trial.tested is not None else {}
    context = {
        "proposal": found,
        "typed": typed,
        "text": condition_to_text(found.when),
        "refusal": refusal,
        "reasons": [list(linked(reason, rules)) for reason in refusal.reasons],
        "does": forms.DOES,
        "stages": forms.stages(),
        "records": container().find_records(me(), [*evidence.examples, *evidence.counter_examples]),
        "categories": category_names(),
        "there": still_there([_rule_page(found)]),
        "promise": container().get_tenant(me()).settings.promise,
        "previewed": bool(preview),
    }
    return show("rules/proposal.html", refusal.status, **(preview | context))


def _trial(found: Proposal, typed: forms.Form) -> Trial:
    """As the rule that accepting it makes. One that is a rule already, or was turned down, is tried no more."""
    if found.status is not ProposalStatus.OPEN:
        return Trial()
    return tried(typed, None, last=LIVE_LAST)


def _typed(found: Proposal) -> forms.Form:
    proposed: dict[str, Any] = proposed_rule(found)
    return forms.blank() | {
        "name": found.name,
        "when": condition_to_text(found.when),
        "category": category_names().get(found.category_id, ""),
        "priority": str(proposed["priority"]),
    }


def _rule_page(proposal: Proposal) -> str | None:
    """Of the rule that it became."""
    return None if proposal.rule_id is None else f"/rules/{proposal.rule_id}"
