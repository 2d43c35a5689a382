"""Signing in, sessions and passwords, on storage in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.events import EventFilter
from core.domain.people import hash_browser_secret
from core.domain.permissions import ROLE_PERMISSIONS, Permission, Role
from core.domain.tenants import Actor, Membership
from core.errors import Forbidden, Invalid, LinkInvalid, NotFound, SignInFailed, Unauthenticated
from core.usecases import members, passwords, sessions
from core.usecases.shared.links import write_link
from core.usecases.shared.signing_in import at_once
from tests.unit.people_support import ADA, BEN, CALLER, OTHER, PASSWORD, House


@pytest.fixture
def house() -> House:
    return House()


def test_who_knows_the_password_gets_a_session_and_the_tenant_is_told(house: House) -> None:
    ada = house.member(role=Role.ADMIN)
    issued = house.sign_in(email=" Ada@Example.Org ")
    actor = house.at(issued)
    assert (actor.tenant_id, actor.user_id, actor.role) == (house.tenant.tenant_id, ada.id, Role.ADMIN)
    assert actor.permissions == ROLE_PERMISSIONS[Role.ADMIN]
    assert (actor.address, actor.user_agent, actor.request_id) == ("192.0.2.7", "A browser", "req-1")
    [event] = house.storage.events(house.tenant)
    assert (event.type, event.subject_id, event.actor_id) == ("SIGNED_IN", ada.id, ada.id)
    assert (event.address, event.user_agent) == ("192.0.2.7", "A browser")
    assert issued.secret not in repr(issued)
    assert issued.session.secret_hash == hash_browser_secret(issued.secret)


@pytest.mark.parametrize("email", [ADA, BEN, "nobody@example.org"])
def test_a_wrong_password_and_an_unknown_address_are_refused_alike(house: House, email: str) -> None:
    house.member()
    house.member(BEN, password=None)
    with pytest.raises(SignInFailed) as refused:
        house.sign_in(OTHER, email)
    assert str(refused.value) == SignInFailed.__doc__
    assert house.hasher.verified == 1
    assert house.told("SIGN_IN_FAILED") == (["SIGN_IN_FAILED"] if email == ADA else [])


def test_a_guesser_is_locked_out_for_a_while_and_so_is_the_right_password(house: House) -> None:
    house.member()
    for _ in range(5):
        with pytest.raises(SignInFailed):
            house.sign_in(OTHER)
    with pytest.raises(SignInFailed):
        house.sign_in()
    house.clock.advance(timedelta(seconds=61))
    with pytest.raises(SignInFailed):
        house.sign_in(OTHER)
    house.clock.advance(timedelta(seconds=61))
    with pytest.raises(SignInFailed):  # the sixth failure locks for two minutes
        house.sign_in()
    house.clock.advance(timedelta(seconds=61))
    house.sign_in()
    account = house.storage.people.account(ADA)
    assert account is not None
    assert (account.failures, account.locked_until) == (0, None)


def test_passwords_are_hashed_anew_when_the_way_changes(house: House) -> None:
    house.member()
    house.hasher.form = "2"
    issued = house.sign_in()
    account = house.storage.people.account(ADA)
    assert account is not None
    assert account.password_hash == f"2:{PASSWORD}"
    house.at(issued)


def test_a_session_ends_when_it_is_idle_too_old_ended_or_its_person_removed(house: House) -> None:
    ada = house.member()
    ben = house.member(BEN, Role.OWNER)
    idle = house.sign_in()
    for _ in range(5):
        house.clock.advance(timedelta(minutes=50))
        house.at(idle)
    house.clock.advance(timedelta(minutes=61))
    with pytest.raises(Unauthenticated):
        house.at(idle)
    old = house.sign_in()
    for _ in range(14):
        house.clock.advance(timedelta(minutes=50))
        house.at(old)
    house.clock.advance(timedelta(minutes=50))
    with pytest.raises(Unauthenticated):
        house.at(old)
    ended, kept = house.sign_in(), house.sign_in()
    assert house.call(sessions.end_session, house.at(ended), ada, ended.session.id) == 1
    with pytest.raises(Unauthenticated):
        house.at(ended)
    actor = house.at(kept)
    house.call(members.remove_member, house.acting(ben, Role.OWNER), ada.id)
    with pytest.raises(Unauthenticated):
        house.at(kept)
    assert actor.role is Role.REVIEWER
    with pytest.raises(Forbidden, match="member of no tenant"):
        house.sign_in()


def test_nobody_ends_the_sessions_of_others(house: House) -> None:
    house.member()
    ben = house.member(BEN)
    issued = house.sign_in()
    assert house.call(sessions.end_session, house.acting(ben, Role.OWNER), ben, issued.session.id) == 0
    house.at(issued)


def test_an_admin_ends_the_sessions_that_are_in_their_tenant(house: House) -> None:
    ada, ben = house.member(), house.member(BEN, Role.ADMIN)
    elsewhere, end = house.storage.tenant("Quay Books"), members.end_member_sessions
    with house.storage.writing(elsewhere) as tx:
        tx.members.add(ada, Membership(tenant_id=elsewhere.tenant_id, user_id=ada.id, role=Role.VIEWER))
    here, there, bens = house.sign_in(), house.sign_in(), house.sign_in(email=BEN)
    house.call(sessions.enter_tenant, there.session, elsewhere.tenant_id, CALLER)
    by_ben = house.at(bens)
    assert house.call(end, by_ben, ada.id) == 1
    with pytest.raises(Unauthenticated):
        house.at(here)
    house.at(there)
    house.at(bens)
    assert house.call(end, by_ben, ada.id) == 0
    [told] = house.storage.events(house.tenant, "SESSION_ENDED")
    assert (told.actor_id, told.subject_id, told.payload) == (ben.id, ada.id, {"sessions": 1})
    assert house.storage.events(elsewhere, "SESSION_ENDED") == []


def test_only_owners_end_the_sessions_of_owners(house: House) -> None:
    ada, ben = house.member(role=Role.OWNER), house.member(BEN, Role.ADMIN)
    adas, end = house.sign_in(), members.end_member_sessions
    key = Actor(tenant_id=house.tenant.tenant_id, name="key", permissions=ROLE_PERMISSIONS[Role.OWNER])
    few = replace(key, permissions=frozenset({Permission.MEMBERS_WRITE}))
    for actor, user_id in ((house.acting(ben, Role.ADMIN), ada.id), (key, ada.id), (few, ben.id)):
        with pytest.raises(Forbidden):
            house.call(end, actor, user_id)
    house.at(adas)
    with pytest.raises(NotFound):
        house.call(end, key, house.storage.ids.new())
    stranger = replace(house.acting(ada, Role.OWNER), tenant_id=house.storage.tenant("Foreign Books").tenant_id)
    with pytest.raises(NotFound):
        house.call(end, stranger, ben.id)
    assert house.call(end, key, ben.id) == 0
    assert house.call(end, house.acting(ben, Role.ADMIN), ben.id) == 0, "everybody may with their own"
    assert house.call(end, house.acting(ada, Role.OWNER), ada.id) == 1
    with pytest.raises(Unauthenticated):
        house.at(adas)


def test_the_operator_signs_somebody_out_everywhere_and_their_tenants_are_told(house: House) -> None:
    ada = house.member()
    house.member(BEN)
    elsewhere = house.storage.tenant("Quay Books")
    with house.storage.writing(elsewhere) as tx:
        tx.members.add(ada, Membership(tenant_id=elsewhere.tenant_id, user_id=ada.id, role=Role.VIEWER))
    here, there, bens = house.sign_in(), house.sign_in(), house.sign_in(email=BEN)
    house.call(sessions.enter_tenant, there.session, elsewhere.tenant_id, CALLER)
    assert house.call(sessions.sign_out_person, " Ada@example.org", CALLER) == 2
    for ended in (here, there):
        with pytest.raises(Unauthenticated):
            house.at(ended)
    house.at(bens)
    for tenant in (house.tenant, elsewhere):
        [told] = house.storage.events(tenant, "SESSION_ENDED")
        assert (told.actor, told.actor_id, told.subject_id, told.payload) == ("operator", None, ada.id, {"sessions": 2})
    assert house.call(sessions.sign_out_person, ADA, CALLER) == 0
    assert house.told("SESSION_ENDED") == ["SESSION_ENDED"]
    with pytest.raises(NotFound):
        house.call(sessions.sign_out_person, "nobody@example.org", CALLER)


def test_another_role_holds_from_the_next_request_on(house: House) -> None:
    ada, ben = house.member(role=Role.ADMIN), house.member(BEN, Role.OWNER)
    issued = house.sign_in()
    house.call(members.change_member, house.acting(ben, Role.OWNER), ada.id, Role.VIEWER)
    assert house.at(issued).permissions == ROLE_PERMISSIONS[Role.VIEWER]


def test_people_go_to_their_other_tenants_and_no_others(house: House) -> None:
    house.member()
    here, elsewhere = house.tenant, house.storage.tenant("Quay Books")
    house.tenant = elsewhere
    house.member(role=Role.VIEWER)
    foreign = house.storage.tenant("Foreign Books")
    issued = house.sign_in()
    assert house.at(issued).tenant_id == here.tenant_id
    house.call(sessions.enter_tenant, issued.session, elsewhere.tenant_id, CALLER)
    assert (house.at(issued).tenant_id, house.at(issued).role) == (elsewhere.tenant_id, Role.VIEWER)
    with pytest.raises(NotFound):
        house.call(sessions.enter_tenant, issued.session, foreign.tenant_id, CALLER)


def test_a_changed_password_ends_all_other_sessions(house: House) -> None:
    ada = house.member()
    first, second = house.sign_in(), house.sign_in()
    with pytest.raises(SignInFailed):
        house.call(passwords.change_password, ada, OTHER, "another long password", CALLER)
    with pytest.raises(Invalid):
        house.call(passwords.change_password, ada, PASSWORD, "short", CALLER)
    house.at(first)
    issued = house.call(passwords.change_password, ada, PASSWORD, OTHER, CALLER)
    for ended in (first, second):
        with pytest.raises(Unauthenticated):
            house.at(ended)
    house.at(issued)
    house.sign_in(OTHER)
    assert house.told("PASSWORD_CHANGED") == ["PASSWORD_CHANGED"]


def test_a_forgotten_password_is_set_by_the_link_once_and_in_time(house: House) -> None:
    ada = house.member(password=None)
    ask = {"max_attempts": 3}
    house.call(passwords.ask_for_reset, "nobody@example.org", CALLER, **ask)
    house.send()
    assert house.outbox.sent == []
    house.call(passwords.ask_for_reset, "ADA@example.org", CALLER, **ask)
    house.send()
    assert house.outbox.sent[0].to == ADA
    token = house.outbox.token
    assert house.call(passwords.whose_link, token) == ada
    house.at(house.call(passwords.reset_password, token, PASSWORD, CALLER))
    house.sign_in()
    with pytest.raises(LinkInvalid):
        house.call(passwords.reset_password, token, OTHER, CALLER)
    late = house.call(passwords.reset_link, ADA, CALLER)
    house.clock.advance(timedelta(hours=1))
    with pytest.raises(LinkInvalid):
        house.call(passwords.reset_password, late, OTHER, CALLER)


@pytest.mark.parametrize("token", ["", "x", "ünïcode", "a" * 400, "AAAA.BBBB"])
def test_what_is_no_link_of_ours_is_refused(house: House, token: str) -> None:
    for read in (passwords.whose_link, members.read_invitation):
        with pytest.raises(LinkInvalid):
            house.call(read, token)


def test_a_link_is_good_for_its_purpose_alone(house: House) -> None:
    ada, later = house.member(), house.clock.now() + timedelta(hours=1)
    says = {"user_id": str(ada.id), "present": "", "tenant_id": str(ada.id), "invitation_id": str(ada.id)}
    with pytest.raises(LinkInvalid):
        house.call(passwords.whose_link, write_link("invitation", says, later, house.secrets))
    with pytest.raises(LinkInvalid):
        house.call(members.read_invitation, write_link("password", says, later, house.secrets))


def test_a_password_opens_nothing_that_a_provider_granted(house: House) -> None:
    ada, granted = house.member(), house.storage.tenant("Quay Books")
    with house.storage.writing(granted) as tx:
        by_groups = Membership(tenant_id=granted.tenant_id, user_id=ada.id, role=Role.OWNER, granted_by="https://id")
        tx.members.add(ada, by_groups)
    issued = house.sign_in()
    with pytest.raises(NotFound):
        house.call(sessions.enter_tenant, issued.session, granted.tenant_id, CALLER)
    found = sessions.open_session(
        issued.secret, CALLER, idle_seconds=3600, people=house.storage.people, clock=house.clock
    )
    assert [one.tenant_id for one in found[3]] == [house.tenant.tenant_id]


def test_whom_a_provider_brought_in_a_mailbox_does_not_keep_in(house: House) -> None:
    ada = house.member(password=None)
    house.call(passwords.ask_for_reset, ADA, CALLER, max_attempts=3, later=at_once)
    house.send()
    assert len(house.outbox.sent) == 1, "whoever was entered by the operator sets a first password"
    house.storage.people.add_identity("https://id", "sub-1", ada.id, house.clock.now())
    house.call(passwords.ask_for_reset, ADA, CALLER, max_attempts=3, later=at_once)
    house.send()
    assert len(house.outbox.sent) == 1


def test_a_browser_that_begins_another_session_leaves_the_former_one(house: House) -> None:
    house.member()
    former = house.sign_in()
    house.call(sessions.leave_session, former.secret)
    house.call(sessions.leave_session, "made up")
    with pytest.raises(Unauthenticated):
        house.at(former)


def test_a_lock_lasts_from_when_it_is_written(house: House) -> None:
    """What is left for later may come late, and must not lock a time that is over."""
    house.member()
    left: list[Callable[[], None]] = []
    for _ in range(5):
        with pytest.raises(SignInFailed):
            house.call(sessions.sign_in, ADA, OTHER, CALLER, later=left.append)
    house.clock.advance(timedelta(minutes=10))
    for work in left:
        work()
    with pytest.raises(SignInFailed):
        house.sign_in()


def test_an_event_filter_finds_what_somebody_did(house: House) -> None:
    ada = house.member()
    house.sign_in()
    found = house.storage.events(house.tenant)
    assert {event.subject_id for event in found} == {ada.id}
    with house.storage.reading(house.tenant) as tx:
        assert tx.events.list(EventFilter(subject_id=ada.id), after=0, limit=9) == found
