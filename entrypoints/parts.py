"""Which adapter serves which port, as the settings say."""

from __future__ import annotations

from dependency_injector import containers, providers

from adapters.celery.broker import CeleryBroker, make_celery
from adapters.files.sniffing import ContentSniffer
from adapters.files.store import FsspecFileStore
from adapters.http.clients import GuardedClients
from adapters.http.rates import rates_at
from adapters.learning.learner import EnsembleLearner
from adapters.matching.compiled import CompiledMatcher
from adapters.oauth.provider import AuthlibProvider
from adapters.postgres import engine
from adapters.postgres.agreements import PostgresAgreements
from adapters.postgres.billing_system import PostgresBillingSystem
from adapters.postgres.notification_system import PostgresNotificationSystem
from adapters.postgres.people import PostgresPeople
from adapters.postgres.privacy import PostgresPrivacy
from adapters.postgres.system import PostgresSystem
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.ranking.coverage import CoverageRanker
from adapters.reports.writers import FileWriters
from adapters.rule_text.parser import LarkRuleText
from adapters.secrets.box import AesSecretBox
from adapters.secrets.one_time_codes import PyotpCodes
from adapters.secrets.passwords import Argon2Hasher
from adapters.system import SystemClock, SystemIds
from adapters.system.kept import KeptByKey
from adapters.system.later import Background, WhenFull
from core.domain.inventories import inventory_of
from core.usecases import oauth
from entrypoints import chosen
from entrypoints.settings import Settings
from plugins.isolation.host import Isolation
from plugins.isolation.receipts import MEMORY, IsolatedReceiptReader
from plugins.manager import PluginManager

SYSTEM_POOL = 4
KEPT_SECONDS, MOST_KEPT = 15.0, 1_000
"""How old a dashboard may be that somebody sees, or what is told of whether they may work; and how many a process
keeps."""
RENEWALS, RENEWAL_SECONDS = 4, 10.0
"""Tokens that a process renews at once, and how long others wait for their turn."""


class Parts(containers.DeclarativeContainer):
    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)
    clock = providers.Singleton(SystemClock)
    ids = providers.Singleton(SystemIds)
    kept = providers.Singleton(KeptByKey, seconds=KEPT_SECONDS, most=MOST_KEPT)
    noted_later = providers.Singleton(Background, "failures", WhenFull.AT_ONCE)
    mailed_later = providers.Singleton(Background, "resets", WhenFull.DROPPED)
    app_engine = providers.Singleton(
        engine.create,
        settings.provided.app_database_url,
        pool_size=settings.provided.api_threads,
        statement_seconds=settings.provided.statement_seconds,
    )
    system_engine = providers.Singleton(
        engine.create,
        settings.provided.system_database_url,
        pool_size=SYSTEM_POOL,
        statement_seconds=settings.provided.statement_seconds,
    )
    renewal_engine = providers.Singleton(
        engine.create,
        settings.provided.app_database_url,
        pool_size=RENEWALS,
        overflow=0,
        patience=RENEWAL_SECONDS,
        statement_seconds=settings.provided.statement_seconds,
    )
    uow = providers.Singleton(PostgresUnitOfWork, app_engine, ids)
    renewals = providers.Singleton(PostgresUnitOfWork, renewal_engine, ids)
    system = providers.Singleton(PostgresSystem, system_engine, ids)
    people = providers.Singleton(PostgresPeople, system_engine)
    privacy = providers.Singleton(PostgresPrivacy, app_engine, system_engine)
    billing = providers.Singleton(PostgresBillingSystem, system_engine)
    notifications = providers.Singleton(PostgresNotificationSystem, system_engine)
    agreements = providers.Singleton(PostgresAgreements, app_engine, system_engine)
    terms = providers.Singleton(chosen.terms_of, settings)
    origins = providers.Singleton(chosen.origins_of, settings)
    payments = providers.Singleton(chosen.payments_of, settings, agreements, clock)
    files = providers.Singleton(FsspecFileStore, settings.provided.files_url)
    sniffer = providers.Singleton(ContentSniffer)
    reader = providers.Singleton(IsolatedReceiptReader, providers.Singleton(Isolation, memory=MEMORY))
    writers = providers.Singleton(FileWriters)
    vector_homes = providers.Factory(chosen.vector_homes_of, settings)
    host = providers.Singleton(
        PluginManager,
        allow=providers.Callable(frozenset, settings.provided.plugins_allow),
        block=providers.Callable(frozenset, settings.provided.plugins_block),
        isolation=providers.Singleton(Isolation, roots=settings.provided.folder_roots),
    )
    inventory = providers.Singleton(inventory_of, host.provided.inventory.call())
    secrets = providers.Singleton(
        AesSecretBox, settings.provided.secret_key, former=settings.provided.former_secret_keys
    )
    hasher = providers.Singleton(Argon2Hasher)
    codes = providers.Singleton(PyotpCodes)
    mailer = providers.Singleton(chosen.mailer_of, settings)
    transport = providers.Singleton(chosen.transport_of, settings)
    sender = providers.Singleton(chosen.sender_of, settings)
    identities = providers.Singleton(chosen.identities_of, settings)
    oauth_provider = providers.Singleton(AuthlibProvider, providers.Singleton(chosen.token_transport_of, settings))
    access_token = providers.Callable(
        oauth.access_token, uow=uow, renewals=renewals, provider=oauth_provider, secrets=secrets, clock=clock
    )
    rates = providers.Singleton(rates_at, settings.provided.broker_url)
    http_clients = providers.Singleton(
        GuardedClients, transport, rates=rates, tokens=access_token.provider, jitter=ids.provided.uniform
    )
    matcher = providers.Singleton(CompiledMatcher, host.provided.rule_type)
    rule_text = providers.Singleton(LarkRuleText)
    embedder = providers.Singleton(chosen.embedder_of, settings)
    learner = providers.Singleton(EnsembleLearner)
    ranker = providers.Singleton(CoverageRanker)
    llm = providers.Singleton(chosen.llm_of, settings)
    llm_model = providers.Callable(chosen.model_of, llm)
    celery = providers.Singleton(make_celery, settings.provided.broker_url)
    broker = providers.Singleton(CeleryBroker, celery)
    trials = providers.Factory(chosen.trials_of, settings, embedder, host)
