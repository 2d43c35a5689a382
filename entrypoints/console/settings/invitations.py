"""Asking people to become members, and taking that back."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from flask import Blueprint, Response, request
from marshmallow import ValidationError
from werkzeug.exceptions import TooManyRequests
from werkzeug.wrappers import Response as AnyResponse

from core.domain.people import Invitation
from core.domain.permissions import Permission, Role
from core.errors import Conflict, Forbidden, Invalid, LimitReached
from entrypoints.api.limits import count_invitation
from entrypoints.api.members import invitation_url
from entrypoints.api.schemas.members import NewInvitationSchema
from entrypoints.api.state import container
from entrypoints.console.fields import said_of
from entrypoints.console.guard import me, page_for
from entrypoints.console.settings.members import MEMBERS, assignable, members_page
from entrypoints.console.settings.refusals import told
from entrypoints.console.settings.sections import show_section
from entrypoints.console.settings.words import ROLES
from entrypoints.console.shell import done
from entrypoints.console.words import as_sentence

blp = Blueprint("settings_invitations", __name__)
INVITATIONS = f"{MEMBERS}/invitations"
_SENT = "A mail with a link is on its way to {}. The link is good for a week."
_OFTEN = "Too many invitations were sent lately, and each may be a mail to a stranger. Try again in {} minutes."


@blp.get(f"{MEMBERS}/invite")
@page_for(Permission.MEMBERS_WRITE)
def new_invitation() -> Response:
    return _form({})


@blp.post(f"{MEMBERS}/invite")
@page_for(Permission.MEMBERS_WRITE)
def invite() -> AnyResponse:
    typed = {name: request.form.get(name, "").strip() for name in ("email", "role")}
    try:
        asked = NewInvitationSchema().load(typed)
        count_invitation(me().tenant_id)
        invitation: Invitation = container().invite(me(), asked["email"], Role(asked["role"]))
    except ValidationError as wrong:
        return _form(typed, 422, said_of(wrong))
    except TooManyRequests as error:
        return _form(typed, 429, error=_too_often(error))
    except (Invalid, Conflict) as error:
        return _form(typed, error.status, {"email": told(error)})
    except Forbidden as error:
        return _form(typed, error.status, {"role": told(error)})
    except LimitReached as error:
        return _form(typed, error.status, error=_no_room(error))
    return _asked(invitation)


@blp.post(f"{INVITATIONS}/<uuid:invitation_id>/renew")
@page_for(Permission.MEMBERS_WRITE)
def renew(invitation_id: UUID) -> AnyResponse:
    try:
        count_invitation(me().tenant_id)
        invitation: Invitation = container().renew_invitation(me(), invitation_id)
    except TooManyRequests as error:
        return members_page(429, error=_too_often(error))
    except LimitReached as error:
        return members_page(error.status, error=_no_room(error))
    except (Conflict, Forbidden) as error:
        return members_page(error.status, error=told(error))
    return _asked(invitation)


@blp.post(f"{INVITATIONS}/<uuid:invitation_id>/revoke")
@page_for(Permission.MEMBERS_WRITE)
def revoke(invitation_id: UUID) -> AnyResponse:
    try:
        container().revoke_invitation(me(), invitation_id)
    except (Conflict, Forbidden) as error:
        return members_page(error.status, error=told(error))
    return done(MEMBERS, "The invitation is revoked: its link serves no more.")


def _form(
    typed: Mapping[str, str], status: int = 200, errors: Mapping[str, str] | None = None, *, error: str = ""
) -> Response:
    return show_section(
        "settings/invite.html",
        status,
        typed={"email": "", "role": ""} | dict(typed),
        errors=errors or {},
        error=error,
        roles={role.value: ROLES[role] for role in assignable()},
        mails=container().mailer() is not None,
    )


def _asked(invitation: Invitation) -> AnyResponse:
    """The link is on the page that answers, and on no other one; a mail has it, where one is sent."""
    url = invitation_url(invitation)
    if url is None:
        return done(MEMBERS, _SENT.format(invitation.email))
    return show_section("settings/invitation_link.html", invitation=invitation, url=url)


def _too_often(error: TooManyRequests) -> str:
    seconds = error.retry_after if isinstance(error.retry_after, int) else 60
    return _OFTEN.format(-(-seconds // 60))


def _no_room(error: LimitReached) -> str:
    """What the plan holds, without where programs read of it."""
    return f"{as_sentence(error.details['holds'])} Remove somebody, revoke an invitation, or order more seats."
