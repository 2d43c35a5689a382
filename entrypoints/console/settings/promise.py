"""The promise: how it is kept, by stage and by month; and what another one would change."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from core.domain.decisions import Stage
from core.domain.evaluations import SHARE, Evaluation, EvaluationStatus
from core.domain.permissions import Permission
from core.errors import Conflict, Invalid, LimitReached, NotFound, SortationError
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import json_response, polled
from entrypoints.api.state import container
from entrypoints.console.asked import asked_id, following
from entrypoints.console.guard import me, page_for
from entrypoints.console.settings.evidence import KEEPING, MONTHS, at_most_wrong
from entrypoints.console.settings.sections import PATH, show_section
from entrypoints.console.settings.typed import Typed, hundredths, status_of, wrong_of
from entrypoints.console.settings.workspace import ALONE
from entrypoints.console.shell import done

blp = Blueprint("settings_promise", __name__)
HERE = f"{PATH}/promise"
SHOWN = 10
STATES = {
    EvaluationStatus.QUEUED: "waits for a worker",
    EvaluationStatus.RUNNING: "is being tried",
    EvaluationStatus.DONE: "done",
    EvaluationStatus.FAILED: "failed",
}


@blp.get(HERE)
@page_for(Permission.TENANT_READ)
def promise() -> Response:
    return promise_page()


@blp.post(f"{HERE}/stages/<stage>/reset")
@page_for(Permission.TENANT_WRITE)
def reset(stage: str) -> AnyResponse:
    try:
        known = Stage(stage)
    except ValueError:
        raise NotFound("no such stage decides alone") from None
    container().reset_promise(me(), known)
    return done(HERE, f"{ALONE[stage][0]} decides as before; its test begins anew.")


@blp.post(f"{HERE}/trials")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_WRITE)
def start() -> AnyResponse:
    typed = Typed()
    try:
        wanted = typed.percent("promise", None)
        typed.check()
        trial: Evaluation = container().start_evaluation(
            me(), promise=wanted, test=None, test_share=SHARE, with_rules=request.form.get("with_rules") == "on"
        )
    except (Invalid, Conflict, LimitReached) as error:
        return promise_page(error)
    return done(f"{HERE}/trials/{trial.id}", "It is being tried. Nothing of yours changes by that.", "info")


@blp.get(f"{HERE}/trials/<uuid:evaluation_id>")
@page_for(Permission.TENANT_READ)
def trial(evaluation_id: UUID) -> Response:
    found: Evaluation = container().get_evaluation(me(), evaluation_id)
    return show_section(
        "settings/trial.html", trial=found, at_most=at_most_wrong(found.promise), stages=ALONE, **_how_far(found)
    )


@blp.get(f"{HERE}/trials/<uuid:evaluation_id>/state")
@page_for(Permission.TENANT_READ)
def trial_state(evaluation_id: UUID) -> Response:
    """How far it got, for the page that is open."""
    polled()
    return json_response(_how_far(container().get_evaluation(me(), evaluation_id)))


def promise_page(error: SortationError | None = None) -> Response:
    """With why nothing could be tried."""
    actor, services = me(), container()
    found = services.list_evaluations(actor, before=asked_id("after"), limit=SHOWN + 1)
    kept = services.show_promise(actor, months=MONTHS)
    return show_section(
        "settings/promise.html",
        status_of(error),
        kept=kept,
        keeping=KEEPING,
        stages=ALONE,
        at_most=at_most_wrong(kept.promised),
        spot_checks=services.get_tenant(actor).settings.spot_check_share > 0,
        trials=found[:SHOWN],
        states=STATES,
        promised=hundredths(kept.promised),
        typed=hundredths(kept.promised) if error is None else request.form.get("promise", ""),
        with_rules=request.form.get("with_rules") == "on",
        problem="" if error is None else str(error),
        wrong=wrong_of(error),
        more=following(HERE, found[SHOWN - 1].id) if len(found) > SHOWN else None,
    )


def _how_far(trial: Evaluation) -> dict[str, Any]:
    ended = trial.status in (EvaluationStatus.DONE, EvaluationStatus.FAILED)
    asked, of = 0, 0
    if not ended and Permission.JOBS_READ in me().permissions:
        progress = container().get_job(me(), trial.job_id).progress
        asked, of = int(progress.get("asked", 0)), int(progress.get("of", 0))
    return {"state": STATES[trial.status], "asked": asked, "of": of, "ended": ended}
