"""The people of the tenant, who was asked to become one of them, and what each role may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from flask import Blueprint, Response, request

from core.domain.people import WaysIn, check_may_assign
from core.domain.permissions import ROLE_PERMISSIONS, Permission, Role
from core.domain.records import normalise
from core.domain.tenants import Membership, User
from core.errors import Forbidden
from entrypoints.api.state import container
from entrypoints.console.asked import asked_id, following
from entrypoints.console.guard import me, page_for
from entrypoints.console.settings.sections import PATH, show_section
from entrypoints.console.settings.words import AREAS, ROLES, comes_in_by

blp = Blueprint("settings_members", __name__)
MEMBERS = f"{PATH}/members"
SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member, and how they come in as far as who looks may know."""

    user: User
    membership: Membership
    ways: WaysIn | None
    by: str
    """How they come in, in words."""

    @property
    def name(self) -> str:
        return self.user.name or self.user.email


@blp.get(MEMBERS)
@page_for(Permission.MEMBERS_READ)
def list_members() -> Response:
    return members_page()


@blp.get(f"{MEMBERS}/roles")
@page_for(Permission.MEMBERS_READ)
def roles() -> Response:
    return show_section(
        "settings/roles.html",
        roles=ROLES,
        areas=AREAS,
        allowed={role: ROLE_PERMISSIONS[role] for role in Role},
    )


def members_page(status: int = 200, *, error: str = "") -> Response:
    """With what went wrong at one of its buttons."""
    every = the_members()
    wanted, role = normalise(request.args.get("q", "")), request.args.get("role", "")
    fitting = [
        one
        for one in every
        if (role not in ROLES or one.membership.role == role)
        and (wanted in normalise(one.user.name) or wanted in normalise(one.user.email))
    ]
    after = asked_id("after")
    places = [place for place, one in enumerate(fitting) if one.user.id == after]
    rows = fitting[places[0] + 1 if places else 0 :]
    given = {"q": request.args.get("q", ""), "role": role}
    return show_section(
        "settings/members.html",
        status,
        members=rows[:SHOWN],
        total=len(every),
        given=given,
        roles=[role.value for role in ROLES],
        more=following(MEMBERS, rows[SHOWN - 1].user.id, **given) if len(rows) > SHOWN else None,
        invitations=container().list_invitations(me()),
        may_invite=assignable(),
        now=container().clock().now(),
        mails=container().mailer() is not None,
        error=error,
    )


def the_members() -> list[Member]:
    """By e-mail address."""
    actor, providers = me(), provider_titles()
    found: Sequence[tuple[User, Membership]] = container().list_members(actor)
    ways: Mapping[UUID, WaysIn] = {}
    if Permission.MEMBERS_WRITE in actor.permissions:
        ways = container().ways_in(actor)
    return [
        Member(
            user=user,
            membership=membership,
            ways=ways.get(user.id),
            by=comes_in_by(ways[user.id], providers) if user.id in ways else "",
        )
        for user, membership in found
    ]


def provider_titles() -> dict[str, str]:
    """By issuer."""
    return {provider.issuer: provider.title for provider in container().identities().all()}


def assignable(*held: Role) -> list[Role]:
    """The roles that who looks may give to somebody who has those, or to somebody new; owners first."""
    return [role for role in Role if Permission.MEMBERS_WRITE in me().permissions and _may_assign(*held, role)]


def _may_assign(*roles: Role) -> bool:
    try:
        check_may_assign(me(), *roles)
    except Forbidden:
        return False
    return True
