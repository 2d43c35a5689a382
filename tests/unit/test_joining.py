"""Invitations and members, on storage in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest

from adapters.secrets.box import AesSecretBox
from core.domain.permissions import Permission, Role
from core.domain.tenants import Actor
from core.errors import Conflict, Forbidden, Invalid, LinkInvalid, NotFound, SignInFailed
from core.usecases import members
from tests.unit.people_support import ADA, BEN, CALLER, OTHER, PASSWORD, House


@pytest.fixture
def house() -> House:
    return House()


def invited(house: House, role: Role = Role.ADMIN, email: str = ADA) -> str:
    owner = house.member("owner@example.org", Role.OWNER)
    house.call(members.invite, house.acting(owner, Role.OWNER), email, role, max_attempts=3, mailer=house.outbox)
    house.send()
    assert house.outbox.sent[-1].to == email
    return house.outbox.token


def test_who_is_invited_joins_with_a_password_of_their_own(house: House) -> None:
    token = invited(house)
    invitation, tenant = house.call(members.read_invitation, token)
    assert (invitation.email, invitation.role, tenant) == (ADA, Role.ADMIN, "Harbour Books")
    with pytest.raises(Invalid):
        house.call(members.accept_invitation, token, "short", CALLER)
    actor = house.at(house.call(members.accept_invitation, token, PASSWORD, CALLER, name="Ada"))
    assert (actor.name, actor.role) == ("Ada", Role.ADMIN)
    house.sign_in()
    with pytest.raises(LinkInvalid):
        house.call(members.accept_invitation, token, PASSWORD, CALLER)
    assert house.told("MEMBER_INVITED", "MEMBER_JOINED") == ["MEMBER_INVITED", "MEMBER_JOINED"]


def test_an_invitation_is_sent_anew_and_the_former_link_ends(house: House) -> None:
    former = invited(house, Role.OWNER)
    [open_one] = members.list_invitations(house.tenant, uow=house.storage.uow)
    owner, admin = house.member(BEN, Role.OWNER), house.member("admin@example.org", Role.ADMIN)
    renew = {"max_attempts": 3, "mailer": house.outbox}
    with pytest.raises(Forbidden):
        house.call(members.renew_invitation, house.acting(admin, Role.ADMIN), open_one.id, **renew)
    house.clock.advance(timedelta(days=8))
    anew = house.call(members.renew_invitation, house.acting(owner, Role.OWNER), open_one.id, **renew)
    assert (anew.email, anew.role, anew.invited_by_id) == (ADA, Role.OWNER, owner.id)
    assert anew.expires_at == house.clock.now() + timedelta(days=7)
    assert members.list_invitations(house.tenant, uow=house.storage.uow) == [anew]
    house.send()
    token = house.outbox.token
    assert token != former
    with pytest.raises(LinkInvalid):
        house.call(members.read_invitation, former)
    assert house.call(members.read_invitation, token)[0] == anew
    with pytest.raises(Conflict, match="revoked"):
        house.call(members.renew_invitation, house.acting(owner, Role.OWNER), open_one.id, **renew)
    with pytest.raises(NotFound):
        house.call(members.renew_invitation, house.acting(owner, Role.OWNER), owner.id, **renew)
    told = ("MEMBER_INVITED", "INVITATION_REVOKED")
    assert house.told(*told) == ["MEMBER_INVITED", "INVITATION_REVOKED", "MEMBER_INVITED"]


def test_everybody_may_leave_and_others_are_removed_by_who_may(house: House) -> None:
    viewer, other = house.member(role=Role.VIEWER), house.member(BEN, Role.VIEWER)
    house.member("owner@example.org", Role.OWNER)
    with pytest.raises(Forbidden, match="members:write"):
        house.call(members.remove_member, house.acting(viewer, Role.VIEWER), other.id)
    with pytest.raises(Forbidden, match="members:write"):
        house.call(members.ways_in, house.acting(viewer, Role.VIEWER))
    house.call(members.remove_member, house.acting(viewer, Role.VIEWER), viewer.id)
    left = [user.id for user, _ in members.list_members(house.tenant, uow=house.storage.uow)]
    assert (viewer.id in left, other.id in left) == (False, True)


def test_who_has_an_account_proves_it_and_keeps_the_password(house: House) -> None:
    home, other = house.storage.tenant("Quay Books"), house.tenant
    house.tenant = home
    ada = house.member()
    house.tenant = other
    token = invited(house)
    with pytest.raises(SignInFailed):
        house.call(members.accept_invitation, token, OTHER, CALLER)
    actor = house.at(house.call(members.accept_invitation, token, PASSWORD, CALLER))
    assert (actor.user_id, actor.tenant_id) == (ada.id, other.tenant_id)


def test_no_invitation_sets_a_password_for_who_is_here_without_one(house: House) -> None:
    """Whoever invites may have the link: it must not make them somebody who has tenants already."""
    home, other = house.storage.tenant("Quay Books"), house.tenant
    house.tenant = home
    ada = house.member(password=None)
    house.tenant = other
    token = invited(house)
    with pytest.raises(Forbidden):
        house.call(members.accept_invitation, token, PASSWORD, CALLER)
    assert house.storage.people.account(ADA) is None
    assert [one.tenant_id for one in house.storage.people.belongings(ada.id)] == [home.tenant_id]


def test_programs_invite_nobody_who_may_more_than_they_do(house: House) -> None:
    key = Actor(tenant_id=house.tenant.tenant_id, name="key narrow", permissions=frozenset({Permission.MEMBERS_WRITE}))
    for role in (Role.ADMIN, Role.REVIEWER, Role.VIEWER):
        with pytest.raises(Forbidden):
            house.call(members.invite, key, BEN, role, max_attempts=3, mailer=None)
    viewer = house.member(role=Role.VIEWER)
    with pytest.raises(Forbidden):
        house.call(members.change_member, key, viewer.id, Role.ADMIN)


def test_only_owners_take_back_an_invitation_of_an_owner(house: House) -> None:
    owner, admin = house.member(role=Role.OWNER), house.member(BEN, Role.ADMIN)
    made = house.call(
        members.invite, house.acting(owner, Role.OWNER), "c@example.org", Role.OWNER, max_attempts=3, mailer=None
    )
    with pytest.raises(Forbidden):
        house.call(members.revoke_invitation, house.acting(admin, Role.ADMIN), made.id)
    house.call(members.revoke_invitation, house.acting(owner, Role.OWNER), made.id)


def test_an_invitation_that_is_too_old_or_revoked_is_refused_and_can_be_made_anew(house: House) -> None:
    token = invited(house)
    owner = house.acting(house.member("second@example.org", Role.OWNER), Role.OWNER)
    [invitation] = members.list_invitations(owner, uow=house.storage.uow)
    again = {"max_attempts": 3, "mailer": house.outbox}
    with pytest.raises(Conflict):
        house.call(members.invite, owner, ADA, Role.VIEWER, **again)
    house.clock.advance(timedelta(days=7))
    with pytest.raises(LinkInvalid):
        house.call(members.accept_invitation, token, PASSWORD, CALLER)
    renewed = house.call(members.invite, owner, ADA, Role.VIEWER, **again)
    assert [one.id for one in members.list_invitations(owner, uow=house.storage.uow)] == [renewed.id]
    members.revoke_invitation(owner, renewed.id, uow=house.storage.uow)
    with pytest.raises(Conflict):
        members.revoke_invitation(owner, renewed.id, uow=house.storage.uow)
    with pytest.raises(NotFound):
        members.revoke_invitation(owner, owner.tenant_id, uow=house.storage.uow)
    house.send()
    assert len(house.outbox.sent) == 1, "a mail that is of no use any more is not sent"
    assert invitation.id != renewed.id


def test_members_and_owners_are_kept_apart(house: House) -> None:
    owner, admin = house.member(role=Role.OWNER), house.member(BEN, Role.ADMIN)
    by_owner, by_admin = house.acting(owner, Role.OWNER), house.acting(admin, Role.ADMIN)
    again = {"max_attempts": 3, "mailer": None}
    for refused in (
        lambda: house.call(members.invite, by_admin, "new@example.org", Role.OWNER, **again),
        lambda: house.call(members.change_member, by_admin, admin.id, Role.OWNER),
        lambda: house.call(members.change_member, by_admin, owner.id, Role.VIEWER),
        lambda: house.call(members.remove_member, by_admin, owner.id),
    ):
        with pytest.raises(Forbidden):
            refused()
    for left_without in (
        lambda: house.call(members.change_member, by_owner, owner.id, Role.ADMIN),
        lambda: house.call(members.remove_member, by_owner, owner.id),
    ):
        with pytest.raises(Conflict, match="at least one owner"):
            left_without()
    with pytest.raises(Conflict):
        house.call(members.invite, by_owner, BEN, Role.VIEWER, **again)
    house.call(members.change_member, by_owner, admin.id, Role.OWNER)
    house.call(members.remove_member, house.acting(owner, Role.OWNER), owner.id)
    assert [user.id for user, _ in members.list_members(by_admin, uow=house.storage.uow)] == [admin.id]
    assert house.told("MEMBER_CHANGED", "MEMBER_REMOVED") == ["MEMBER_CHANGED", "MEMBER_REMOVED"]


def test_keys_that_were_rotated_still_open_their_links(house: House) -> None:
    token = invited(house)
    house.secrets = AesSecretBox("n" * 40, former=["k" * 40])
    house.call(members.read_invitation, token)
    house.secrets = AesSecretBox("n" * 40)
    with pytest.raises(LinkInvalid):
        house.call(members.read_invitation, token)
