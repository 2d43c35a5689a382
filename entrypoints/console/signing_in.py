"""Signing in and out, and going to another tenant."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from core.errors import Forbidden, NotFound, SignInFailed, Unauthenticated
from entrypoints.api.auth import caller
from entrypoints.api.denials import note
from entrypoints.api.limits import Kind, limited
from entrypoints.api.state import container
from entrypoints.console.guard import begin, forget, known, open_page, own_path, signed_in

blp = Blueprint("signing_in", __name__)


@blp.get("/sign-in")
@open_page
def sign_in_page() -> str | Response:
    """Who is signed in already goes on."""
    to = own_path(request.args.get("next"))
    try:
        known()
    except Unauthenticated:
        return _page(to)
    return redirect(to, 303)


@blp.post("/sign-in")
@limited(Kind.SIGN_IN)
@open_page
def sign_in() -> tuple[str, int] | Response:
    if container().settings().local_accounts == "off":
        raise NotFound
    email, to = request.form.get("email", ""), own_path(request.form.get("next"))
    try:
        issued = container().sign_in(email, request.form.get("password", ""), caller())
    except (SignInFailed, Forbidden) as error:
        note(error, "sign-in refused")
        return _page(to, email, str(error)), error.status
    return begin(issued, to)


@blp.post("/sign-out")
@signed_in
def sign_out() -> Response:
    session, actor, user, _ = known()
    container().end_session(actor, user, session.id)
    return forget(redirect("/sign-in", 303))


@blp.post("/enter/<uuid:tenant_id>")
@signed_in
def enter_tenant(tenant_id: UUID) -> Response:
    container().enter_tenant(known()[0], tenant_id, caller())
    return redirect("/", 303)


def _page(to: str, email: str = "", error: str = "") -> str:
    settings = container().settings()
    return render_template(
        "sign_in.html",
        next=to,
        email=email,
        error=error,
        local=settings.local_accounts == "on",
        mail=container().mailer() is not None,
        providers=container().identities().all(),
    )
