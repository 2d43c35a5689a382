"""An invitation, accepted by who got the link."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from core.errors import Invalid, LinkInvalid, NotFound, SignInFailed
from entrypoints.api.auth import caller
from entrypoints.api.limits import Kind, limited
from entrypoints.api.state import container
from entrypoints.console.guard import begin, open_page

blp = Blueprint("invitations", __name__)


@blp.get("/invitations/<token>")
@open_page
def invitation_page(token: str) -> str:
    return _page(token)


@blp.post("/invitations/<token>")
@limited(Kind.SIGN_IN)
@open_page
def accept_invitation(token: str) -> tuple[str, int] | Response:
    if container().settings().local_accounts == "off":
        raise NotFound
    password, name = request.form.get("password", ""), request.form.get("name", "")
    try:
        issued = container().accept_invitation(token, password, caller(), name=name)
    except LinkInvalid:
        raise
    except (Invalid, SignInFailed) as error:
        return _page(token, name, str(error)), error.status
    return begin(issued)


def _page(token: str, name: str = "", error: str = "") -> str:
    invitation, tenant = container().read_invitation(token)
    people = container().people()
    known = people.account(invitation.email) is not None
    return render_template(
        "invitation.html",
        invitation=invitation,
        tenant=tenant,
        known=known,
        elsewhere=not known and people.user_of_email(invitation.email) is not None,
        name=name,
        error=error,
        local=container().settings().local_accounts == "on",
        providers=container().identities().all(),
        token_of_link=token,
    )
