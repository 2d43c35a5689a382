"""The people of the tenant, and who was asked to become one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Response, g

from core.domain.people import Invitation
from core.domain.permissions import Permission, Role
from core.domain.tenants import Membership, User
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, fails_with
from entrypoints.api.idempotency import posting
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import dumps, fields_of, part
from entrypoints.api.schemas.base import WholeListSchema, page_of
from entrypoints.api.schemas.members import (
    InvitationSchema,
    IssuedInvitationSchema,
    MemberChangeSchema,
    MemberSchema,
    NewInvitationSchema,
)
from entrypoints.api.state import actor, container

blp = Blueprint("members", "People of the tenant, and invitations to become one.", "")


@blp.route("/members")
@needs(Permission.MEMBERS_READ)
@blp.query(WholeListSchema)
@blp.answer(200, page_of(MemberSchema))
def list_members(query: dict[str, Any]) -> dict[str, Any]:
    """The people of the caller's tenant, by e-mail address."""
    return part(_members(container().list_members(actor())), query, "user_id")


@blp.route("/members/<uuid:user_id>", "PATCH")
@needs(Permission.MEMBERS_WRITE)
@blp.body(MemberChangeSchema)
@blp.answer(200, MemberSchema)
def change_member(body: dict[str, Any], user_id: UUID) -> dict[str, Any]:
    """Gives a member another role. Only owners make and unmake owners, and one of them stays."""
    return _members([container().change_member(actor(), user_id, Role(body["role"]))])[0]


@blp.route("/members/<uuid:user_id>", "DELETE")
@needs(Permission.MEMBERS_READ)
@blp.answer(204)
def remove_member(user_id: UUID) -> Response:
    """Removes a member: what they do next in this tenant is refused. Everybody may leave; for others it takes
    `members:write`."""
    container().remove_member(actor(), user_id)
    return Response(status=204)


@blp.route("/members/<uuid:user_id>/sessions", "DELETE")
@needs(Permission.MEMBERS_WRITE)
@blp.answer(204)
def end_member_sessions(user_id: UUID) -> Response:
    """Signs a member out wherever they are at the console in this tenant: they may sign in again. Only owners do so
    with owners."""
    container().end_member_sessions(actor(), user_id)
    return Response(status=204)


@blp.route("/invitations")
@needs(Permission.MEMBERS_READ)
@blp.query(WholeListSchema)
@blp.answer(200, page_of(InvitationSchema))
def list_invitations(query: dict[str, Any]) -> dict[str, Any]:
    """Those that nobody accepted or revoked."""
    return part([fields_of(one) for one in container().list_invitations(actor())], query)


@blp.route("/invitations", "POST")
@limited(Kind.INVITE)
@needs(Permission.MEMBERS_WRITE)
@fails_with(402)
@blp.body(NewInvitationSchema)
@blp.answer(201, IssuedInvitationSchema)
def invite(body: dict[str, Any]) -> dict[str, Any]:
    """Asks somebody to become a member. They get a mail with a link that is good for a week."""
    invitation = container().invite(posting(), body["email"], Role(body["role"]))
    g.kept = dumps(IssuedInvitationSchema().dump(_issued(invitation, None)))
    return _issued(invitation, invitation_url(invitation))


@blp.route("/invitations/<uuid:invitation_id>/renew", "POST")
@limited(Kind.INVITE)
@needs(Permission.MEMBERS_WRITE)
@fails_with(402)
@blp.answer(201, IssuedInvitationSchema)
def renew_invitation(invitation_id: UUID) -> dict[str, Any]:
    """Another invitation in place of an open one, with the same address and role, good for a week from now. They get
    another mail; the link of the former one serves no more."""
    invitation = container().renew_invitation(posting(), invitation_id)
    g.kept = dumps(IssuedInvitationSchema().dump(_issued(invitation, None)))
    return _issued(invitation, invitation_url(invitation))


@blp.route("/invitations/<uuid:invitation_id>", "DELETE")
@needs(Permission.MEMBERS_WRITE)
@blp.answer(204)
def revoke_invitation(invitation_id: UUID) -> Response:
    """Nobody can accept it any more."""
    container().revoke_invitation(actor(), invitation_id)
    return Response(status=204)


def _members(found: Sequence[tuple[User, Membership]]) -> list[dict[str, Any]]:
    ways = container().ways_in(actor()) if Permission.MEMBERS_WRITE in actor().permissions else {}
    return [
        {
            "user_id": user.id,
            "email": user.email,
            "name": user.name,
            "role": membership.role.value,
            "granted_by": membership.granted_by,
            "ways_in": ways.get(user.id),
        }
        for user, membership in found
    ]


def _issued(invitation: Invitation, url: str | None) -> dict[str, Any]:
    return fields_of(invitation) | {"url": url}


def invitation_url(invitation: Invitation) -> str | None:
    """Where it is accepted; None where a mail says so."""
    if container().mailer() is not None:
        return None
    return f"{container().settings().public_url}/invitations/{container().invitation_link(invitation)}"
