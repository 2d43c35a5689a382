"""What a plan holds of connections and people: the last one is one's, whoever asks at once and by whatever way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest
from dependency_injector import providers
from werkzeug.test import TestResponse

from adapters.manual.payments import ManualPayments
from adapters.postgres.agreements import PostgresAgreements
from core.domain.agreements import Agreement
from core.domain.identity import providers_from
from core.domain.permissions import Role
from core.domain.plans import Catalog, catalog_from
from core.errors import LimitReached
from entrypoints.api.app import create_app
from entrypoints.container import Container
from ports.payments import HostedPage, Order
from tests.integration.api_support import Api
from tests.integration.billing_support import billed, give, order, pay, told
from tests.integration.test_console_sign_in import ORIGIN, Browser
from tests.integration.test_identity import come_back, known_as
from tests.stubs.issuer import IssuerStub

PLANS: Catalog = catalog_from(
    [
        {"key": "free", "title": "Free", "limits": {"connections": 2, "seats": 3}},
        {"key": "team", "title": "Team", "limits": {"connections": 3, "seats": 9}},
    ]
)
Make = Callable[..., Container]
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def api(make_container: Make) -> Api:
    return billed(make_container, plans=PLANS)


@pytest.fixture
def issuer() -> Iterator[IssuerStub]:
    with IssuerStub() as stub:
        yield stub


def both_at_once(api: Api, superuser: psycopg.Connection, *acts: Callable[[], object]) -> list[object]:
    """What becomes of each when they have all looked before any of them is through."""
    with ThreadPoolExecutor(len(acts)) as pool:
        with api.container.uow().begin(api.actor) as tx:
            tx.billing.get(lock=True)
            under_way: list[Future[object]] = [pool.submit(act) for act in acts]
            while superuser.execute(_WAITING).fetchone() != (len(acts),):
                assert not any(one.done() for one in under_way), "it did not wait"
        return [one.exception(30) or one.result(30) for one in under_way]


def add_connection(api: Api, name: str) -> Any:
    return api.container.create_connection(api.actor, connector="csv", name=name, config={})


def test_of_two_who_add_the_last_connection_at_once_one_does(api: Api, superuser: psycopg.Connection) -> None:
    add_connection(api, "one")
    outcomes = both_at_once(api, superuser, lambda: add_connection(api, "two"), lambda: add_connection(api, "three"))
    assert sum(isinstance(outcome, LimitReached) for outcome in outcomes) == 1
    assert api.get("/billing")["connections"] == {"used": 2, "limit": 2}


def test_of_who_adds_and_who_resumes_the_last_connection_at_once_one_does(
    api: Api, superuser: psycopg.Connection
) -> None:
    off = add_connection(api, "one")
    api.post(f"/connections/{off.id}/disable")
    add_connection(api, "two")
    outcomes = both_at_once(
        api,
        superuser,
        lambda: add_connection(api, "three"),
        lambda: api.container.resume_connection(api.actor, off.id),
    )
    assert sum(isinstance(outcome, LimitReached) for outcome in outcomes) == 1
    assert api.get("/billing")["connections"] == {"used": 2, "limit": 2}


def test_what_people_call_as_uploads_are_called_counts_all_the_same(api: Api) -> None:
    first = add_connection(api, "one")
    add_connection(api, "two")
    for connector in ("camt", "ofx"):
        body = {"connector": connector, "name": "uploads"}
        assert api.call("POST", "/connections", body).status_code in (402, 422), "a name is no way around the plan"
    renamed = api.call("PATCH", f"/connections/{first.id}", {"name": "uploads"})
    assert renamed.status_code == 422, renamed.text
    assert api.get("/billing")["connections"]["used"] == 2
    assert api.call("POST", "/connections", {"connector": "csv", "name": "three"}).status_code == 402


def test_the_connection_of_uploads_counts_for_nothing_and_may_be_changed(api: Api) -> None:
    api.upload()
    (uploads,) = api.get("/connections")["items"]
    assert api.get("/billing")["connections"]["used"] == 0
    changed = api.call("PATCH", f"/connections/{uploads['id']}", {"config": {"delimiter": ";"}})
    assert changed.status_code == 200, changed.text
    assert api.get("/billing")["connections"]["used"] == 0


def invite(api: Api, name: str) -> Any:
    return api.container.invite(api.actor, f"{name}@example.org", Role.VIEWER)


def test_of_two_who_invite_to_the_last_seat_at_once_one_does(api: Api, superuser: psycopg.Connection) -> None:
    invite(api, "ada")
    outcomes = both_at_once(api, superuser, lambda: invite(api, "ben"), lambda: invite(api, "cleo"))
    assert sum(isinstance(outcome, LimitReached) for outcome in outcomes) == 1
    assert api.get("/billing")["seats"] == {"used": 3, "limit": 3}


def test_of_who_invites_and_who_comes_by_a_group_to_the_last_seat_one_does(
    make_container: Make, issuer: IssuerStub, superuser: psycopg.Connection
) -> None:
    api, container = by_groups(make_container, issuer)
    invite(api, "ben")
    issuer.claims |= {"groups": ["readers"]}
    browser = Browser(create_app(container))
    both_at_once(api, superuser, lambda: invite(api, "cleo"), lambda: come_back(browser, issuer))
    assert api.get("/billing")["seats"] == {"used": 3, "limit": 3}


def by_groups(make_container: Make, issuer: IssuerStub) -> tuple[Api, Container]:
    """A tenant whose viewers are a group of the issuer's."""
    api = billed(make_container, plans=PLANS)
    groups = {"readers": {"tenant": str(api.tenant_id), "role": "viewer"}}
    provider = tuple(providers_from([known_as(issuer, groups=groups)]))
    settings = {"plans": PLANS, "base_plan": "free", "public_url": ORIGIN, "oidc_providers": provider}
    return api, make_container(embeddings="off", **settings)


