"""Signing in, sessions, passwords and invitations, on storage in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from inspect import signature
from typing import Any

import pytest

from adapters.memory.clock import CountingIds, FixedClock
from adapters.memory.people import MemoryPeople
from adapters.memory.privacy import MemoryPrivacy
from adapters.memory.state import MemoryStore
from adapters.memory.system import MemorySystem
from adapters.memory.unit_of_work import MemoryUnitOfWork
from adapters.secrets.box import AesSecretBox
from adapters.secrets.one_time_codes import PyotpCodes
from core.domain.events import EventFilter
from core.domain.people import hash_session_secret
from core.domain.permissions import ROLE_PERMISSIONS, Permission, Role
from core.domain.tenants import Actor, Membership, User
from core.errors import Conflict, Forbidden, Invalid, LinkInvalid, NotFound, SignInFailed, Unauthenticated
from core.usecases import mail, members, passwords, sessions
from core.usecases.shared.links import write_link
from core.usecases.shared.signing_in import Caller, IssuedSession, at_once
from ports.mail import Mail
from tests.contract.storage import Storage

CALLER = Caller(address="192.0.2.7", user_agent="A browser", request_id="req-1")
ADA, BEN = "ada@example.org", "ben@example.org"
PASSWORD, OTHER = "correct horse battery", "staple correct horse"


class PlainHasher:
    """As fast as a test wants it. Counts what was verified, since a guess must cost the same for everybody."""

    def __init__(self) -> None:
        self.verified = 0
        self.form = "1"

    def hash(self, password: str) -> str:
        return f"{self.form}:{password}"

    def verify(self, password_hash: str | None, password: str) -> bool:
        self.verified += 1
        return password_hash is not None and password_hash.partition(":")[2] == password

    def guessable(self, password: str, known: Sequence[str]) -> bool:
        return password in known

    def outdated(self, password_hash: str) -> bool:
        return not password_hash.startswith(self.form)


class Outbox:
    def __init__(self) -> None:
        self.sent: list[Mail] = []

    def send(self, mail: Mail) -> None:
        self.sent.append(mail)

    @property
    def token(self) -> str:
        """Of the last link that was sent."""
        return next(line.rpartition("/")[2] for line in self.sent[-1].text.splitlines() if line.startswith("https://"))


@dataclass(kw_only=True)
class House:
    """The use cases over one storage."""

    clock: FixedClock = field(default_factory=FixedClock)
    hasher: PlainHasher = field(default_factory=PlainHasher)
    outbox: Outbox = field(default_factory=Outbox)
    secrets: AesSecretBox = field(default_factory=lambda: AesSecretBox("k" * 40))

    def __post_init__(self) -> None:
        store = MemoryStore(self.clock, CountingIds())
        self.storage = Storage(
            uow=MemoryUnitOfWork(store),
            system=MemorySystem(store),
            people=MemoryPeople(store),
            privacy=MemoryPrivacy(store),
            now=self.clock.now,
        )
        self.tenant = self.storage.tenant("Harbour Books")

    @property
    def ports(self) -> dict[str, Any]:
        return {
            "uow": self.storage.uow,
            "people": self.storage.people,
            "hasher": self.hasher,
            "codes": PyotpCodes(),
            "secrets": self.secrets,
            "clock": self.clock,
            "ids": self.storage.ids,
            "lasts_seconds": 12 * 3600.0,
            "later": at_once,
        }

    def call(self, usecase: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """The use case with those of the ports that it takes."""
        taken = signature(usecase).parameters
        wanted = {name: port for name, port in self.ports.items() if name in taken}
        return usecase(*args, **wanted | named)

    def member(self, email: str = ADA, role: Role = Role.REVIEWER, password: str | None = PASSWORD) -> User:
        user = User(id=self.storage.ids.new(), email=email, name="", created_at=self.clock.now())
        with self.storage.writing(self.tenant) as tx:
            user = tx.members.add(user, Membership(tenant_id=self.tenant.tenant_id, user_id=user.id, role=role))
        if password is not None:
            self.storage.people.put_password(user.id, self.hasher.hash(password), self.clock.now())
        return user

    def acting(self, user: User, role: Role) -> Actor:
        return Actor(
            tenant_id=self.tenant.tenant_id,
            name=user.email,
            user_id=user.id,
            role=role,
            permissions=ROLE_PERMISSIONS[role],
        )

    def sign_in(self, password: str = PASSWORD, email: str = ADA) -> IssuedSession:
        issued: IssuedSession = self.call(sessions.sign_in, email, password, CALLER)
        return issued

    def at(self, issued: IssuedSession) -> Actor:
        """Who the session is."""
        found = sessions.open_session(
            issued.secret, CALLER, idle_seconds=3600, people=self.storage.people, clock=self.clock
        )
        return found[1]

    def send(self) -> None:
        for job in list(self._jobs()):
            claimed = self.storage.claim(self.tenant, job)
            self.call(mail.send_mail, claimed, public_url="https://sort.example", mailer=self.outbox)

    def _jobs(self) -> list[Any]:
        with self.storage.reading(self.tenant) as tx:
            return [job.id for job in tx.jobs.list(stream="mail:send", statuses=["queued"], after=None, limit=9)]

    def told(self, *types: str) -> list[str]:
        return [event.type for event in self.storage.events(self.tenant, *types)]


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
    assert issued.session.secret_hash == hash_session_secret(issued.secret)


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


def test_an_event_filter_finds_what_somebody_did(house: House) -> None:
    ada = house.member()
    house.sign_in()
    found = house.storage.events(house.tenant)
    assert {event.subject_id for event in found} == {ada.id}
    with house.storage.reading(house.tenant) as tx:
        assert tx.events.list(EventFilter(subject_id=ada.id), after=0, limit=9) == found
