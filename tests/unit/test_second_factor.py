"""A second factor beside the password: set up, asked for, lost and removed, on storage in memory."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime, timedelta

import pyotp
import pytest

from adapters.secrets.box import AesSecretBox
from adapters.secrets.one_time_codes import PyotpCodes
from core.domain.people import RECOVERY_CODES, hash_recovery_code, recovery_code
from core.domain.permissions import Role
from core.domain.tenants import Membership, User
from core.errors import CodeWrong, Conflict, Forbidden, LinkInvalid, NotFound, SignInFailed, Unauthenticated
from core.usecases import members, passwords, second_factor, secret_keys, sessions
from core.usecases.shared.signing_in import HalfWay, IssuedSession
from tests.unit.people_support import ADA, BEN, CALLER, OTHER, PASSWORD, House


class Phone:
    """An app that scanned the key."""

    def __init__(self, house: House, key: str) -> None:
        self._house = house
        self._totp = pyotp.TOTP(key)

    def code(self, seconds: int = 0) -> str:
        return self._totp.at(self._house.clock.now() + timedelta(seconds=seconds))


@pytest.fixture
def house() -> House:
    return House()


def enrol(house: House, user: User) -> tuple[Phone, list[str]]:
    session, begun = house.sign_in().session, house.call(second_factor.begin_second_factor, user)
    phone = Phone(house, begun.key)
    _, codes = house.call(second_factor.add_second_factor, session, user, begun.token, phone.code(), PASSWORD, CALLER)
    house.clock.advance(timedelta(seconds=60))
    return phone, list(codes)


def half_way(house: House, password: str = PASSWORD) -> str:
    found = house.call(sessions.sign_in, ADA, password, CALLER)
    assert isinstance(found, HalfWay)
    return found.token


def finish(house: House, token: str, code: str) -> IssuedSession:
    issued: IssuedSession = house.call(second_factor.prove_second_factor, token, code, CALLER)
    return issued


def test_a_password_is_half_of_the_way(house: House) -> None:
    phone, codes = enrol(house, house.member())
    assert len(set(codes)) == RECOVERY_CODES
    issued = finish(house, half_way(house), phone.code())
    assert house.at(issued).role is Role.REVIEWER
    assert house.told()[-3:] == ["SECOND_FACTOR_ADDED", "SIGNED_IN", "SIGNED_IN"]


def test_the_key_is_shown_as_apps_read_it(house: House) -> None:
    begun = house.call(second_factor.begin_second_factor, house.member())
    read = pyotp.parse_uri(begun.uri)
    assert isinstance(read, pyotp.TOTP)
    assert (read.secret, read.name, read.issuer, read.digits, read.interval) == (begun.key, ADA, "Sortation", 6, 30)
    assert len(base64.b32decode(begun.key)) == 20


def test_a_code_is_good_once_and_for_a_minute_or_so(house: House) -> None:
    phone, _ = enrol(house, house.member())
    code = phone.code()
    finish(house, half_way(house), code)
    with pytest.raises(CodeWrong):
        finish(house, half_way(house), code)
    early = phone.code(30)
    finish(house, half_way(house), early)
    with pytest.raises(CodeWrong):
        finish(house, half_way(house), phone.code())
    for away in (-90, 90):
        with pytest.raises(CodeWrong):
            finish(house, half_way(house), phone.code(away))


def test_a_recovery_code_stands_in_once_however_it_is_typed(house: House) -> None:
    _, codes = enrol(house, house.member())
    finish(house, half_way(house), f"  {codes[0].lower().replace('-', ' ')} ")
    with pytest.raises(CodeWrong):
        finish(house, half_way(house), codes[0])
    finish(house, half_way(house), codes[1])
    account = house.storage.people.account(ADA)
    assert account is not None
    assert len(account.recovery) == RECOVERY_CODES - 2
    assert house.told().count("RECOVERY_CODE_USED") == 2


def test_a_guesser_of_codes_is_locked_out_as_one_of_passwords_is(house: House) -> None:
    phone, codes = enrol(house, house.member())
    token = half_way(house)
    for _ in range(5):
        with pytest.raises(CodeWrong):
            finish(house, token, "000000")
    for code in (phone.code(), codes[0]):
        with pytest.raises(CodeWrong):
            finish(house, token, code)
    with pytest.raises(SignInFailed):
        half_way(house)
    house.clock.advance(timedelta(seconds=61))
    assert house.at(finish(house, token, phone.code()))
    assert house.told().count("SIGN_IN_FAILED") == 8


def test_who_tries_many_codes_at_once_has_no_more_tries(house: House) -> None:
    phone, _ = enrol(house, house.member())
    token, looked_at = half_way(house), []
    account = house.storage.people.account(ADA)

    class Watched(PyotpCodes):
        def step(self, key: bytes, code: str, now: datetime) -> int | None:
            looked_at.append(code)
            assert account is not None
            assert not house.storage.people.begin_attempt(account.user_id, account.failures, None), "others came late"
            return super().step(key, code, now)

    with pytest.raises(CodeWrong):
        house.call(second_factor.prove_second_factor, token, "000000", CALLER, codes=Watched())
    assert looked_at == ["000000"]
    assert finish(house, token, phone.code())
    account = house.storage.people.account(ADA)
    assert account is not None
    assert account.failures == 0


def test_knowing_the_password_forgives_no_wrong_codes(house: House) -> None:
    enrol(house, house.member())
    for _ in range(5):
        with pytest.raises(CodeWrong):
            finish(house, half_way(house), "000000")
    with pytest.raises(SignInFailed):
        half_way(house)


def test_half_of_the_way_ends_with_time_and_with_the_password(house: House) -> None:
    user = house.member()
    phone, _ = enrol(house, user)
    token = half_way(house)
    house.clock.advance(timedelta(seconds=301))
    with pytest.raises(LinkInvalid):
        finish(house, token, phone.code())
    token = half_way(house)
    house.storage.people.put_password(user.id, house.hasher.hash(OTHER), house.clock.now())
    with pytest.raises(LinkInvalid):
        finish(house, token, phone.code())
    assert finish(house, half_way(house, OTHER), phone.code())


def test_neither_a_link_for_the_password_nor_an_invitation_leads_around_it(house: House) -> None:
    phone, _ = enrol(house, house.member())
    token = house.call(passwords.reset_link, ADA, CALLER)
    found = house.call(passwords.reset_password, token, OTHER, CALLER)
    assert isinstance(found, HalfWay)
    finish(house, found.token, phone.code())
    elsewhere = replace(house.storage.tenant("Quay"), role=Role.OWNER)
    invitation = house.call(members.invite, elsewhere, ADA, Role.VIEWER, max_attempts=3, mailer=None)
    link = house.call(members.invitation_link, invitation)
    found = house.call(members.accept_invitation, link, OTHER, CALLER)
    assert isinstance(found, HalfWay)
    house.clock.advance(timedelta(seconds=60))
    issued = finish(house, found.token, phone.code())
    assert issued.session.tenant_id == elsewhere.tenant_id


def test_setting_the_password_anew_makes_up_for_no_wrong_codes(house: House) -> None:
    """Who reads the mail of somebody is whom the factor is against."""
    enrol(house, house.member())
    for _ in range(5):
        with pytest.raises(CodeWrong):
            finish(house, half_way(house), "000000")
    token = house.call(passwords.reset_link, ADA, CALLER)
    found = house.call(passwords.reset_password, token, OTHER, CALLER)
    assert isinstance(found, HalfWay)
    account = house.storage.people.account(ADA)
    assert account is not None
    assert (account.failures, account.locked(house.clock.now())) == (5, True)


def test_only_who_knows_the_password_and_has_the_key_adds_one(house: House) -> None:
    ada, ben = house.member(), house.member(BEN)
    session, begun = house.sign_in().session, house.call(second_factor.begin_second_factor, ada)
    code = Phone(house, begun.key).code()
    add = second_factor.add_second_factor
    with pytest.raises(SignInFailed):
        house.call(add, session, ada, begun.token, code, OTHER, CALLER)
    with pytest.raises(CodeWrong):
        house.call(add, session, ada, begun.token, "000000", PASSWORD, CALLER)
    with pytest.raises(LinkInvalid):
        house.call(add, session, ben, begun.token, code, PASSWORD, CALLER)
    house.call(add, session, ada, begun.token, code, PASSWORD, CALLER)
    with pytest.raises(Conflict):
        house.call(add, session, ada, begun.token, code, PASSWORD, CALLER)


def test_who_has_it_removes_it_and_the_operator_for_who_lost_it(house: House) -> None:
    user = house.member()
    phone, codes = enrol(house, user)
    session, remove = finish(house, half_way(house), codes[0]).session, second_factor.remove_second_factor
    with pytest.raises(CodeWrong):
        house.call(remove, session, user, "000000", CALLER)
    house.call(remove, session, user, phone.code(), CALLER)
    assert isinstance(house.sign_in(), IssuedSession)
    with pytest.raises(NotFound):
        house.call(remove, session, user, phone.code(), CALLER)
    _, codes = enrol(house, user)
    left_open = finish(house, half_way(house), codes[0])
    house.call(second_factor.drop_second_factor, ADA, CALLER)
    with pytest.raises(Unauthenticated):
        house.at(left_open)
    assert isinstance(house.sign_in(), IssuedSession)
    with pytest.raises(NotFound):
        house.call(second_factor.drop_second_factor, ADA, CALLER)
    assert house.told().count("SECOND_FACTOR_REMOVED") == 2


def test_a_factor_that_comes_or_goes_ends_all_other_sessions_and_the_present_one_goes_on(house: House) -> None:
    user = house.member()
    elsewhere = house.storage.tenant("Quay Books")
    with house.storage.writing(elsewhere) as tx:
        tx.members.add(user, Membership(tenant_id=elsewhere.tenant_id, user_id=user.id, role=Role.VIEWER))
    here, there = house.sign_in(), house.sign_in()
    house.call(sessions.enter_tenant, here.session, elsewhere.tenant_id, CALLER)
    present = house.storage.people.session(here.session.secret_hash)
    house.clock.advance(timedelta(minutes=30))
    begun = house.call(second_factor.begin_second_factor, user)
    phone, add = Phone(house, begun.key), second_factor.add_second_factor
    with pytest.raises(CodeWrong):
        house.call(add, present, user, begun.token, "000000", PASSWORD, CALLER)
    house.at(there)
    added, _ = house.call(add, present, user, begun.token, phone.code(), PASSWORD, CALLER)
    for ended in (here, there):
        with pytest.raises(Unauthenticated):
            house.at(ended)
    assert house.at(added).tenant_id == elsewhere.tenant_id
    assert added.session.expires_at == here.session.expires_at, "it lasts no longer than it was to"
    house.clock.advance(timedelta(seconds=60))
    with pytest.raises(CodeWrong):
        house.call(second_factor.remove_second_factor, added.session, user, "000000", CALLER)
    house.at(added)
    removed = house.call(second_factor.remove_second_factor, added.session, user, phone.code(), CALLER)
    with pytest.raises(Unauthenticated):
        house.at(added)
    assert house.at(removed).tenant_id == elsewhere.tenant_id
    assert [one.id for one in house.storage.people.sessions(user.id)] == [removed.session.id]


def test_who_was_removed_meanwhile_is_not_let_in(house: House) -> None:
    user = house.member()
    phone, _ = enrol(house, user)
    token = half_way(house)
    with house.storage.writing(house.tenant) as tx:
        tx.members.remove(user.id)
    with pytest.raises(Forbidden):
        finish(house, token, phone.code())


def test_keys_are_sealed_anew_with_the_installations_next_key(house: House) -> None:
    phone, _ = enrol(house, house.member())
    house.secrets = AesSecretBox("n" * 40, former=("k" * 40,))
    rotation = house.call(secret_keys.rotate_secrets, system=house.storage.system)
    assert (rotation.resealed, rotation.unreadable) == (1, ())
    house.secrets = AesSecretBox("n" * 40)
    assert finish(house, half_way(house), phone.code())


def test_recovery_codes_say_all_their_bits() -> None:
    code = recovery_code(bytes(range(15)))
    assert [len(group) for group in code.split("-")] == [4] * 6
    assert base64.b32decode(code.replace("-", "")) == bytes(range(15))
    assert hash_recovery_code(code) == hash_recovery_code(code.replace("-", "").lower())
    assert hash_recovery_code(code) != hash_recovery_code(recovery_code(bytes(15)))


def test_what_is_no_code_is_none(house: House) -> None:
    codes, key = PyotpCodes(), bytes(20)
    for text in ("", "12345", "1234567", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666", "0" * 10_000):
        assert codes.step(key, text, house.clock.now()) is None
