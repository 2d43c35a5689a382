"""Browsers that people are known by: what strangers get wrong does not hold these up, and earns nobody more tries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.people import FREE_FAILURES, MOST_DEVICES, KnownDevice, LocalAccount, hash_browser_secret
from core.domain.permissions import Role
from core.domain.tenants import User
from core.errors import CodeWrong, SignInFailed
from core.usecases import identity, members, passwords, second_factor, sessions
from core.usecases.shared.signing_in import HalfWay, IssuedSession
from tests.unit.people_support import ADA, BEN, CALLER, OTHER, PASSWORD, House


@dataclass
class Browser:
    """Keeps what it is known by, and sends it along."""

    house: House
    device: str | None = None

    def call(self, usecase: Any, *args: Any, **named: Any) -> Any:
        found = self.house.call(usecase, *args, replace(CALLER, device=self.device), **named)
        issued = found[0] if isinstance(found, tuple) else found
        if isinstance(issued, IssuedSession) and issued.device is not None:
            self.device = issued.device
        return found

    def sign_in(self, password: str = PASSWORD, email: str = ADA) -> Any:
        return self.call(sessions.sign_in, email, password)

    def refused(self, password: str = OTHER, email: str = ADA, times: int = 1) -> None:
        for _ in range(times):
            with pytest.raises(SignInFailed):
                self.sign_in(password, email)

    def finish(self, token: str, code: str) -> Any:
        return self.call(second_factor.prove_second_factor, token, code)


@pytest.fixture
def house() -> House:
    return House()


def account(house: House) -> LocalAccount:
    found = house.storage.people.account(ADA)
    assert found is not None
    return found


def devices(house: House, user: User) -> list[KnownDevice]:
    return list(house.storage.people.devices(user.id))


def enrol(browser: Browser, user: User) -> tuple[pyotp.TOTP, list[str]]:
    house, session = browser.house, browser.sign_in().session
    begun = house.call(second_factor.begin_second_factor, user)
    phone = pyotp.TOTP(begun.key)
    code = phone.at(house.clock.now())
    _, codes = browser.call(second_factor.add_second_factor, session, user, begun.token, code, PASSWORD)
    house.clock.advance(timedelta(seconds=60))
    return phone, list(codes)


def test_who_was_here_before_is_let_in_while_strangers_keep_the_account_locked(house: House) -> None:
    house.member()
    known, stranger = Browser(house), Browser(house)
    known.sign_in()
    for _ in range(30):
        stranger.refused()
        house.clock.advance(timedelta(hours=1))
    stranger.refused()
    assert account(house).locked(house.clock.now())
    assert house.at(known.sign_in()).role is Role.REVIEWER
    Browser(house).refused(PASSWORD)
    assert account(house).locked(house.clock.now()), "whom it lets in there says nothing of others"
    known.refused(times=FREE_FAILURES)
    known.refused(PASSWORD)


def test_what_goes_wrong_there_locks_the_browser_and_then_it_is_as_any_other(house: House) -> None:
    user = house.member()
    known = Browser(house)
    known.sign_in()
    known.refused(times=FREE_FAILURES)
    assert account(house).failures == 0
    [device] = devices(house, user)
    assert (device.failures, device.locked(house.clock.now())) == (FREE_FAILURES, True)
    told = house.storage.events(house.tenant, "SIGN_IN_FAILED", "ACCOUNT_LOCKED")
    assert {event.payload.get("known_device") for event in told} == {True}
    assert [event.payload["failures"] for event in told if event.type == "ACCOUNT_LOCKED"] == [FREE_FAILURES]
    known.refused(times=FREE_FAILURES)
    assert (account(house).failures, account(house).locked(house.clock.now())) == (FREE_FAILURES, True)
    known.refused(PASSWORD)
    house.clock.advance(timedelta(seconds=61))
    known.refused()
    assert devices(house, user)[0].failures == FREE_FAILURES + 1, "it is locked twice as long the next time"
    assert account(house).failures == FREE_FAILURES
    known.sign_in()
    assert [device.failures for device in devices(house, user)] == [0]


def test_a_browser_that_is_locked_lets_in_by_the_account(house: House) -> None:
    house.member()
    known = Browser(house)
    known.sign_in()
    known.refused(times=FREE_FAILURES + 2)
    assert account(house).failures == 2
    known.sign_in()
    assert account(house).failures == 0
    known.refused(times=FREE_FAILURES - 1)
    assert account(house).failures == 0


def test_each_sign_in_gives_the_browser_another_secret(house: House) -> None:
    user = house.member()
    known = Browser(house)
    issued = known.sign_in()
    first, [device] = known.device, devices(house, user)
    assert first is not None
    assert (first not in repr(issued), len(first)) == (True, 64)
    assert device.secret_hash == hash_browser_secret(first)
    house.clock.advance(timedelta(days=30))
    known.sign_in()
    assert known.device != first
    [renewed] = devices(house, user)
    assert renewed == replace(
        device, secret_hash=hash_browser_secret(known.device or ""), seen_at=device.seen_at + timedelta(days=30)
    )
    Browser(house).refused(times=FREE_FAILURES)
    Browser(house, first).refused(PASSWORD)
    known.sign_in()


def test_a_browser_is_known_to_whom_it_knows_alone(house: House) -> None:
    ada, ben = house.member(), house.member(BEN)
    hers, his = Browser(house), Browser(house)
    hers.sign_in()
    his.sign_in(email=BEN)
    his.refused(times=FREE_FAILURES)
    assert account(house).failures == FREE_FAILURES, "his own says nothing of her"
    assert [device.failures for device in devices(house, ben)] == [0]
    his.refused(PASSWORD)
    hers.refused(email="nobody@example.org", times=9)
    assert [device.failures for device in devices(house, ada)] == [0]
    for made_up in ("", "x", "0" * 64, "\ufffd", hash_browser_secret(hers.device or "").hex()):
        Browser(house, made_up).refused(PASSWORD)


@pytest.mark.parametrize("email", [ADA, BEN, "nobody@example.org"])
def test_a_browser_is_looked_for_whoever_they_say_they_are(house: House, email: str) -> None:
    house.member()
    house.member(BEN, password=None)
    asked = list[bytes]()
    find = house.storage.people.device

    def watched(secret_hash: bytes) -> KnownDevice | None:
        asked.append(secret_hash)
        return find(secret_hash)

    house.storage.people.device = watched  # type: ignore[method-assign]
    Browser(house, "a secret").refused(email=email)
    assert asked == [hash_browser_secret("a secret")]
    assert house.hasher.verified == 1


def test_a_browser_is_no_session_and_a_session_no_browser(house: House) -> None:
    house.member()
    known = Browser(house)
    issued = known.sign_in()
    assert house.storage.people.session(hash_browser_secret(known.device or "")) is None
    Browser(house).refused(times=FREE_FAILURES)
    Browser(house, issued.secret).refused(PASSWORD)
    known.refused(known.device or "")


def test_half_of_the_way_makes_nobody_known(house: House) -> None:
    user = house.member()
    phone, _ = enrol(Browser(house), user)
    browser, before = Browser(house), devices(house, user)
    found = browser.sign_in()
    assert isinstance(found, HalfWay)
    assert (browser.device, devices(house, user)) == (None, before)
    browser.finish(found.token, phone.at(house.clock.now()))
    assert browser.device is not None
    assert len(devices(house, user)) == len(before) + 1


def test_the_second_step_of_a_known_browser_is_not_held_up_either(house: House) -> None:
    user = house.member()
    phone, codes = enrol(Browser(house), user)
    known, stranger = Browser(house), Browser(house)
    known.finish(known.sign_in().token, codes[0])
    stranger.refused(times=FREE_FAILURES)
    token = known.sign_in().token
    stranger.refused(times=9)
    assert account(house).locked(house.clock.now())
    with pytest.raises(CodeWrong):
        known.finish(token, "000000")
    assert (account(house).failures, devices(house, user)[0].failures) == (FREE_FAILURES, 1)
    assert house.at(known.finish(token, phone.at(house.clock.now())))
    assert devices(house, user)[0].failures == 0
    assert account(house).failures == FREE_FAILURES


def test_who_knows_the_password_and_has_the_browser_guesses_no_codes_for_long(house: House) -> None:
    user = house.member()
    phone, codes = enrol(Browser(house), user)
    thief = Browser(house)
    thief.finish(thief.sign_in().token, codes[0])
    token = thief.sign_in().token
    for _ in range(FREE_FAILURES):
        assert isinstance(thief.sign_in(), HalfWay), "nor is a wrong code forgiven for the password"
        with pytest.raises(CodeWrong):
            thief.finish(token, "000000")
    assert devices(house, user)[0].locked(house.clock.now())
    for _ in range(FREE_FAILURES):
        with pytest.raises(CodeWrong):
            thief.finish(token, "000000")
    assert account(house).locked(house.clock.now())
    with pytest.raises(CodeWrong):
        thief.finish(token, phone.at(house.clock.now()))
    thief.refused(PASSWORD)


def test_what_changes_the_proof_forgets_every_browser(house: House) -> None:
    user = house.member()
    first, second = Browser(house), Browser(house)

    def both_known() -> None:
        for browser in (first, second):
            browser.sign_in()
        assert len(devices(house, user)) == 2

    both_known()
    first.call(passwords.change_password, user, PASSWORD, OTHER)
    assert [one.secret_hash for one in devices(house, user)] == [hash_browser_secret(first.device or "")]
    token = house.call(passwords.reset_link, ADA, CALLER)
    second.call(passwords.reset_password, token, PASSWORD)
    assert [one.secret_hash for one in devices(house, user)] == [hash_browser_secret(second.device or "")]
    both_known()
    phone, _ = enrol(first, user)
    assert [one.secret_hash for one in devices(house, user)] == [hash_browser_secret(first.device or "")]
    issued = second.finish(second.sign_in().token, phone.at(house.clock.now()))
    house.clock.advance(timedelta(seconds=60))
    second.call(second_factor.remove_second_factor, issued.session, user, phone.at(house.clock.now()))
    assert [one.secret_hash for one in devices(house, user)] == [hash_browser_secret(second.device or "")]
    enrol(first, user)
    house.call(second_factor.drop_second_factor, ADA, CALLER)
    assert devices(house, user) == []
    both_known()
    issued = first.sign_in()
    house.call(sessions.end_session, house.at(issued), user, issued.session.id)
    assert len(devices(house, user)) == 2, "signing out is no theft"
    actor = house.at(second.sign_in())
    house.call(sessions.end_session, actor, user, None)
    assert devices(house, user) == []
    Browser(house).refused(times=FREE_FAILURES)
    for browser in (first, second):
        browser.refused(PASSWORD)


def test_a_known_browser_changes_the_password_while_strangers_lock_the_account(house: House) -> None:
    user = house.member()
    known = Browser(house)
    known.sign_in()
    Browser(house).refused(times=FREE_FAILURES)
    with pytest.raises(SignInFailed):
        house.call(passwords.change_password, user, PASSWORD, OTHER, CALLER)
    known.call(passwords.change_password, user, PASSWORD, OTHER)
    assert account(house).failures == 0


def test_who_joins_by_an_invitation_is_known_and_who_comes_by_a_provider_not(house: House) -> None:
    owner = house.acting(house.member(BEN, Role.OWNER), Role.OWNER)
    invitation = house.call(members.invite, owner, ADA, Role.VIEWER, max_attempts=3, mailer=None)
    browser = Browser(house)
    browser.call(members.accept_invitation, house.call(members.invitation_link, invitation), PASSWORD)
    Browser(house).refused(times=FREE_FAILURES)
    assert browser.sign_in()
    issued = house.call(
        identity.let_in, house.storage.people.user_of_email(BEN), "https://id", CALLER, lasts=timedelta(1)
    )
    assert issued.device is None


def test_a_person_is_known_by_so_many_browsers(house: House) -> None:
    user = house.member()
    browsers = [Browser(house) for _ in range(MOST_DEVICES + 1)]
    for browser in browsers:
        house.clock.advance(timedelta(minutes=1))
        browser.sign_in()
    assert len(devices(house, user)) == MOST_DEVICES
    Browser(house).refused(times=FREE_FAILURES)
    browsers[0].refused(PASSWORD)
    browsers[1].sign_in()


WAITS = st.integers(min_value=0, max_value=7_200)
CLAIMS = st.sampled_from(["nothing", "made up", "another person's", "a former one"])
GUESSES = st.lists(st.tuples(WAITS, CLAIMS), max_size=30)
"""When a stranger guesses, in seconds after the guess before, and what their browser says it is known by."""


def begun() -> tuple[House, Browser, dict[str, str | None]]:
    """Ada is known by a browser; what strangers may say that they are known by."""
    house = House()
    house.member()
    house.member(BEN)
    known, bens = Browser(house), Browser(house)
    known.sign_in()
    former = known.device
    known.sign_in()
    bens.sign_in(email=BEN)
    claims = {"nothing": None, "made up": "x" * 64, "another person's": bens.device, "a former one": former}
    return house, known, claims


def tries(house: House, claims: dict[str, str | None], guesses: list[tuple[int, str]], known: Browser | None) -> int:
    """How many of a stranger's guesses were looked at, while `known`'s person signs in after each, mistyping first."""
    looked_at = 0
    for wait, claim in guesses:
        house.clock.advance(timedelta(seconds=wait))
        looked_at += not account(house).locked(house.clock.now())
        Browser(house, claims[claim]).refused()
        if known is not None:
            known.refused(times=FREE_FAILURES - 1)
            assert isinstance(known.sign_in(), IssuedSession)
    return looked_at


@settings(max_examples=60, deadline=None)
@given(GUESSES)
def test_no_stranger_ever_locks_a_known_browser(guesses: list[tuple[int, str]]) -> None:
    house, known, claims = begun()
    tries(house, claims, guesses, None)
    assert isinstance(known.sign_in(), IssuedSession)
    house, known, claims = begun()
    tries(house, claims, guesses, known)


@settings(max_examples=60, deadline=None)
@given(GUESSES)
def test_no_stranger_has_more_tries_than_where_nobody_is_known(guesses: list[tuple[int, str]]) -> None:
    without = House()
    without.member()
    before = tries(without, dict.fromkeys(("nothing", "made up", "another person's", "a former one")), guesses, None)
    house, known, claims = begun()
    assert tries(house, claims, guesses, None) == before
    house, known, claims = begun()
    assert tries(house, claims, guesses, known) == before, "nor by what its person does there"
