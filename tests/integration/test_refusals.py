"""What a refused credential costs, and that it tells nothing: counted, since times are benchmarks' business
(`python -m benchmarks.sign_in` compares them)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from dependency_injector import providers
from sqlalchemy import event
from structlog.testing import capture_logs

from adapters.secrets.passwords import Argon2Hasher
from adapters.system.later import Background, WhenFull
from core.domain.api_keys import make_key, write_key
from entrypoints.api.app import create_app
from entrypoints.api.auth import DEVICE_COOKIE
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.test_console_sign_in import ORIGIN, OWNER, PASSWORD, Browser

UNARMED, LOCKED = "unarmed@example.org", "locked@example.org"


class CountingHasher(Argon2Hasher):
    def __init__(self) -> None:
        super().__init__()
        self.verified = self.hashed = 0

    def hash(self, password: str) -> str:
        self.hashed += 1
        return super().hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        self.verified += 1
        return super().verify(password_hash, password)


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher()


@pytest.fixture
def api(make_container: Callable[..., Container], hasher: CountingHasher) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN, smtp_url="smtp://127.0.0.1:1")
    container.hasher.override(providers.Object(hasher))
    api = new_tenant(container, create_app(container).test_client())
    now = container.clock().now()
    for email in (UNARMED, LOCKED):
        container.create_tenant("Quay Books", owner_email=email)
    for email in (OWNER, LOCKED):
        user = container.people().user_of_email(email)
        assert user is not None
        container.people().put_password(user.id, hasher.hash(PASSWORD), now)
        if email == LOCKED:
            container.people().lock(user.id, now + timedelta(hours=1))
    hasher.verified = hasher.hashed = 0
    return api


@contextmanager
def statements(container: Container) -> Iterator[list[str]]:
    """What both engines are asked meanwhile."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    engines = (container.app_engine(), container.system_engine())
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield asked
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


def test_an_invalid_api_key_costs_one_query_at_most_and_no_hash(api: Api, hasher: CountingHasher) -> None:
    services, scopes = api.container, frozenset({"records:read"})
    expired = services.create_api_key(api.actor, name="expired", scopes=scopes)
    revoked = services.create_api_key(api.actor, name="revoked", scopes=scopes)
    services.revoke_api_key(api.actor, revoked.key.id)
    with services.uow().begin(api.actor) as tx:
        tx.api_keys.expire(expired.key.id, services.clock().now())
        tx.commit()
    key_id, secret = make_key(bytes(40))
    costs = {
        "": 0,
        "nonsense": 0,
        "sort_live_x": 0,
        api.key[:-1] + ("0" if api.key[-1] != "0" else "1"): 0,  # mistyped
        "x" * 5_000: 0,
        write_key(key_id, secret): 1,  # of nobody
        write_key(revoked.key.key_id, secret): 1,  # with another secret
        expired.secret: 1,
        revoked.secret: 1,
        "a.b.c": 0,  # a token of no issuer
    }
    for token, cost in costs.items():
        for path in ("/api/v1/me", "/api/v1/records/export", "/api/events"):
            with statements(services) as asked:
                answer = api.client.get(path, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401
            assert len(asked) == cost, (token, asked)
    assert (hasher.verified, hasher.hashed) == (0, 0)


@pytest.mark.parametrize(
    ("email", "password"),
    [("nobody@example.org", PASSWORD), (OWNER, "wrong horse battery"), (UNARMED, PASSWORD), (LOCKED, PASSWORD)],
    ids=["unknown", "known", "without a password", "locked"],
)
def test_a_refused_sign_in_does_the_same_for_everybody(
    api: Api, hasher: CountingHasher, email: str, password: str
) -> None:
    left: list[Callable[[], None]] = []
    api.container.noted_later.override(providers.Object(left.append))
    browser = Browser(api.client.application)
    browser.open("/sign-in")
    with statements(api.container) as asked:
        answer = browser.sign_in(password, email)
    assert answer.status_code == 401
    assert "The e-mail address or the password is wrong, or the account is locked" in answer.text
    assert (hasher.verified, hasher.hashed) == (1, 0)
    assert len(asked) == 1, asked
    assert len(left) == (email in (OWNER, LOCKED)), "what is noted is noted later"


@pytest.mark.parametrize("email", ["nobody@example.org", OWNER, UNARMED, LOCKED])
def test_a_browser_that_somebody_is_known_by_learns_nothing_of_others(
    api: Api, hasher: CountingHasher, email: str
) -> None:
    left: list[Callable[[], None]] = []
    api.container.noted_later.override(providers.Object(left.append))
    for known in (True, False):
        browser = Browser(api.client.application)
        if known:
            browser.sign_in()
            browser.send("/account", {}, "/sign-out")
        else:
            browser.client.set_cookie(DEVICE_COOKIE, "x" * 64, domain="sort.example", secure=True, path="/")
        browser.open("/sign-in")
        hasher.verified = 0
        with statements(api.container) as asked:
            answer = browser.sign_in("wrong horse battery", email)
        assert answer.status_code == 401
        assert "The e-mail address or the password is wrong, or the account is locked" in answer.text
        assert (hasher.verified, len(asked)) == (1, 2), asked


def test_asking_for_a_link_does_the_same_for_everybody(api: Api, hasher: CountingHasher) -> None:
    left: list[Callable[[], None]] = []
    api.container.mailed_later.override(providers.Object(left.append))
    browser = Browser(api.client.application)
    pages = set()
    for email in (OWNER, UNARMED, LOCKED, "nobody@example.org"):
        with statements(api.container) as asked:
            answer = browser.send("/password", {"email": email})
        assert (answer.status_code, asked) == (200, [])
        pages.add(answer.text)
    assert len(pages) == 1
    assert len(left) == 4
    assert hasher.verified == 0


def test_what_was_left_for_later_is_done_and_a_fault_in_it_stops_nothing(api: Api) -> None:
    later = Background("failures", WhenFull.AT_ONCE)
    api.container.noted_later.override(providers.Object(later))
    later(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    browser = Browser(api.client.application)
    for _ in range(3):
        browser.sign_in("wrong horse battery")
    later._pool.shutdown(wait=True)
    account = api.container.people().account(OWNER)
    assert account is not None
    assert account.failures == 3


@pytest.mark.parametrize("when_full", list(WhenFull))
def test_work_that_waits_is_bounded(when_full: WhenFull) -> None:
    go_on, did = threading.Event(), list[str]()
    later = Background("x", when_full, most=2)
    try:
        later(lambda: did.append("first") if go_on.wait(10) else None)
        later(lambda: did.append("second") if go_on.wait(10) else None)
        with capture_logs() as logs:
            later(lambda: did.append("third"))
        at_once = when_full is WhenFull.AT_ONCE
        assert (did == ["third"]) == at_once
        assert [entry["log_level"] for entry in logs] == ([] if at_once else ["warning"])
    finally:
        go_on.set()
        later._pool.shutdown(wait=True)
    assert sorted(did) == ["first", "second", *(["third"] if at_once else [])]
    assert later._free.acquire(blocking=False), "what is done makes room"


def test_a_flood_of_resets_keeps_no_failure_from_being_noted(api: Api) -> None:
    for later in (api.container.noted_later, api.container.mailed_later):
        later.reset_override()
    assert api.container.noted_later() is not api.container.mailed_later()
