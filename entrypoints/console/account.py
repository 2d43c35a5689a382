"""A person's own account: their password, and where they are signed in."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from core.domain.people import LOCAL
from core.errors import Invalid, SignInFailed
from entrypoints.api.auth import caller
from entrypoints.api.denials import note
from entrypoints.api.limits import Kind, limited
from entrypoints.api.state import container
from entrypoints.console.guard import begin, forget, known, signed_in
from entrypoints.console.shell import show

blp = Blueprint("account", __name__)


@blp.get("/account")
@signed_in
def account() -> Response:
    return account_page()


@blp.post("/account/password")
@limited(Kind.SIGN_IN)
@signed_in
def change_password() -> Response:
    _, _, user, _ = known()
    form = request.form
    try:
        issued = container().change_password(user, form.get("present", ""), form.get("password", ""), caller())
    except SignInFailed as error:
        note(error)
        return account_page(str(error), status=error.status)
    except Invalid as error:
        return account_page(str(error), status=error.status)
    return begin(issued, "/account")


@blp.post("/account/sessions/<uuid:session_id>")
@signed_in
def end_session(session_id: UUID) -> Response:
    session, actor, user, _ = known()
    container().end_session(actor, user, session_id)
    answer = redirect("/account", 303)
    return forget(answer) if session_id == session.id else answer


@blp.post("/account/sessions")
@signed_in
def end_all_sessions() -> Response:
    _, actor, user, _ = known()
    container().end_session(actor, user, None)
    return forget(redirect("/sign-in", 303))


def account_page(error: str = "", at: str = "", status: int = 200) -> Response:
    """With what went wrong at one of its forms: that of the provider with that key, or else that of the password."""
    session, actor, user, _ = known()
    account, local = container().people().account(user.email), container().settings().local_accounts == "on"
    providers, linked = container().identities().all(), container().list_linked(user)
    titles = {provider.issuer: provider.title for provider in providers}
    return show(
        "account.html",
        status,
        user=user,
        session=session,
        sessions=container().list_sessions(user.id),
        role=actor.role.value if actor.role else "",
        has_password=session.via == LOCAL,
        linked=[(issuer, titles.get(issuer, issuer)) for issuer in linked],
        may_unlink=local and account is not None,
        linkable=[p for p in providers if local and session.via == LOCAL and p.issuer not in linked],
        recovery_codes=len(account.recovery) if account and account.second_factor else None,
        error=error,
        at=at,
    )
