"""Real storage, containers over it with settings of the test's own, and others that use it meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dependency_injector import providers
from flask.testing import FlaskClient
from sqlalchemy import Engine

from adapters.embedded.postgres import DatabaseUrls
from adapters.memory.clock import FixedClock
from adapters.onnx.embedder import OnnxEmbedder
from adapters.postgres.agreements import PostgresAgreements
from adapters.postgres.billing_system import PostgresBillingSystem
from adapters.postgres.notification_system import PostgresNotificationSystem
from adapters.postgres.people import PostgresPeople
from adapters.postgres.privacy import PostgresPrivacy
from adapters.postgres.system import PostgresSystem
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.stripe.payments import StripePayments
from adapters.system.kept import KeptByKey
from core.usecases.shared.signing_in import at_once
from entrypoints.api.app import create_app
from entrypoints.container import Container
from entrypoints.settings import Settings, load_settings
from plugins.isolation.host import Isolation
from plugins.manager import PluginManager
from tests.conftest import Engines
from tests.contract.storage import Storage
from tests.integration.api_support import Api, new_tenant
from tests.integration.llm_support import PRICES, allow
from tests.integration.rule_support import SHOPS, bring
from tests.integration.stripe_support import payments_of, with_prices
from tests.integration.sync_support import Shop, TestHost
from tests.stubs.llm_server import LlmStub
from tests.stubs.stripe_billing_server import StripeBillingServer


@pytest.fixture(scope="session")
def local_embedder() -> OnnxEmbedder:
    """One for all containers, which takes longer to load than to use; as those of a service's threads share one."""
    return OnnxEmbedder()


_QUICK: dict[str, Any] = {
    "broker_url": "redis://127.0.0.1:1/0",
    "learn_delay_seconds": 0.0,
    "refit_delay_seconds": 0.0,
    "payment_delay_seconds": 0.0,
    **dict.fromkeys(
        ("rate_limit", "costly_limit", "sign_in_limit", "refused_limit", "invite_limit", "reset_limit"),
        "1000000/minute",
    ),
}
"""No broker, no waiting, and no limits that a test would reach which is not about them."""


@pytest.fixture(scope="session")
def host_of() -> Callable[[Settings], PluginManager]:
    """One for all containers of the same settings, as it never changes: to make one is to have all plugins loaded by a
    child, which takes longer than most tests. Hosts in the making have their own tests."""

    @cache
    def made(allow: frozenset[str], block: frozenset[str], roots: tuple[str, ...]) -> PluginManager:
        return PluginManager(allow, block, Isolation(roots=roots))

    def host_of(settings: Settings) -> PluginManager:
        return made(frozenset(settings.plugins_allow), frozenset(settings.plugins_block), tuple(settings.folder_roots))

    return host_of


@pytest.fixture
def make_container(
    database: DatabaseUrls,
    local_embedder: OnnxEmbedder,
    host_of: Callable[[Settings], PluginManager],
    take_engine: Callable[..., Engine],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Callable[..., Container]:
    """Containers on the test's database; keyword arguments are settings."""
    monkeypatch.setattr("entrypoints.chosen.OnnxEmbedder", lambda: local_embedder)
    monkeypatch.setattr("entrypoints.api.health.READY_SECONDS", 0.0)
    monkeypatch.setattr("entrypoints.api.metrics.SECONDS", 0.0)

    def make(**changed: Any) -> Container:
        settings = replace(
            load_settings({}),
            database_url=database.owner,
            app_database_url=database.app,
            system_database_url=database.system,
            **{"files_url": (tmp_path / "files").as_uri()} | _QUICK | changed,
        )
        made = Container(settings=settings)
        for later in (made.noted_later, made.mailed_later):
            later.override(providers.Object(at_once))
        made.kept.override(providers.Object(KeptByKey(seconds=0.0, most=1)))
        made.host.override(providers.Callable(host_of, settings))
        for engine in (made.app_engine, made.system_engine, made.renewal_engine):
            engine.set_provides(take_engine)
        return made

    return make


@pytest.fixture
def container(make_container: Callable[..., Container]) -> Container:
    return make_container()


@pytest.fixture
def storage(uow: PostgresUnitOfWork, system: PostgresSystem, engines: Engines) -> Storage:
    people = PostgresPeople(engines.system)
    privacy = PostgresPrivacy(engines.app, engines.system)
    return Storage(
        uow=uow,
        system=system,
        people=people,
        privacy=privacy,
        billing=PostgresBillingSystem(engines.system),
        agreements=PostgresAgreements(engines.app, engines.system),
        notifications=PostgresNotificationSystem(engines.system),
        now=lambda: datetime.now(UTC),
    )


@pytest.fixture
def meanwhile() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def superuser(database: DatabaseUrls) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.superuser, autocommit=True) as connection:
        yield connection


@pytest.fixture
def client(container: Container) -> Iterator[FlaskClient]:
    with create_app(container).test_client() as client:
        yield client


@pytest.fixture
def api(container: Container, client: FlaskClient) -> Api:
    return new_tenant(container, client)


@pytest.fixture
def filled(api: Api) -> Api:
    """60 records in review, 15 of each shop."""
    bring(api, [f"{SHOPS[n % 4]} {n:03}" for n in range(60)])
    return api


@pytest.fixture
def stub() -> Iterator[LlmStub]:
    """A language model's server."""
    with LlmStub() as stub:
        yield stub


@pytest.fixture
def make_llm_api(make_container: Callable[..., Container], stub: LlmStub) -> Callable[..., Api]:
    """A tenant whose LLM is the stub, sure from 0.6 on; keyword arguments are settings of the installation."""

    def make(**settings: Any) -> Api:
        given = {
            "llm_api_key": "any",
            "llm_base_url": stub.base_url,
            "job_backoff_seconds": 0.01,
            "job_max_attempts": 2,
            **PRICES,
        }
        container = make_container(**{**given, **settings})
        api = new_tenant(container, create_app(container).test_client())
        allow(api, llm_threshold=0.6)
        return api

    return make


@pytest.fixture
def shop() -> Shop:
    """A source that is read by syncs."""
    return Shop()


@pytest.fixture
def host(shop: Shop) -> TestHost:
    """The plugin host that has the shop's connector alone."""
    return TestHost(shop)


@pytest.fixture
def make_shop_api(make_container: Callable[..., Container], host: TestHost) -> Callable[..., Api]:
    """A tenant of an installation that can connect the shop; keyword arguments are settings."""

    def make(**settings: Any) -> Api:
        container = make_container(embeddings="off", **settings)
        container.host.override(providers.Object(host))
        return new_tenant(container, create_app(container).test_client())

    return make


@pytest.fixture
def server() -> Iterator[StripeBillingServer]:
    """A small Stripe that sells two plans."""
    with StripeBillingServer() as server:
        yield with_prices(server)


@pytest.fixture
def clock(server: StripeBillingServer) -> FixedClock:
    """Here it is as late as there."""
    return FixedClock(server.now)


@pytest.fixture
def payments(server: StripeBillingServer) -> StripePayments:
    return payments_of(server)
