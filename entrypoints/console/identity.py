"""Signing in by a provider of OpenID Connect."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from core.errors import Conflict, Forbidden, LinkInvalid, Unauthenticated
from core.usecases.shared.code_flow import LINKING, Begun
from entrypoints.api.auth import caller
from entrypoints.api.denials import note
from entrypoints.api.limits import Kind, limited
from entrypoints.api.state import container
from entrypoints.console.guard import begin, known, open_page, own_path

blp = Blueprint("identity", __name__)
KEPT_COOKIE = "__Host-sortation-oidc"
"""What binds a sign-in to the browser that began it: sealed, and good for some minutes."""
_SAID = {
    "access_denied": "you did not sign in there, or may not come here",
    "temporarily_unavailable": "the provider can sign nobody in now: try again later",
    "server_error": "the provider could not sign you in: try again, or ask who runs this installation",
    **dict.fromkeys(
        ("invalid_request", "invalid_scope", "unauthorized_client", "unsupported_response_type"),
        "the provider does not know us as it should: ask who runs this installation",
    ),
    **dict.fromkeys(
        ("interaction_required", "login_required", "account_selection_required", "consent_required"),
        "the provider wants you to sign in there first",
    ),
}
"""What is shown of an error, by its code (RFC 6749, 4.1.2.1; OpenID Connect Core, 3.1.2.6): never the provider's own
words, which anybody can put into a link."""


@blp.get("/sign-in/<key>")
@limited(Kind.SIGN_IN)
@open_page
def go_to_provider(key: str) -> Response:
    begun = container().begin_identity_sign_in(key, callback(key), to=own_path(request.args.get("next")))
    return _keep(redirect(begun.url, 303), begun)


@blp.post("/sign-in/<key>")
@limited(Kind.SIGN_IN)
@open_page
def accept_by_provider(key: str) -> Response:
    """Joins by an invitation, which only its own page can ask for: a link would let anybody have others join."""
    begun = container().begin_identity_sign_in(key, callback(key), invitation=request.form.get("invitation", ""))
    return go_on_to_provider(key, begun)


@blp.get("/sign-in/<key>/callback")
@limited(Kind.SIGN_IN)
@open_page
def come_back(key: str) -> Response:
    asked, kept = request.args, request.cookies.get(KEPT_COOKIE, "")
    state, code = asked.get("state", ""), asked.get("code", "")
    try:
        began = container().check_begun(key, kept, state=state)
        if "error" in asked:
            raise Unauthenticated(_SAID.get(asked["error"], _SAID["server_error"]))
        if began == LINKING:
            answer = _asked_whether_to_link(key, kept, state, code)
        else:
            answer = begin(*container().finish_identity_sign_in(key, kept, state=state, code=code, caller=caller()))
    except (Unauthenticated, Forbidden, LinkInvalid, Conflict) as error:
        note(error, "sign-in refused", provider=key)
        raise
    answer.delete_cookie(KEPT_COOKIE, secure=True, httponly=True, samesite="Lax")
    return answer


def _asked_whether_to_link(key: str, kept: str, state: str, code: str) -> Response:
    session, _, user, _ = known()
    found = container().answer_linking(session, user, key, kept, state=state, code=code)
    account = container().people().account(user.email)
    second_factor = account is not None and account.second_factor is not None
    return make_response(render_template("linking.html", found=found, second_factor=second_factor))


def go_on_to_provider(key: str, begun: Begun) -> Response:
    """After a form: a page that goes on by itself, since browsers hold `form-action` against redirects, too."""
    title = container().identities().get(key).title
    return _keep(make_response(render_template("going_on.html", title=title, url=begun.url)), begun)


def _keep(answer: Response, begun: Begun) -> Response:
    answer.set_cookie(KEPT_COOKIE, begun.kept, max_age=600, secure=True, httponly=True, samesite="Lax")
    return answer


def callback(key: str) -> str:
    """The one address that the provider sends people back to."""
    return f"{container().settings().public_url}/sign-in/{key}/callback"