def people(api: Api) -> set[str]:
    return {member["email"] for member in api.get("/members")["items"]}


def test_who_comes_by_a_group_where_all_seats_are_taken_is_no_member_yet(
    make_container: Make, issuer: IssuerStub
) -> None:
    api, container = by_groups(make_container, issuer)
    for name in ("ben", "cleo"):
        invite(api, name)
    issuer.claims |= {"groups": ["readers"]}
    app = create_app(container)
    for _ in range(2):
        answer: TestResponse = come_back(Browser(app), issuer)
        assert answer.status_code == 403, answer.text
    assert "ada@example.org" not in people(api)
    assert [event["payload"] for event in told(api, "MEMBER_REFUSED")] == [
        {"role": "viewer", "reason": "limit_reached"}
    ] * 2
    give(api, "team")
    assert come_back(Browser(app), issuer).status_code == 303
    assert "ada@example.org" in people(api)


def test_where_seats_are_without_a_limit_nobody_waits(make_container: Make) -> None:
    """Nor does anybody for whoever asks a provider meanwhile."""
    api = billed(make_container, plans=catalog_from([{"key": "free", "title": "Free"}]))
    with api.container.uow().begin(api.actor) as tx:
        tx.billing.get(lock=True)
        invite(api, "ada")
        add_connection(api, "one")


class Meeting(PostgresAgreements):
    """Lets something happen after an agreement was read and before it is written."""

    between: Callable[[], None] | None = None

    def get(self, tenant_id: UUID) -> Agreement | None:
        found = super().get(tenant_id)
        meet, self.between = self.between, None
        if meet is not None:
            meet()
        return found


class Ordering(ManualPayments):
    """Meets while an order is made, and at no other time."""

    def __init__(self, api: Api, meet: Callable[[], None]) -> None:
        self._meeting = Meeting(api.container.app_engine(), api.container.system_engine())
        self._meet = meet
        super().__init__(self._meeting, api.container.clock())

    def order(self, order: Order) -> HostedPage:
        self._meeting.between = self._meet
        return super().order(order)


def test_a_payment_that_is_noted_while_another_plan_is_ordered_is_not_lost(
    make_container: Make, superuser: psycopg.Connection, meanwhile: ThreadPoolExecutor
) -> None:
    api = billed(make_container)
    order(api)
    pay(api)
    noting: list[Future[None]] = []

    def meet() -> None:
        noting.append(meanwhile.submit(pay, api, 60, "2026-002"))
        while not noting[0].done() and superuser.execute(_WAITING).fetchone() == (0,):
            pass

    api.container.payments.override(providers.Object(Ordering(api, meet)))
    order(api, "tried")
    noting[0].result(30)
    agreement = api.container.agreements().get(api.tenant_id)
    assert agreement is not None
    assert [invoice.number for invoice in agreement.invoices] == ["2026-001", "2026-002"]
    assert agreement.price_id == "tried@1/month"
