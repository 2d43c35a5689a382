"""Providers beside a password: linked and unlinked at the account."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from core.errors import CodeWrong, NotFound, SignInFailed
from entrypoints.api.auth import caller
from entrypoints.api.denials import note
from entrypoints.api.limits import Kind, limited
from entrypoints.api.state import container
from entrypoints.console.account import account_page
from entrypoints.console.guard import begin, forget, known, signed_in
from entrypoints.console.identity import callback, go_on_to_provider

blp = Blueprint("linking", __name__)


@blp.post("/account/link/<key>")
@limited(Kind.SIGN_IN)
@signed_in
def begin_linking(key: str) -> tuple[str, int] | Response:
    """The provider's answer comes to where its sign-ins come, too: it has one address of ours."""
    _check_local()
    (session, _, user, _), form = known(), request.form
    try:
        begun = container().begin_linking(
            session, user, key, form.get("password", ""), form.get("code", ""), callback(key), caller()
        )
    except (SignInFailed, CodeWrong) as error:
        note(error)
        return account_page(str(error), at=key, status=error.status)
    return go_on_to_provider(key, begun)


@blp.post("/account/link")
@signed_in
def link() -> Response:
    _check_local()
    session, _, user, _ = known()
    return begin(container().link_identity(session, user, request.form.get("found", ""), caller()), "/account")


@blp.post("/account/unlink")
@signed_in
def unlink() -> Response:
    _check_local()
    session, _, user, _ = known()
    issuer = request.form.get("issuer", "")
    container().unlink_identity(user, issuer, caller())
    return forget(redirect("/sign-in", 303)) if session.via == issuer else redirect("/account", 303)


def _check_local() -> None:
    """Where passwords open nothing there is nothing to link to, and nothing would be left without the provider."""
    if container().settings().local_accounts == "off":
        raise NotFound
