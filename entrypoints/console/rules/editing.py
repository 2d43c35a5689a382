"""One rule: written, changed, deleted, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from flask import Blueprint, request
from werkzeug.wrappers import Response

from core.domain.condition_text import condition_to_text
from core.domain.events import Event, EventFilter
from core.domain.permissions import Permission
from core.domain.rule_standing import MIN_ANSWERS, precision
from core.domain.rules import Rule
from core.errors import ConfirmNeeded, Conflict, Invalid, NotFound, SortationError, VersionMismatch
from entrypoints.api.access import wants_json
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import json_response
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.rules import forms
from entrypoints.console.rules.trying import asked_why, of_trial, tried
from entrypoints.console.rules.wording import category_names, linked
from entrypoints.console.shell import done, show

blp = Blueprint("console_rule", __name__)
EVENTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What is wrong with a form that was sent: beside which field, whether it may be sent all the same, and whether
    the rule was changed by somebody else in the meantime."""

    wrong: dict[str, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    stale: bool = False
    column: int | None = None
    status: int = 200


@blp.get("/rules/new")
@page_for(Permission.RULES_WRITE)
def new_rule() -> Response:
    typed = forms.blank() | {name: request.args[name] for name in forms.TEXTS if name in request.args}
    return editor(typed, None)


@blp.post("/rules/new")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_WRITE)
def create() -> Response:
    form = request.form
    typed = forms.sent(form)
    if form.get("do") == "preview":
        return editor(typed, None)
    try:
        [rule] = container().create_rules(me(), [forms.written(typed)], confirm=form.get("confirm") == "1")
    except (Invalid, Conflict) as error:
        return editor(typed, None, refused(error))
    return done(f"/rules#rule-{rule.id}", f"“{rule.name[:80]}” is saved. It decides what comes in from now on.")


@blp.get("/rules/<uuid:rule_id>")
@page_for(Permission.RULES_READ)
def rule(rule_id: UUID) -> Response:
    found = container().get_rule(me(), rule_id)
    return editor(forms.of_rule(found, category_names()), found)


@blp.post("/rules/<uuid:rule_id>")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_WRITE)
def change(rule_id: UUID) -> Response:
    form, found = request.form, container().get_rule(me(), rule_id)
    typed = forms.sent(form)
    if form.get("do") == "preview":
        return editor(typed, found)
    try:
        changes = forms.changes(typed, forms.of_rule(found, category_names()))
        if not changes:
            return done(f"/rules/{rule_id}", "Nothing was changed.", "info")
        container().change_rule(me(), rule_id, changes, version=forms.version(form), confirm=form.get("confirm") == "1")
    except (Invalid, Conflict, VersionMismatch) as error:
        return editor(typed, found, refused(error))
    anew = " Its evidence begins anew." if {"when", "then"} & changes.keys() and found.hits else ""
    return done(f"/rules/{rule_id}", f"Saved.{anew}")


@blp.post("/rules/<uuid:rule_id>/again")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_WRITE)
def decide_again(rule_id: UUID) -> Response:
    """Ends a demotion."""
    form, found = request.form, container().get_rule(me(), rule_id)
    try:
        container().change_rule(
            me(), rule_id, {"demoted": False}, version=forms.version(form), confirm=form.get("confirm") == "1"
        )
    except (Conflict, VersionMismatch) as error:
        return editor(forms.of_rule(found, category_names()), found, refused(error), to=f"/rules/{rule_id}/again")
    return done(f"/rules/{rule_id}", "It decides again, and its evidence begins anew.")


@blp.post("/rules/<uuid:rule_id>/delete")
@page_for(Permission.RULES_WRITE)
def delete(rule_id: UUID) -> Response:
    """A script is told what the form of the rule held, so that it can be put back."""
    form, found = request.form, container().get_rule(me(), rule_id)
    try:
        container().delete_rule(me(), rule_id, version=forms.version(form))
    except VersionMismatch as error:
        if wants_json():
            raise
        return editor(forms.of_rule(found, category_names()), found, refused(error))
    said = f"“{found.name[:80]}” is deleted. What it decided stays decided."
    if wants_json():
        return json_response({"to": "/rules", "said": said, "was": forms.of_rule(found, category_names())})
    return done("/rules", said)


@blp.get("/rules/<uuid:rule_id>/history")
@page_for(Permission.RULES_READ)
def history(rule_id: UUID) -> Response:
    me().require(Permission.EVENTS_READ)
    try:
        found: Rule | None = container().get_rule(me(), rule_id)
    except NotFound:
        found = None
    after, where = request.args.get("after", 0, type=int), EventFilter(subject_id=rule_id)
    events: list[Event] = list(container().list_events(me(), where, after=max(after, 0), limit=EVENTS + 1))
    if found is None and not events:
        raise NotFound("this rule does not exist")
    more = f"/rules/{rule_id}/history?after={events[EVENTS - 1].seq}" if len(events) > EVENTS else None
    return show("rules/history.html", rule=found, rule_id=rule_id, events=events[:EVENTS], next=more)


def editor(typed: forms.Form, rule: Rule | None, refusal: Refused | None = None, *, to: str = "") -> Response:
    """The form with what was typed, and what it would do; `to` is where it is sent, if not to its own address."""
    refusal = refusal or Refused()
    preview: dict[str, Any] = {}
    if typed["when"] and not refusal.wrong and _reads_records():
        trial = tried(typed, rule)
        if trial.tested is not None:
            preview = of_trial(trial)
        elif request.method == "POST":
            refusal = Refused(wrong=dict(trial.wrong or {}), column=trial.column, status=422)
    names = category_names()
    rules = {one.id: one for one in container().list_rules(me())} if refusal.reasons else {}
    record = request.args.get("record", "")
    context = {
        "rule": rule,
        "typed": typed,
        "to": to or (f"/rules/{rule.id}" if rule else "/rules/new"),
        "refusal": refusal,
        "reasons": [list(linked(reason, rules)) for reason in refusal.reasons],
        "text": condition_to_text(rule.when) if rule else "",
        "does": forms.DOES,
        "stages": forms.stages(),
        "categories": names,
        "precision": precision(rule) if rule else None,
        "few": MIN_ANSWERS,
        "promise": container().get_tenant(me()).settings.promise,
        "previewed": bool(preview),
        "record": record,
        "why": asked_why({**typed, "record": record, "rule": str(rule.id) if rule else ""}) if record else None,
    }
    return show("rules/rule.html", refusal.status, **(preview | context))


def refused(error: SortationError) -> Refused:
    if isinstance(error, ConfirmNeeded):
        reasons = [reason for parts in error.details["fields"].values() for reason in parts]
        return Refused(reasons=reasons, status=error.status)
    if isinstance(error, VersionMismatch):
        return Refused(stale=True, status=409)
    return Refused(wrong=forms.wrong(error), column=forms.column(error), status=error.status)


def _reads_records() -> bool:
    return Permission.RECORDS_READ in me().permissions
