"""Rules applied to records that were decided before: previewed, watched, and undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import Blueprint, request
from marshmallow import ValidationError
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from core.domain.permissions import Permission
from core.domain.rule_effects import Effect
from core.domain.rule_runs import RuleRun, RunStatus
from core.domain.rules import Rule
from core.errors import Conflict, Invalid, NotFound
from core.usecases.rule_preview import MAX_DRAFTS, Preview
from entrypoints.api.limits import Kind, limited
from entrypoints.api.records import record_filter
from entrypoints.api.responses import json_response, polled
from entrypoints.api.schemas.records import RecordFilterSchema
from entrypoints.api.schemas.rules import DEFAULT_LAST
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.rules.wording import EFFECTS, category_names
from entrypoints.console.shell import done, show
from ports.storage import RecordFilter

blp = Blueprint("console_rule_runs", __name__)
PAGE, CHANGES = 25, 50
MAX_CHOSEN = 1_000
FILTERS = ("text", "status", "category_id", "account", "since", "until", "min_amount", "max_amount", "currency")
STATUSES = {
    "processed": "decided without a person",
    "needs_review": "waiting for a person",
    "failed": "failed",
}
"""Of records that a run may change; what people decided stays."""
OPEN = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.UNDOING)


@blp.get("/rules/runs")
@page_for(Permission.RULES_READ)
def runs() -> Response:
    found = container().list_runs(me(), before=request.args.get("after", type=UUID), limit=PAGE + 1)
    return show(
        "rules/runs.html",
        runs=found[:PAGE],
        rules=_by_id(),
        open=OPEN,
        next=f"/rules/runs?after={found[PAGE - 1].id}" if len(found) > PAGE else None,
    )


@blp.get("/rules/runs/new")
@page_for(Permission.RULES_WRITE)
def new_run() -> Response:
    return run_form(request.args)


@blp.post("/rules/runs/new")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_WRITE)
def start() -> Response:
    """Shows first what the run would change; starts it where the form says so."""
    form: Any = request.form
    try:
        rule_ids, where = _chosen(form), _where(form)
        if form.get("do") != "start":
            return run_form(form, preview=_preview(rule_ids, where))
        run: RuleRun = container().start_run(me(), rule_ids=rule_ids, where=where)
    except ValidationError as error:
        return run_form(form, wrong=_told(error.messages_dict))
    except (Invalid, NotFound) as error:
        return run_form(form, wrong={"": str(error)})
    return done(f"/rules/runs/{run.id}", "The run is under way. You may leave this page; it goes on.")


@blp.get("/rules/runs/<uuid:run_id>")
@page_for(Permission.RULES_READ)
def run(run_id: UUID) -> Response:
    return run_page(run_id)


@blp.get("/rules/runs/<uuid:run_id>/progress")
@page_for(Permission.RULES_READ)
def progress(run_id: UUID) -> Response:
    """How far it got, for a script that asks again and again."""
    polled()
    found: RuleRun = container().get_run(me(), run_id)
    counts = {name: getattr(found.counts, name) for name in type(found.counts).__slots__}
    return json_response({"status": found.status.value, "open": found.status in OPEN, "counts": counts})


@blp.post("/rules/runs/<uuid:run_id>/undo")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_WRITE)
def undo(run_id: UUID) -> Response:
    try:
        container().undo_run(me(), run_id)
    except Conflict as error:
        return run_page(run_id, str(error), error.status)
    return done(f"/rules/runs/{run_id}", "It is being undone. What somebody changed since stays as it is.")


def run_page(run_id: UUID, error: str = "", status: int = 200) -> Response:
    me().require(Permission.RECORDS_READ)
    found: RuleRun = container().get_run(me(), run_id)
    after = request.args.get("after", type=UUID)
    changes = container().list_run_changes(me(), run_id, after=after, limit=CHANGES + 1)
    names = category_names()
    where = dict(found.where)
    if "category_id" in where:
        where["category_id"] = names.get(UUID(where["category_id"]), where["category_id"])
    return show(
        "rules/run.html",
        status,
        run=found,
        error=error,
        open=found.status in OPEN,
        where=where,
        rules=_by_id(),
        effects=EFFECTS,
        categories={str(id): name for id, name in names.items()},
        changes=changes[:CHANGES],
        records=container().find_records(me(), [change.record_id for change in changes[:CHANGES]]),
        next=f"/rules/runs/{run_id}?after={changes[CHANGES - 1].record_id}" if len(changes) > CHANGES else None,
    )


def run_form(
    form: MultiDict[str, str], preview: Preview | None = None, wrong: Mapping[str, str] | None = None
) -> Response:
    rules: Sequence[Rule] = container().list_rules(me())
    wanted = set(form.getlist("rule"))
    return show(
        "rules/new_run.html",
        422 if wrong else 200,
        form={name: form.get(name, "") for name in FILTERS},
        rules=[rule for rule in rules if rule.enabled],
        wanted=wanted,
        wrong=wrong or {},
        statuses=STATUSES,
        categories=category_names(),
        last=DEFAULT_LAST,
        effects=None if preview is None else preview.effects,
        counts=None if preview is None else [(e.value, preview.effects.counts[e], *EFFECTS[e.value]) for e in Effect],
        samples=None
        if preview is None
        else [(EFFECTS[e.value][0], found) for e in Effect if (found := preview.effects.samples.get(e))],
        too_many=len(wanted) > MAX_DRAFTS,
    )


def _preview(rule_ids: list[UUID] | None, where: RecordFilter) -> Preview:
    """Of more rules than a preview takes, all are previewed. Raises `Invalid` or `NotFound`."""
    me().require(Permission.RECORDS_READ)
    drafts = [{"id": id} for id in rule_ids or ()]
    found: Preview = container().preview_rules(
        me(), drafts if len(drafts) <= MAX_DRAFTS else [], where=where, last=DEFAULT_LAST
    )
    return found


def _chosen(form: MultiDict[str, str]) -> list[UUID] | None:
    """The rules to apply; None for all. Raises `Invalid`."""
    if form.get("which") != "chosen":
        return None
    try:
        ids = [UUID(written) for written in form.getlist("rule")]
    except ValueError:
        raise Invalid("this is no rule") from None
    if not 0 < len(ids) <= MAX_CHOSEN:
        raise Invalid(f"choose 1 to {MAX_CHOSEN} rules, or all")
    return ids


def _where(form: MultiDict[str, str]) -> RecordFilter:
    """Raises marshmallow's `ValidationError`, which names the fields."""
    given: dict[str, Any] = {name: form[name].strip() for name in FILTERS if form.get(name, "").strip()}
    if "status" in given:
        given["status"] = [given["status"]]
    loaded: dict[str, Any] = RecordFilterSchema().load(given)
    return record_filter(loaded)


def _told(messages: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with each field, in one line."""
    listed = {name: next(iter(said.values())) if isinstance(said, dict) else said for name, said in messages.items()}
    return {name: " ".join(map(str, said)) for name, said in listed.items()}


def _by_id() -> dict[UUID, Rule]:
    return {rule.id: rule for rule in container().list_rules(me())}
