"""The second factor: asked for at sign-in, set up and removed in one's account."""

from __future__ import annotations

import segno
from flask import Blueprint, make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from core.domain.people import LOCAL
from core.errors import CodeWrong, LinkInvalid, NotFound, SignInFailed
from entrypoints.api.auth import caller
from entrypoints.api.denials import note
from entrypoints.api.limits import Kind, limited
from entrypoints.api.state import container
from entrypoints.console.guard import HALF_WAY_COOKIE, begin, keep, known, open_page, own_path, signed_in

blp = Blueprint("second_factor", __name__)


@blp.get("/second-factor")
@open_page
def code_page() -> str | Response:
    if HALF_WAY_COOKIE not in request.cookies:
        return redirect("/sign-in", 303)
    return render_template("code.html", next=own_path(request.args.get("next")), error="")


@blp.post("/second-factor")
@limited(Kind.SIGN_IN)
@open_page
def prove_second_factor() -> tuple[str, int] | Response:
    to, token = own_path(request.form.get("next")), request.cookies.get(HALF_WAY_COOKIE, "")
    try:
        issued = container().prove_second_factor(token, request.form.get("code", ""), caller())
    except CodeWrong as error:
        note(error, "sign-in refused")
        return render_template("code.html", next=to, error=str(error)), error.status
    except LinkInvalid:
        return redirect("/sign-in", 303)
    answer = begin(issued, to)
    answer.delete_cookie(HALF_WAY_COOKIE, secure=True, httponly=True, samesite="Strict")
    return answer


@blp.get("/account/second-factor")
@signed_in
def new_factor_page() -> str:
    return _page()


@blp.post("/account/second-factor")
@limited(Kind.SIGN_IN)
@signed_in
def add_second_factor() -> tuple[str, int] | Response:
    (session, _, user, _), form = known(), request.form
    try:
        issued, codes = container().add_second_factor(
            session, user, form.get("enrolment", ""), form.get("code", ""), form.get("password", ""), caller()
        )
    except (CodeWrong, SignInFailed, LinkInvalid) as error:
        note(error)
        return _page(str(error)), error.status
    return keep(make_response(render_template("recovery_codes.html", codes=codes)), issued)


@blp.post("/account/second-factor/remove")
@limited(Kind.SIGN_IN)
@signed_in
def remove_second_factor() -> Response:
    session, _, user, _ = known()
    return begin(container().remove_second_factor(session, user, request.form.get("code", ""), caller()), "/account")


def _page(error: str = "") -> str:
    session, _, user, _ = known()
    if session.via != LOCAL:
        raise NotFound("your provider says who you are: it has the second factor, too")
    enrolment = container().begin_second_factor(user)
    picture = segno.make(enrolment.uri).svg_data_uri(scale=5, light="white")
    return render_template("new_second_factor.html", user=user, enrolment=enrolment, picture=picture, error=error)
