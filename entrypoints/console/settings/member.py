"""A member: their role, how they come in, and how they leave."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from core.domain.permissions import Permission, Role
from core.errors import Conflict, Forbidden, NotFound
from entrypoints.api.auth import caller
from entrypoints.api.state import container
from entrypoints.console.guard import forget, known, me, page_for
from entrypoints.console.settings.members import MEMBERS, Member, assignable, provider_titles, the_members
from entrypoints.console.settings.refusals import told
from entrypoints.console.settings.sections import show_section
from entrypoints.console.settings.words import ROLES
from entrypoints.console.shell import done

blp = Blueprint("settings_member", __name__)
PAGE = f"{MEMBERS}/<uuid:user_id>"


@blp.get(PAGE)
@page_for(Permission.MEMBERS_READ)
def member(user_id: UUID) -> Response:
    return member_page(user_id)


@blp.post(f"{PAGE}/role")
@page_for(Permission.MEMBERS_WRITE)
def change_role(user_id: UUID) -> Response:
    found, wanted = the_member(user_id), request.form.get("role", "")
    if wanted not in ROLES:
        return member_page(user_id, 422, error="Choose one of the roles.")
    if request.form.get("was") != found.membership.role:
        said = f"Somebody made them {_a(found.membership.role)} meanwhile. Nothing of yours is saved yet."
        return member_page(user_id, 409, error=said, wanted=wanted)
    try:
        container().change_member(me(), user_id, Role(wanted))
    except (Conflict, Forbidden) as error:
        return member_page(user_id, error.status, error=told(error), wanted=wanted)
    said = "Nothing was changed." if wanted == found.membership.role else f"{found.name} is {_a(wanted)} from now on."
    return done(f"{MEMBERS}/{user_id}", said)


@blp.post(f"{PAGE}/sign-out")
@page_for(Permission.MEMBERS_WRITE)
def sign_out(user_id: UUID) -> Response:
    try:
        ended: int = container().end_member_sessions(me(), user_id)
    except Forbidden as error:
        return member_page(user_id, error.status, error=told(error))
    places = "1 place" if ended == 1 else f"{ended:,} places"
    said = f"Signed out in {places}." if ended else "They were signed in nowhere here."
    return done(f"{MEMBERS}/{user_id}", said, "success" if ended else "info")


@blp.post(f"{PAGE}/remove")
@page_for(Permission.MEMBERS_READ)
def remove(user_id: UUID) -> Response:
    """Everybody may leave; who may not remove others is told so."""
    found = the_member(user_id)
    try:
        container().remove_member(me(), user_id)
    except (Conflict, Forbidden) as error:
        return member_page(user_id, error.status, error=told(error))
    if user_id == me().user_id:
        return _left()
    return done(MEMBERS, f"{found.name} is no member any more.")


def member_page(user_id: UUID, status: int = 200, *, error: str = "", wanted: str = "") -> Response:
    """With what went wrong at one of its forms, and the role that was chosen."""
    members, actor = the_members(), me()
    found, now = the_member(user_id, members), container().clock().now()
    role, owners = found.membership.role, [one for one in members if one.membership.role is Role.OWNER]
    keys = container().list_api_keys(actor) if Permission.KEYS_READ in actor.permissions else []
    invitations = [one for one in container().list_invitations(actor) if one.invited_by_id == user_id]
    return show_section(
        "settings/member.html",
        status,
        member=found,
        role=role,
        roles=ROLES,
        assignable=assignable(role),
        is_me=user_id == actor.user_id,
        only_owner=role is Role.OWNER and len(owners) == 1,
        granted_by=provider_titles().get(found.membership.granted_by or "", found.membership.granted_by),
        keys=[key for key in keys if key.created_by == user_id and key.usable(now)],
        invitations=[one for one in invitations if one.acceptable(now)],
        wanted=wanted or role.value,
        error=error,
    )


def the_member(user_id: UUID, members: Sequence[Member] | None = None) -> Member:
    """Of those members, or of all that there are. Raises `NotFound`."""
    found = next((one for one in members or the_members() if one.user.id == user_id), None)
    if found is None:
        raise NotFound("this person is no member")
    return found


def _left() -> Response:
    """Goes on where else the person belongs; or signs them out."""
    session, actor, user, belongings = known()
    here = next((one.tenant_name for one in belongings if one.tenant_id == session.tenant_id), "")
    other = next((one for one in belongings if one.tenant_id != session.tenant_id), None)
    if other is None:
        container().end_session(actor, user, session.id)
        return forget(redirect("/sign-in", 303))
    container().enter_tenant(session, other.tenant_id, caller())
    return done("/", f"You left {here}. This is {other.tenant_name}.")


def _a(role: str) -> str:
    return f"an {role}" if role[0] in "ao" else f"a {role}"
