"""Who is at a page: sessions in cookies, and forms that only our own pages can send.

A session's cookie has the prefix `__Host-`: browsers keep it to this host and to https (or the machine itself), and no
subdomain can set it. A form proves itself by a token that is derived from what the browser's cookie holds, and by its
origin; neither can be had by another site.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import structlog
from flask import Response, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from core.domain.people import DEVICE_TIME, LOCAL, SECOND_STEP_TIME, Belonging, Session
from core.domain.permissions import PAID_FOR, Permission
from core.domain.tenants import Actor, User
from core.errors import Forbidden, Invalid, Unauthenticated
from core.usecases.shared.signing_in import HalfWay, IssuedSession
from entrypoints.api.access import wants_json
from entrypoints.api.auth import DEVICE_COOKIE, caller, page
from entrypoints.api.limits import count_caller, from_elsewhere
from entrypoints.api.state import container, small_body
from entrypoints.api.uploads import limit_upload

View = TypeVar("View", bound=Callable[..., Any])
SESSION_COOKIE = "__Host-sortation"
HALF_WAY_COOKIE = "__Host-sortation-half-way"
"""That somebody knew the password and has the second factor to prove still: sealed, and good for some minutes."""
FORM_COOKIE = "__Host-sortation-form"
"""What forms are bound to where nobody is signed in yet."""
_SECRET_BYTES = 32
_WITHOUT_SECOND_FACTOR = ("/account/second-factor", "/sign-out")
MAX_FORM_BYTES = 1 << 18
_WITH_FILE = "multipart/form-data"
_FORMS = ("application/x-www-form-urlencoded", _WITH_FILE)
TOKEN_HEADER = "X-Form-Token"  # noqa: S105 - a header's name


class FormRefused(Forbidden):
    """This was not asked for by one of our pages, or its form is too old: open the page again, and send it anew."""

    code = "form_refused"


def open_page(view: View) -> View:
    """A page for everybody."""
    return page(_guarded(view))


def signed_in(view: View) -> View:
    """A page for who is signed in; others are sent to sign in, and come back."""

    @wraps(view)
    def for_people(*args: Any, **kwargs: Any) -> Any:
        try:
            known()
        except Unauthenticated:
            if request.method != "GET" or wants_json():
                raise
            return redirect(f"/sign-in?next={quote(request.full_path.rstrip('?'))}", 303)
        if _lacks_second_factor() and request.path not in _WITHOUT_SECOND_FACTOR:
            return redirect("/account/second-factor", 303)
        return view(*args, **kwargs)

    return page(_guarded(for_people))  # type: ignore[return-value]


def page_for(permission: Permission) -> Callable[[View], View]:
    """A page for who may do that in the tenant that they are in. Raises `Forbidden`, and for changes that a plan does
    not pay for what `check_may_work` does."""

    def declare(view: View) -> View:
        @wraps(view)
        def allowed(*args: Any, **kwargs: Any) -> Any:
            actor = me()
            actor.require(permission)
            if permission in PAID_FOR and request.method != "GET":
                container().check_may_work(actor)
            return view(*args, **kwargs)

        return signed_in(allowed)  # type: ignore[return-value]

    return declare


def in_pages(view: View) -> View:
    """Of a view that answers with a picture, which pages of ours show within them."""
    view.in_pages = True  # type: ignore[attr-defined]
    return view


def with_file(most: Callable[[], int]) -> Callable[[View], View]:
    """Of a view whose form may bring a file along, of so many bytes at most."""

    def declare(view: View) -> View:
        view.file_bytes = most  # type: ignore[attr-defined]
        return view

    return declare


def me() -> Actor:
    """Who is signed in, as they act in the tenant that they are in. Raises `Unauthenticated`."""
    return known()[1]


def _guarded(view: View) -> View:
    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if from_elsewhere() and not (hasattr(view, "in_pages") and _shown_in_page()):
            raise FormRefused
        if request.method == "POST":
            _check_form(getattr(view, "file_bytes", None))
        return view(*args, **kwargs)

    return guarded  # type: ignore[return-value]


def known() -> tuple[Session, Actor, User, list[Belonging]]:
    """Who is signed in, where, and where they may go. Raises `Unauthenticated`."""
    if "at_console" not in g:
        secret = request.cookies.get(SESSION_COOKIE)
        if not secret:
            raise Unauthenticated("sign in first")
        session, actor, user, belongings = container().open_session(secret, caller())
        count_caller("person", user.id)
        structlog.contextvars.bind_contextvars(tenant_id=str(actor.tenant_id), user_id=str(user.id))
        g.tenant_id, g.actor = str(actor.tenant_id), actor
        g.at_console = session, actor, user, list(belongings)
    found: tuple[Session, Actor, User, list[Belonging]] = g.at_console
    return found


def _lacks_second_factor() -> bool:
    """Whether the operator asks for one, and this session began by a password alone."""
    if container().settings().second_factor != "required":
        return False
    session, _, user, _ = known()
    account = container().people().account(user.email)
    return session.via == LOCAL and (account is None or account.second_factor is None)


def begin(issued: IssuedSession | HalfWay, to: str = "/") -> AnyResponse:
    """Sends who was let in on, and who has a second factor to where it is asked for; a session that the browser had
    before is none of its any more."""
    if (former := request.cookies.get(SESSION_COOKIE)) is not None:
        container().leave_session(former)
    if isinstance(issued, HalfWay):
        answer = redirect(f"/second-factor?next={quote(to)}", 303)
        lasts = int(SECOND_STEP_TIME.total_seconds())
        answer.set_cookie(HALF_WAY_COOKIE, issued.token, max_age=lasts, secure=True, httponly=True, samesite="Strict")
        return answer
    return keep(redirect(to, 303), issued)


def keep(answer: AnyResponse, issued: IssuedSession) -> AnyResponse:
    """The browser has this session from now on."""
    seconds = int(container().settings().session_seconds)
    answer.set_cookie(SESSION_COOKIE, issued.secret, max_age=seconds, secure=True, httponly=True, samesite="Lax")
    if issued.device is not None:
        lasts = int(DEVICE_TIME.total_seconds())
        answer.set_cookie(DEVICE_COOKIE, issued.device, max_age=lasts, secure=True, httponly=True, samesite="Strict")
    return answer


def forget(answer: AnyResponse) -> AnyResponse:
    answer.delete_cookie(SESSION_COOKIE, secure=True, httponly=True, samesite="Lax")
    return answer


def form_token() -> str:
    """What a form of this page carries along."""
    return _token(_bound_to() or _new_form_secret())


def own_path(path: str | None) -> str:
    """Where to go on: a path of ours, never another site."""
    if not path or not path.startswith("/") or path.startswith(("//", "/\\")) or any(ord(c) < 33 for c in path):
        return "/"
    return path


def keep_form_secret(response: Response) -> Response:
    """After each request: the browser keeps what a new form is bound to."""
    if (secret := g.pop("form_secret", None)) is not None:
        response.set_cookie(FORM_COOKIE, secret, secure=True, httponly=True, samesite="Strict")
    return response


def _shown_in_page() -> bool:
    """Whether a page of ours asks for a picture to show."""
    headers = request.headers
    return (headers.get("Sec-Fetch-Site"), headers.get("Sec-Fetch-Dest")) == ("same-origin", "image")


def _check_form(file_bytes: Callable[[], int] | None) -> None:
    """Raises `FormRefused`, or `Invalid` for what no text can hold; ends the request with 413 when it is too large.

    Our scripts say the token in a header, and may send what is no form, which the view reads. A form with a file is
    taken in from who is signed in alone: files of strangers are not received."""
    told = request.headers.get(TOKEN_HEADER)
    if told is not None:
        _check_token(told)
    if told is None or request.mimetype in _FORMS:
        if file_bytes is not None and request.mimetype == _WITH_FILE:
            known()
            limit_upload(file_bytes())
        else:
            small_body(MAX_FORM_BYTES)  # read first: parsing a form has no limit of its own
        if any("\x00" in value for values in request.form.listvalues() for value in values):
            raise Invalid("a text has a NUL character")
    if told is None:
        _check_token(request.form.get("form_token", ""))


def _check_token(sent: str) -> None:
    secret = _bound_to()
    if not secret or not hmac.compare_digest(_token(secret).encode(), sent.encode()):
        if secret and secret == request.cookies.get(SESSION_COOKIE):
            raise Unauthenticated("sign in first")  # the form may be of the session that has ended
        raise FormRefused
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise FormRefused


def _bound_to() -> str | None:
    """The session and the tenant that it is in: a form that was opened in another one must not act here. Of a session
    that is over the cookie alone."""
    session = request.cookies.get(SESSION_COOKIE)
    if not session:
        return request.cookies.get(FORM_COOKIE)
    try:
        return f"{session} {known()[0].tenant_id}"
    except Unauthenticated:
        return session


def _new_form_secret() -> str:
    if "form_secret" not in g:
        g.form_secret = secrets.token_hex(_SECRET_BYTES)
    made: str = g.form_secret
    return made


def _token(secret: str) -> str:
    return hmac.digest(secret.encode(), b"sortation/form", hashlib.sha256).hex()
