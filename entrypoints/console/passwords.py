"""A forgotten password: asked for by mail, and set anew by the link."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from core.errors import Invalid, LinkInvalid, NotFound
from entrypoints.api.auth import caller
from entrypoints.api.limits import Kind, count_reset, limited
from entrypoints.api.state import container
from entrypoints.console.guard import begin, open_page

blp = Blueprint("passwords", __name__)


@blp.get("/password")
@open_page
def forgotten_page() -> str:
    _check_served()
    return render_template("forgotten.html", sent=False)


@blp.post("/password")
@limited(Kind.SIGN_IN)
@open_page
def forgotten() -> str:
    """Says the same, as soon, whether or not somebody has that address."""
    _check_served()
    email = request.form.get("email", "")
    count_reset(email)
    container().ask_for_reset(email, caller())
    return render_template("forgotten.html", sent=True)


@blp.get("/password/<token>")
@open_page
def password_page(token: str) -> str:
    _check_local()
    return render_template("password.html", user=container().whose_link(token), error="")


@blp.post("/password/<token>")
@limited(Kind.SIGN_IN)
@open_page
def set_password(token: str) -> tuple[str, int] | Response:
    _check_local()
    user = container().whose_link(token)
    try:
        issued = container().reset_password(token, request.form.get("password", ""), caller())
    except LinkInvalid:
        raise
    except Invalid as error:
        return render_template("password.html", user=user, error=str(error)), error.status
    return begin(issued)


def _check_served() -> None:
    _check_local()
    if container().mailer() is None:
        raise NotFound


def _check_local() -> None:
    if container().settings().local_accounts == "off":
        raise NotFound
