"""People before their tenant is known: accounts, identities, sessions; and members and invitations of a tenant."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from core.domain.people import DEVICE_TIME, InvitationStatus, KnownDevice, WaysIn
from core.domain.permissions import Role
from core.domain.tenants import Actor, Membership, User
from core.errors import Conflict, NotFound
from tests.contract.storage import START, Storage, a_device, a_session, an_invitation

ADA, BEN = "ada@example.org", "ben@example.org"


def join(storage: Storage, actor: Actor, email: str = ADA, role: Role = Role.REVIEWER) -> UUID:
    user = User(id=storage.ids.new(), email=email, name=email.partition("@")[0].title(), created_at=START)
    with storage.writing(actor) as tx:
        return tx.members.add(user, Membership(tenant_id=actor.tenant_id, user_id=user.id, role=role)).id


def test_people_are_found_by_id_and_by_address_with_the_tenants_that_they_belong_to(storage: Storage) -> None:
    quay, harbour = storage.tenant("Quay"), storage.tenant("Harbour")
    ada = join(storage, quay, role=Role.OWNER)
    assert join(storage, harbour) == ada
    assert storage.people.user(ada).email == ADA
    assert storage.people.user_of_email(ADA) == storage.people.user(ada)
    assert storage.people.user_of_email(BEN) is None
    with pytest.raises(NotFound):
        storage.people.user(storage.ids.new())
    found = [(one.tenant_id, one.tenant_name, one.role) for one in storage.people.belongings(ada)]
    assert found == [(harbour.tenant_id, "Harbour", Role.REVIEWER), (quay.tenant_id, "Quay", Role.OWNER)]
    assert storage.people.belongings(storage.ids.new()) == []


def test_how_members_come_in_is_told_of_the_tenant_alone(storage: Storage) -> None:
    quay, harbour = storage.tenant("Quay"), storage.tenant("Harbour")
    ada, ben = join(storage, quay), join(storage, quay, BEN)
    join(storage, harbour)
    assert storage.people.ways_in(quay.tenant_id) == {ada: WaysIn(), ben: WaysIn()}
    storage.people.put_password(ada, "hash", storage.now())
    storage.people.put_second_factor(ada, b"1 sealed", [b"one"], storage.now())
    for issuer, subject in (("https://two.example", "a"), ("https://one.example", "a"), ("https://one.example", "b")):
        storage.people.add_identity(issuer, subject, ada, START)
    seen = [(quay, 0), (quay, 2), (quay, 1), (harbour, 3)]
    for number, (actor, hours) in enumerate(seen):
        session = a_session(storage.ids.new(), ada, actor, START, b"hash %d" % number)
        storage.people.add_session(replace(session, seen_at=START + timedelta(hours=hours)))
    storage.people.end_sessions(ada, storage.now())
    found = storage.people.ways_in(quay.tenant_id)
    issuers = ("https://one.example", "https://two.example")
    seen_at = START + timedelta(hours=2)
    assert found[ada] == WaysIn(password=True, second_factor=True, issuers=issuers, seen_at=seen_at)
    assert found.keys() == {ada, ben}
    assert storage.people.ways_in(harbour.tenant_id)[ada].seen_at == START + timedelta(hours=3)
    assert storage.people.ways_in(storage.ids.new()) == {}


def test_a_password_is_kept_with_what_went_wrong_since(storage: Storage) -> None:
    ada = join(storage, storage.tenant())
    assert storage.people.account(ADA) is None
    storage.people.put_password(ada, "hash 1", storage.now())
    account = storage.people.account(ADA)
    assert account is not None
    assert (account.user_id, account.email, account.password_hash) == (ada, ADA, "hash 1")
    assert (account.failures, account.locked_until) == (0, None)
    assert [storage.people.count_failure(ada) for _ in range(3)] == [1, 2, 3]
    storage.people.lock(ada, START)
    account = storage.people.account(ADA)
    assert account is not None
    assert (account.failures, account.locked_until) == (3, START)
    storage.people.refresh_password(ada, "hash 2")
    account = storage.people.account(ADA)
    assert account is not None
    assert (account.password_hash, account.failures) == ("hash 2", 3)
    storage.people.forget_failures(ada)
    account = storage.people.account(ADA)
    assert account is not None
    assert (account.failures, account.locked_until) == (0, None)
    storage.people.count_failure(ada)
    storage.people.put_password(ada, "hash 3", storage.now())
    assert storage.people.account(ADA) == replace(account, password_hash="hash 3")
    assert storage.people.count_failure(storage.ids.new()) == 0


def test_no_wrong_password_is_lost_however_many_come_at_once(storage: Storage) -> None:
    ada = join(storage, storage.tenant())
    storage.people.put_password(ada, "hash", storage.now())
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: storage.people.count_failure(ada), range(20)))
    assert sorted(counts) == list(range(1, 21))


def test_a_second_factor_is_kept_with_the_password_and_its_codes_are_good_once(storage: Storage) -> None:
    actor = storage.tenant()
    ada, ben = join(storage, actor), join(storage, actor, BEN)
    for user in (ada, ben):
        storage.people.put_password(user, "hash", storage.now())
    assert not storage.people.remove_second_factor(ada, storage.now())
    storage.people.put_second_factor(ada, b"1 sealed", [b"one", b"two"], storage.now())
    storage.people.count_failure(ada)
    storage.people.lock(ada, START)
    storage.people.put_password(ada, "hash 2", storage.now())
    account = storage.people.account(ADA)
    assert account is not None
    assert (account.failures, account.locked_until) == (1, START), "those of codes are not forgiven"
    assert (account.second_factor, account.recovery) == (b"1 sealed", (b"one", b"two"))
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: storage.people.use_step(ada, 7), range(4))) == [False] * 3 + [True]
        assert sorted(pool.map(lambda _: storage.people.use_recovery(ada, b"two"), range(4))) == [False] * 3 + [True]
    assert [storage.people.use_step(ada, step) for step in (6, 7, 8)] == [False, False, True]
    assert not storage.people.use_recovery(ben, b"one")
    account = storage.people.account(ADA)
    assert account is not None
    assert account.recovery == (b"one",)
    assert storage.people.remove_second_factor(ada, storage.now())
    account = storage.people.account(ADA)
    assert account is not None
    assert (account.second_factor, account.recovery) == (None, ())


def test_second_factors_that_a_former_key_sealed_are_found_and_sealed_anew(storage: Storage) -> None:
    actor = storage.tenant()
    people = [join(storage, actor, f"p{number}@example.org") for number in range(4)]
    for number, user in enumerate(people[:3]):
        storage.people.put_password(user, "hash", storage.now())
        storage.people.put_second_factor(user, b"1 sealed" if number else b"2 sealed", [], START)
    found = storage.people.factors_sealed_otherwise(b"2", after=None, limit=9)
    assert found == [(people[1], b"1 sealed"), (people[2], b"1 sealed")]
    assert storage.people.factors_sealed_otherwise(b"2", after=None, limit=1) == found[:1]
    assert storage.people.factors_sealed_otherwise(b"2", after=people[1], limit=9) == found[1:]
    assert not storage.people.reseal_factor(people[1], b"another", b"2 lost")
    assert storage.people.reseal_factor(people[1], b"1 sealed", b"2 fresh")
    assert storage.people.factors_sealed_otherwise(b"2", after=None, limit=9) == found[1:]


def test_of_attempts_at_once_one_is_looked_at(storage: Storage) -> None:
    ada = join(storage, storage.tenant())
    storage.people.put_password(ada, "hash", storage.now())
    with ThreadPoolExecutor(4) as pool:
        begun = list(pool.map(lambda _: storage.people.begin_attempt(ada, 0, START), range(8)))
    assert sorted(begun) == [False] * 7 + [True]
    account = storage.people.account(ADA)
    assert account is not None
    assert (account.failures, account.locked_until) == (1, START)
    assert storage.people.begin_attempt(ada, 1, None)
    assert not storage.people.begin_attempt(storage.ids.new(), 0, None)


def test_an_identity_is_one_persons(storage: Storage) -> None:
    actor = storage.tenant()
    ada, ben = join(storage, actor), join(storage, actor, BEN)
    assert not storage.people.has_identity(ada)
    storage.people.add_identity("https://id.example", "sub-1", ada, START)
    assert storage.people.has_identity(ada)
    assert not storage.people.has_identity(ben)
    storage.people.add_identity("https://id.example", "sub-1", ada, START)
    storage.people.add_identity("https://other.example", "sub-1", ben, START)
    with pytest.raises(Conflict):
        storage.people.add_identity("https://id.example", "sub-1", ben, START)
    assert storage.people.user_of_identity("https://id.example", "sub-1") == ada
    assert storage.people.user_of_identity("https://other.example", "sub-1") == ben
    assert storage.people.user_of_identity("https://id.example", "sub-2") is None


def test_identities_of_an_issuer_go_with_the_sessions_that_began_by_it(storage: Storage) -> None:
    actor, now = storage.tenant(), storage.now()
    ada, ben = join(storage, actor), join(storage, actor, BEN)
    acme, other = "https://id.example", "https://other.example"
    for issuer, subject, user in ((acme, "1", ada), (acme, "2", ada), (other, "1", ada), (acme, "3", ben)):
        storage.people.add_identity(issuer, subject, user, now)
    begun = {
        name: replace(a_session(storage.ids.new(), user, actor, now, name.encode()), via=via)
        for name, user, via in (("acme", ada, acme), ("other", ada, other), ("local", ada, "local"), ("ben", ben, acme))
    }
    for session in begun.values():
        storage.people.add_session(session)
    assert storage.people.linked_issuers(ada) == [acme, other]
    assert not storage.people.remove_identities(ben, other, now)
    assert storage.people.remove_identities(ada, acme, now)
    assert storage.people.linked_issuers(ada) == [other]
    assert storage.people.sessions(ada) == [begun["local"], begun["other"]]
    assert storage.people.sessions(ben) == [begun["ben"]]
    assert [storage.people.user_of_identity(acme, subject) for subject in "123"] == [None, None, ben]
    assert not storage.people.remove_identities(ada, acme, now)
    assert storage.people.remove_identities(ada, other, now)
    assert not storage.people.has_identity(ada)
    assert storage.people.linked_issuers(ada) == []
    for number in range(2):  # once more, and by somebody else
        storage.people.add_identity(acme, "1", ben if number else ada, now)
        assert storage.people.remove_identities(ben if number else ada, acme, now)


def test_a_session_is_found_by_its_secret_and_ends_once(storage: Storage) -> None:
    actor = storage.tenant()
    ada, ben = join(storage, actor), join(storage, actor, BEN)
    now = storage.now()
    first, second, bens = (
        a_session(storage.ids.new(), user, actor, now, secret)
        for user, secret in ((ada, b"one"), (ada, b"two"), (ben, b"three"))
    )
    for session in (first, second, bens):
        storage.people.add_session(session)
    assert storage.people.session(b"one") == first
    assert storage.people.session(b"four") is None
    assert storage.people.sessions(ada) == [second, first]
    assert storage.people.end_sessions(ada, now, only=bens.id) == 0
    assert storage.people.end_sessions(ada, now, only=first.id) == 1
    assert storage.people.sessions(ada) == [second]
    assert storage.people.session(b"one") == replace(first, ended_at=now)
    assert storage.people.end_sessions(ada, now + timedelta(seconds=1)) == 1
    assert storage.people.session(b"one") == replace(first, ended_at=now)
    assert storage.people.sessions(ben) == [bens]


def test_those_sessions_end_that_are_in_a_tenant(storage: Storage) -> None:
    here, there, now = storage.tenant(), storage.tenant(), storage.now()
    ada, ben = join(storage, here), join(storage, here, BEN)
    moved, stays, bens = (
        a_session(storage.ids.new(), user, actor, now, secret)
        for user, actor, secret in ((ada, there, b"one"), (ada, there, b"two"), (ben, here, b"three"))
    )
    for session in (moved, stays, bens):
        storage.people.add_session(session)
    assert storage.people.end_sessions(ada, now, tenant_id=here.tenant_id) == 0
    storage.people.enter_tenant(moved.id, here.tenant_id)
    assert storage.people.end_sessions(ada, now, tenant_id=here.tenant_id, only=stays.id) == 0
    assert storage.people.end_sessions(ada, now, tenant_id=here.tenant_id) == 1
    assert storage.people.sessions(ada) == [stays]
    assert storage.people.sessions(ben) == [bens]


def test_a_changed_password_ends_every_session_of_that_person(storage: Storage) -> None:
    actor = storage.tenant()
    ada, ben = join(storage, actor), join(storage, actor, BEN)
    for user, secret in ((ada, b"one"), (ben, b"two")):
        storage.people.add_session(a_session(storage.ids.new(), user, actor, storage.now(), secret))
    storage.people.put_password(ada, "hash", storage.now())
    assert storage.people.sessions(ada) == []
    assert len(storage.people.sessions(ben)) == 1


def test_a_second_factor_that_comes_or_goes_ends_every_session_of_that_person(storage: Storage) -> None:
    actor, now = storage.tenant(), storage.now()
    ada, ben = join(storage, actor), join(storage, actor, BEN)
    for user in (ada, ben):
        storage.people.put_password(user, "hash", now)
    kept, secrets = a_session(storage.ids.new(), ben, actor, now, b"kept"), iter((b"one", b"two", b"three"))
    storage.people.add_session(kept)

    def begin() -> None:
        storage.people.add_session(a_session(storage.ids.new(), ada, actor, now, next(secrets)))

    begin()
    storage.people.put_second_factor(ada, b"1 sealed", [], now)
    assert storage.people.sessions(ada) == []
    begin()
    assert storage.people.remove_second_factor(ada, now)
    assert storage.people.sessions(ada) == []
    begin()
    assert not storage.people.remove_second_factor(ada, now)
    assert len(storage.people.sessions(ada)) == 1, "where there was none, nothing happens"
    assert storage.people.sessions(ben) == [kept]


def test_a_session_is_seen_once_a_minute_and_goes_to_other_tenants(storage: Storage) -> None:
    actor, other = storage.tenant(), storage.tenant()
    now = storage.now()
    session = a_session(storage.ids.new(), join(storage, actor), actor, now)
    storage.people.add_session(session)
    storage.people.touch_session(session.id, now + timedelta(seconds=30))
    assert storage.people.session(session.secret_hash) == session
    storage.people.touch_session(session.id, now + timedelta(seconds=90))
    storage.people.enter_tenant(session.id, other.tenant_id)
    seen = replace(session, seen_at=now + timedelta(seconds=90), tenant_id=other.tenant_id)
    assert storage.people.session(session.secret_hash) == seen


def test_expired_sessions_are_not_listed_and_swept(storage: Storage) -> None:
    actor = storage.tenant()
    ada = join(storage, actor)
    old = a_session(storage.ids.new(), ada, actor, storage.now() - timedelta(days=40), b"old")
    new = a_session(storage.ids.new(), ada, actor, storage.now(), b"new")
    for session in (old, new):
        storage.people.add_session(session)
    assert storage.people.sessions(ada) == [new]
    month = 30 * 86_400.0
    assert storage.system.sweep(payload_seconds=month, job_seconds=month, key_seconds=month) == 1
    assert storage.people.session(b"old") is None
    assert storage.people.session(b"new") == new


def known(
    storage: Storage, user_id: UUID, secret_hash: bytes, now: datetime | None = None, most: int = 9
) -> KnownDevice:
    """A browser that the person is known by from now on."""
    device = a_device(storage.ids.new(), user_id, now or storage.now(), secret_hash)
    storage.people.add_device(device, most=most)
    return device


def with_password(storage: Storage, actor: Actor, email: str = ADA) -> UUID:
    user_id = join(storage, actor, email)
    storage.people.put_password(user_id, "hash", storage.now())
    return user_id


def test_a_browser_is_known_by_its_secret_until_it_has_another(storage: Storage) -> None:
    actor = storage.tenant()
    ada, ben = with_password(storage, actor), with_password(storage, actor, BEN)
    now = storage.now()
    device, bens = known(storage, ada, b"one", now), known(storage, ben, b"two", now)
    assert storage.people.device(b"one") == device
    assert storage.people.device(b"three") is None
    storage.people.count_failure(ada, device=device.id)
    storage.people.lock(ada, now, device=device.id)
    later = now + timedelta(days=1)
    assert not storage.people.renew_device(ben, b"one", b"stolen", later), "it is another's"
    assert not storage.people.renew_device(ada, b"three", b"fresh", later)
    assert storage.people.renew_device(ada, b"one", b"fresh", later)
    assert storage.people.device(b"one") is None
    assert storage.people.device(b"fresh") == replace(device, secret_hash=b"fresh", seen_at=later)
    assert storage.people.devices(ben) == [bens]


def test_what_goes_wrong_at_a_known_browser_is_counted_there(storage: Storage) -> None:
    actor = storage.tenant()
    ada, ben = with_password(storage, actor), with_password(storage, actor, BEN)
    first, second = known(storage, ada, b"one"), known(storage, ada, b"two")
    before = storage.people.account(ADA)
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: storage.people.count_failure(ada, device=first.id), range(8)))
        assert sorted(counts) == list(range(1, 9))
        begun = pool.map(lambda _: storage.people.begin_attempt(ada, 8, START, device=first.id), range(8))
        assert sorted(begun) == [False] * 7 + [True]
    assert storage.people.device(b"one") == replace(first, failures=9, locked_until=START)
    storage.people.lock(ada, None, device=first.id)
    assert storage.people.device(b"one") == replace(first, failures=9)
    for strange in (second.id, storage.ids.new()):  # of somebody else's, and of nobody's
        assert storage.people.count_failure(ben, device=strange) == 0
        assert not storage.people.begin_attempt(ben, 0, None, device=strange)
        storage.people.lock(ben, START, device=strange)
        storage.people.forget_failures(ben, device=strange)
    storage.people.count_failure(ada)
    storage.people.forget_failures(ada, device=first.id)
    assert storage.people.devices(ada) == [second, first]
    assert before is not None
    assert storage.people.account(ADA) == replace(before, failures=1), "the account has its own"


def test_of_too_many_browsers_the_one_that_was_seen_longest_ago_is_forgotten(storage: Storage) -> None:
    actor = storage.tenant()
    ada, ben = with_password(storage, actor), with_password(storage, actor, BEN)
    now = storage.now()
    known(storage, ben, b"ben", now - timedelta(days=9))
    for day, secret in ((3, b"one"), (2, b"two"), (1, b"three")):
        known(storage, ada, secret, now - timedelta(days=day), most=3)
    assert storage.people.renew_device(ada, b"one", b"one again", now)
    known(storage, ada, b"four", now, most=3)
    assert {one.secret_hash for one in storage.people.devices(ada)} == {b"one again", b"three", b"four"}
    assert len(storage.people.devices(ben)) == 1


@pytest.mark.parametrize(
    "change",
    [
        *("password", "second factor", "none", "all sessions"),
        *("one session", "a tenant's sessions", "a provider", "its hash"),
    ],
)
def test_browsers_are_forgotten_with_what_made_them_known(storage: Storage, change: str) -> None:
    actor = storage.tenant()
    ada, ben = with_password(storage, actor), with_password(storage, actor, BEN)
    now, people = storage.now(), storage.people
    if change == "none":
        people.put_second_factor(ada, b"sealed", [], now)
    session = a_session(storage.ids.new(), ada, actor, now)
    people.add_session(session)
    hers, his = known(storage, ada, b"hers"), known(storage, ben, b"his")
    changes: dict[str, Callable[[], object]] = {
        "password": lambda: people.put_password(ada, "hash 2", now),
        "second factor": lambda: people.put_second_factor(ada, b"sealed", [], now),
        "none": lambda: people.remove_second_factor(ada, now),
        "all sessions": lambda: people.end_sessions(ada, now),
        "one session": lambda: people.end_sessions(ada, now, only=session.id),
        "a tenant's sessions": lambda: people.end_sessions(ada, now, tenant_id=actor.tenant_id),
        "a provider": lambda: people.remove_identities(ada, "https://id.example", now),
        "its hash": lambda: people.refresh_password(ada, "hash 2"),
    }
    people.add_identity("https://id.example", "sub-1", ada, now)
    people.remove_second_factor(ben, now)  # he has none: nothing changes
    changes[change]()
    assert people.devices(ada) == ([] if change in ("password", "second factor", "none", "all sessions") else [hers])
    assert people.devices(ben) == [his]


def test_browsers_that_were_not_seen_for_a_year_are_swept_and_those_of_the_erased_gone(storage: Storage) -> None:
    actor = storage.tenant()
    ada, ben = with_password(storage, actor), with_password(storage, actor, BEN)
    known(storage, ada, b"old", storage.now() - DEVICE_TIME - timedelta(hours=1))
    kept = known(storage, ada, b"kept", storage.now() - DEVICE_TIME + timedelta(hours=1))
    known(storage, ben, b"his")
    month = 30 * 86_400.0
    assert storage.system.sweep(payload_seconds=month, job_seconds=month, key_seconds=month) == 1
    assert storage.people.devices(ada) == [kept]
    storage.privacy.erase_person(ben)
    assert storage.people.devices(ben) == []
    assert storage.people.devices(ada) == [kept]


def test_members_are_changed_and_removed(storage: Storage) -> None:
    actor = storage.tenant()
    ada, ben = join(storage, actor, role=Role.OWNER), join(storage, actor, BEN)
    with storage.writing(actor) as tx:
        assert tx.members.owners() == 1
        tx.members.set_role(ben, Role.OWNER)
        assert tx.members.owners() == 2
        assert tx.members.get(ben, lock=True)[1].role is Role.OWNER
        tx.members.remove(ada)
    with storage.reading(actor) as tx:
        assert [user.id for user, _ in tx.members.list()] == [ben]
        for change in (lambda: tx.members.set_role(ada, Role.ADMIN), lambda: tx.members.remove(ada)):
            with pytest.raises(NotFound):
                change()
        with pytest.raises(NotFound):
            tx.members.get(ada)
    assert storage.people.belongings(ada) == []


def test_an_address_has_one_open_invitation_and_it_closes_once(storage: Storage) -> None:
    actor = storage.tenant()
    first, second = (an_invitation(storage.ids.new(), actor) for _ in range(2))
    with storage.writing(actor) as tx:
        tx.invitations.add(first)
    with storage.reading(actor) as tx, pytest.raises(Conflict):
        tx.invitations.add(second)
    with storage.writing(actor) as tx:
        assert tx.invitations.list() == [first]
        assert tx.invitations.get(first.id, lock=True) == first
        tx.invitations.close(first.id, InvitationStatus.REVOKED)
        tx.invitations.add(second)
    with storage.reading(actor) as tx:
        assert tx.invitations.list() == [second]
        assert tx.invitations.get(first.id) == replace(first, status=InvitationStatus.REVOKED)
        with pytest.raises(Conflict):
            tx.invitations.close(first.id, InvitationStatus.ACCEPTED)
        with pytest.raises(NotFound):
            tx.invitations.get(storage.ids.new())
