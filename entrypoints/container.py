"""The composition root: which adapter serves which port, and each use case with its ports bound. Nothing else wires.

`Container(settings=...)`; tests hand in others: `Container(settings=..., uow=MemoryUnitOfWork(store), llm=None)`.
"""

from __future__ import annotations

from dependency_injector import containers, providers

from adapters.celery.broker import CeleryBroker, make_celery
from adapters.http.clients import GuardedClients
from adapters.http.rates import rates_at
from adapters.learning.learner import EnsembleLearner
from adapters.matching.compiled import CompiledMatcher
from adapters.oauth.provider import AuthlibProvider
from adapters.postgres import engine
from adapters.postgres.people import PostgresPeople
from adapters.postgres.privacy import PostgresPrivacy
from adapters.postgres.system import PostgresSystem
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.ranking.coverage import CoverageRanker
from adapters.rule_text.parser import LarkRuleText
from adapters.secrets.box import AesSecretBox
from adapters.secrets.one_time_codes import PyotpCodes
from adapters.secrets.passwords import Argon2Hasher
from adapters.system import SystemClock, SystemIds
from adapters.system.later import Background, WhenFull
from core.domain.inventories import inventory_of
from core.usecases import (
    accounts,
    ask_llm,
    catalog,
    connection_ends,
    connections,
    embed,
    evaluations,
    events,
    identity,
    imports,
    ingest,
    inventories,
    jobs,
    llm_spending,
    mail,
    members,
    oauth,
    passwords,
    process,
    promise,
    proposals,
    records,
    refit,
    relay,
    retention,
    review,
    rule_preview,
    rule_runs,
    rules,
    second_factor,
    secret_keys,
    sessions,
    sources,
    support,
    sync,
    vectors,
    webhooks,
    withdraw,
)
from core.usecases import privacy as privacy_usecases
from entrypoints import chosen
from entrypoints.settings import Settings
from plugins.isolation.host import Isolation
from plugins.manager import PluginManager

SYSTEM_POOL = 4
RENEWALS, RENEWAL_SECONDS = 4, 10.0
"""Tokens that a process renews at once, and how long others wait for their turn."""


class Container(containers.DeclarativeContainer):
    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)

    clock = providers.Singleton(SystemClock)
    ids = providers.Singleton(SystemIds)
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

    authenticate = providers.Callable(accounts.authenticate, system=system, clock=clock)
    touch_key = providers.Callable(accounts.touch_key, uow=uow, clock=clock)
    create_tenant = providers.Callable(accounts.create_tenant, uow=uow, clock=clock, ids=ids)
    get_tenant = providers.Callable(accounts.get_tenant, uow=uow)
    list_tenants = providers.Callable(accounts.list_tenants, system=system)
    list_members = providers.Callable(members.list_members, uow=uow)
    change_member = providers.Callable(members.change_member, uow=uow, clock=clock)
    remove_member = providers.Callable(members.remove_member, uow=uow, clock=clock)
    invite = providers.Callable(
        members.invite,
        max_attempts=settings.provided.job_max_attempts,
        mailer=mailer,
        uow=uow,
        clock=clock,
        ids=ids,
    )
    list_invitations = providers.Callable(members.list_invitations, uow=uow)
    revoke_invitation = providers.Callable(members.revoke_invitation, uow=uow)
    invitation_link = providers.Callable(members.invitation_link, secrets=secrets)
    read_invitation = providers.Callable(members.read_invitation, uow=uow, secrets=secrets, clock=clock)
    accept_invitation = providers.Callable(
        members.accept_invitation,
        lasts_seconds=settings.provided.session_seconds,
        uow=uow,
        people=people,
        hasher=hasher,
        secrets=secrets,
        clock=clock,
        ids=ids,
    )
    sign_in = providers.Callable(
        sessions.sign_in,
        lasts_seconds=settings.provided.session_seconds,
        people=people,
        hasher=hasher,
        secrets=secrets,
        uow=uow,
        clock=clock,
        ids=ids,
        later=noted_later,
    )
    prove_second_factor = providers.Callable(
        second_factor.prove_second_factor,
        lasts_seconds=settings.provided.session_seconds,
        codes=codes,
        people=people,
        secrets=secrets,
        uow=uow,
        clock=clock,
        ids=ids,
    )
    begin_second_factor = providers.Callable(
        second_factor.begin_second_factor, codes=codes, secrets=secrets, clock=clock, ids=ids
    )
    add_second_factor = providers.Callable(
        second_factor.add_second_factor,
        codes=codes,
        people=people,
        hasher=hasher,
        secrets=secrets,
        uow=uow,
        clock=clock,
        ids=ids,
    )
    remove_second_factor = providers.Callable(
        second_factor.remove_second_factor, codes=codes, people=people, secrets=secrets, uow=uow, clock=clock
    )
    drop_second_factor = providers.Callable(second_factor.drop_second_factor, people=people, uow=uow)
    open_session = providers.Callable(
        sessions.open_session, idle_seconds=settings.provided.session_idle_seconds, people=people, clock=clock
    )
    begin_identity_sign_in = providers.Callable(
        identity.begin_identity_sign_in, identities=identities, secrets=secrets, clock=clock, ids=ids
    )
    check_begun = providers.Callable(identity.check_begun, secrets=secrets, clock=clock)
    finish_identity_sign_in = providers.Callable(
        identity.finish_identity_sign_in,
        lasts_seconds=settings.provided.session_seconds,
        identities=identities,
        people=people,
        uow=uow,
        secrets=secrets,
        clock=clock,
        ids=ids,
    )
    authenticate_token = providers.Callable(identity.authenticate_token, identities=identities, people=people)
    enter_tenant = providers.Callable(sessions.enter_tenant, people=people, uow=uow)
    leave_session = providers.Callable(sessions.leave_session, people=people, clock=clock)
    list_sessions = providers.Callable(sessions.list_sessions, people=people)
    end_session = providers.Callable(sessions.end_session, people=people, uow=uow, clock=clock)
    ask_for_reset = providers.Callable(
        passwords.ask_for_reset,
        max_attempts=settings.provided.job_max_attempts,
        people=people,
        uow=uow,
        ids=ids,
        later=mailed_later,
    )
    reset_link = providers.Callable(passwords.reset_link, people=people, uow=uow, secrets=secrets, clock=clock)
    whose_link = providers.Callable(passwords.whose_link, people=people, secrets=secrets, clock=clock)
    reset_password = providers.Callable(
        passwords.reset_password,
        lasts_seconds=settings.provided.session_seconds,
        people=people,
        hasher=hasher,
        secrets=secrets,
        uow=uow,
        clock=clock,
        ids=ids,
    )
    change_password = providers.Callable(
        passwords.change_password,
        lasts_seconds=settings.provided.session_seconds,
        people=people,
        hasher=hasher,
        uow=uow,
        clock=clock,
        ids=ids,
    )
    export_tenant = providers.Callable(privacy_usecases.export_tenant, uow=uow, privacy=privacy)
    export_person = providers.Callable(privacy_usecases.export_person, people=people, uow=uow, privacy=privacy)
    erase_tenant = providers.Callable(privacy_usecases.erase_tenant, uow=uow, privacy=privacy)
    erase_person = providers.Callable(privacy_usecases.erase_person, people=people, uow=uow, privacy=privacy)
    send_mail = providers.Callable(
        mail.send_mail,
        public_url=settings.provided.public_url,
        mailer=mailer,
        uow=uow,
        people=people,
        secrets=secrets,
        clock=clock,
    )
    enter_as_operator = providers.Callable(support.enter_as_operator, uow=uow, clock=clock, ids=ids)
    change_tenant = providers.Callable(accounts.change_tenant, uow=uow)
    create_api_key = providers.Callable(accounts.create_api_key, uow=uow, clock=clock, ids=ids)
    rotate_api_key = providers.Callable(accounts.rotate_api_key, uow=uow, clock=clock, ids=ids)
    list_api_keys = providers.Callable(accounts.list_api_keys, uow=uow)
    revoke_api_key = providers.Callable(accounts.revoke_api_key, uow=uow, clock=clock)

    list_categories = providers.Callable(catalog.list_categories, uow=uow)
    get_category = providers.Callable(catalog.get_category, uow=uow)
    create_category = providers.Callable(catalog.create_category, uow=uow, clock=clock, ids=ids)
    change_category = providers.Callable(catalog.change_category, uow=uow)
    merge_category = providers.Callable(
        catalog.merge_category,
        learn_delay=settings.provided.learn_delay,
        refit_delay=settings.provided.refit_delay_seconds,
        uow=uow,
        ids=ids,
    )
    delete_category = providers.Callable(catalog.delete_category, uow=uow)
    unsort_category = providers.Callable(
        catalog.unsort_category,
        learn_delay=settings.provided.learn_delay,
        refit_delay=settings.provided.refit_delay_seconds,
        uow=uow,
        clock=clock,
        ids=ids,
    )
    list_connections = providers.Callable(connections.list_connections, uow=uow)
    get_connection = providers.Callable(connections.get_connection, uow=uow)
    create_connection = providers.Callable(
        connections.create_connection, uow=uow, host=host, secrets=secrets, clock=clock, ids=ids
    )
    change_connection = providers.Callable(
        connections.change_connection,
        uow=uow,
        host=host,
        secrets=secrets,
        provider=oauth_provider,
        clock=clock,
        ids=ids,
    )
    rotate_webhook_secret = providers.Callable(
        connections.rotate_webhook_secret, uow=uow, host=host, secrets=secrets, clock=clock
    )
    delete_connection = providers.Callable(
        connection_ends.delete_connection, uow=uow, host=host, secrets=secrets, provider=oauth_provider
    )
    disable_connection = providers.Callable(
        connection_ends.disable_connection,
        uow=uow,
        host=host,
        secrets=secrets,
        provider=oauth_provider,
        clock=clock,
        ids=ids,
    )
    start_sign_in = providers.Callable(
        oauth.start_sign_in,
        public_url=settings.provided.public_url,
        uow=uow,
        host=host,
        provider=oauth_provider,
        secrets=secrets,
        clock=clock,
        ids=ids,
    )
    finish_sign_in = providers.Callable(
        oauth.finish_sign_in,
        system=system,
        uow=uow,
        renewals=renewals,
        host=host,
        provider=oauth_provider,
        secrets=secrets,
        clock=clock,
        ids=ids,
    )

    resume_connection = providers.Callable(
        connection_ends.resume_connection, uow=uow, host=host, secrets=secrets, clock=clock, ids=ids
    )
    connection_health = providers.Callable(connections.connection_health, uow=uow, clock=clock)
    connection_log = providers.Callable(connections.connection_log, uow=uow)
    check_connection = providers.Callable(
        sources.check_connection, uow=uow, host=host, secrets=secrets, clients=http_clients, ids=ids
    )
    check_configuration = providers.Callable(
        sources.check_configuration, uow=uow, host=host, secrets=secrets, clients=http_clients, clock=clock, ids=ids
    )
    list_streams = providers.Callable(
        sources.list_streams, uow=uow, host=host, secrets=secrets, clients=http_clients, ids=ids
    )
    start_sync = providers.Callable(
        sources.start_sync, max_attempts=settings.provided.job_max_attempts, uow=uow, host=host, ids=ids
    )
    rotate_secrets = providers.Callable(
        secret_keys.rotate_secrets, uow=uow, system=system, people=people, secrets=secrets, clock=clock
    )

    receive_import = providers.Callable(
        imports.receive_import,
        max_attempts=settings.provided.job_max_attempts,
        uow=uow,
        host=host,
        clock=clock,
        ids=ids,
    )
    dry_run_import = providers.Callable(
        imports.dry_run_import, uow=uow, host=host, secrets=secrets, clock=clock, ids=ids
    )
    get_import = providers.Callable(imports.get_import, uow=uow)
    list_imports = providers.Callable(imports.list_imports, uow=uow)
    undo_import = providers.Callable(imports.undo_import, uow=uow)

    receive_webhook = providers.Callable(
        webhooks.receive_webhook,
        max_attempts=settings.provided.job_max_attempts,
        system=system,
        uow=uow,
        host=host,
        secrets=secrets,
        clock=clock,
        ids=ids,
    )
    note_refused = providers.Callable(webhooks.note_refused, system=system, uow=uow, clock=clock, ids=ids)
    list_deliveries = providers.Callable(webhooks.list_deliveries, uow=uow)

    list_records = providers.Callable(records.list_records, uow=uow)
    export_records = providers.Callable(records.export_records, uow=uow)
    get_record = providers.Callable(records.get_record, uow=uow)
    delete_record = providers.Callable(records.delete_record, uow=uow)
    change_record = providers.Callable(
        review.change_record, learn_delay=settings.provided.learn_delay, uow=uow, clock=clock, ids=ids
    )
    withdraw_record = providers.Callable(
        withdraw.withdraw_record,
        learn_delay=settings.provided.learn_delay,
        refit_delay=settings.provided.refit_delay_seconds,
        uow=uow,
        clock=clock,
        ids=ids,
    )

    list_queue = providers.Callable(review.list_queue, uow=uow)
    list_decided = providers.Callable(review.list_decided, uow=uow)
    list_groups = providers.Callable(review.list_groups, uow=uow)
    decide_approvals = providers.Callable(
        review.decide_approvals, learn_delay=settings.provided.learn_delay, uow=uow, clock=clock, ids=ids
    )
    decide_group = providers.Callable(
        review.decide_group, learn_delay=settings.provided.learn_delay, uow=uow, clock=clock, ids=ids
    )
    withdraw_approval = providers.Callable(
        withdraw.withdraw_approval,
        learn_delay=settings.provided.learn_delay,
        refit_delay=settings.provided.refit_delay_seconds,
        uow=uow,
        clock=clock,
        ids=ids,
    )

    list_rules = providers.Callable(rules.list_rules, uow=uow)
    get_rule = providers.Callable(rules.get_rule, uow=uow)
    create_rules = providers.Callable(
        rules.create_rules, uow=uow, matcher=matcher, text=rule_text, clock=clock, ids=ids
    )
    change_rule = providers.Callable(rules.change_rule, uow=uow, matcher=matcher, text=rule_text)
    order_rules = providers.Callable(rules.order_rules, uow=uow)
    delete_rule = providers.Callable(rules.delete_rule, uow=uow)
    test_rule = providers.Callable(
        rule_preview.test_rule, uow=uow, matcher=matcher, text=rule_text, clock=clock, ids=ids
    )
    preview_rules = providers.Callable(
        rule_preview.preview_rules,
        uow=uow,
        matcher=matcher,
        text=rule_text,
        embedder=embedder,
        learner=learner,
        clock=clock,
        ids=ids,
    )
    list_conflicts = providers.Callable(rule_preview.list_conflicts, uow=uow, matcher=matcher)
    start_run = providers.Callable(
        rule_runs.start_run, max_attempts=settings.provided.job_max_attempts, uow=uow, clock=clock, ids=ids
    )
    undo_run = providers.Callable(rule_runs.undo_run, max_attempts=settings.provided.job_max_attempts, uow=uow, ids=ids)
    get_run = providers.Callable(rule_runs.get_run, uow=uow)
    list_runs = providers.Callable(rule_runs.list_runs, uow=uow)
    list_run_changes = providers.Callable(rule_runs.list_run_changes, uow=uow)
    start_learning = providers.Callable(proposals.start_learning, uow=uow, ids=ids)
    list_proposals = providers.Callable(proposals.list_proposals, uow=uow)
    get_proposal = providers.Callable(proposals.get_proposal, uow=uow)
    accept_proposal = providers.Callable(
        proposals.accept_proposal, uow=uow, matcher=matcher, text=rule_text, clock=clock, ids=ids
    )
    reject_proposal = providers.Callable(proposals.reject_proposal, uow=uow, clock=clock)

    show_promise = providers.Callable(promise.show_promise, uow=uow, clock=clock)
    reset_promise = providers.Callable(promise.reset_promise, uow=uow, clock=clock)

    start_evaluation = providers.Callable(
        evaluations.start_evaluation,
        max_attempts=settings.provided.job_max_attempts,
        uow=uow,
        clock=clock,
        ids=ids,
    )
    get_evaluation = providers.Callable(evaluations.get_evaluation, uow=uow)
    list_evaluations = providers.Callable(evaluations.list_evaluations, uow=uow)

    llm_usage = providers.Callable(llm_spending.llm_usage, uow=uow, llm=llm, clock=clock)
    plan_llm = providers.Callable(llm_spending.plan_llm, uow=uow, llm=llm, embedder=embedder, clock=clock)

    list_events = providers.Callable(events.list_events, uow=uow)
    verify_events = providers.Callable(events.verify_events, system=system)
    list_tenant_events = providers.Callable(events.list_tenant_events, system=system)
    note_reading = providers.Callable(events.note_reading, uow=uow, clock=clock)

    list_jobs = providers.Callable(jobs.list_jobs, uow=uow)
    get_job = providers.Callable(jobs.get_job, uow=uow)
    replay_jobs = providers.Callable(jobs.replay_jobs, uow=uow)
    announce_plugins = providers.Callable(inventories.announce_plugins, inventory=inventory, system=system)
    plugins_apart = providers.Callable(inventories.plugins_apart, inventory=inventory, system=system)
    claim_job = providers.Callable(
        jobs.claim_job,
        lease_seconds=settings.provided.lease_seconds,
        inventory=inventory,
        uow=uow,
        system=system,
        clock=clock,
        ids=ids,
    )
    put_off_job = providers.Callable(jobs.put_off_job, uow=uow, clock=clock)
    renew_job = providers.Callable(jobs.renew_job, lease_seconds=settings.provided.lease_seconds, uow=uow)
    fail_job = providers.Callable(
        jobs.fail_job, backoff_seconds=settings.provided.job_backoff_seconds, uow=uow, clock=clock, ids=ids
    )
    ingest_records = providers.Callable(
        ingest.ingest_records,
        learn_delay=settings.provided.learn_delay,
        uow=uow,
        host=host,
        secrets=secrets,
        clock=clock,
        ids=ids,
    )
    sync_connection = providers.Callable(
        sync.sync_connection,
        max_records=settings.provided.sync_records,
        max_seconds=settings.provided.sync_seconds,
        uow=uow,
        host=host,
        secrets=secrets,
        clients=http_clients,
        clock=clock,
        ids=ids,
    )
    read_webhook = providers.Callable(
        webhooks.read_webhook,
        uow=uow,
        host=host,
        secrets=secrets,
        clients=http_clients,
        clock=clock,
        ids=ids,
    )
    process_records = providers.Callable(
        process.process_records,
        uow=uow,
        matcher=matcher,
        embedder=embedder,
        learner=learner,
        llm_model=llm_model,
        clock=clock,
        ids=ids,
    )
    ask_llm = providers.Callable(ask_llm.ask_llm, uow=uow, llm=llm, embedder=embedder, clock=clock, ids=ids)
    run_rules = providers.Callable(
        rule_runs.run_rules, uow=uow, matcher=matcher, embedder=embedder, learner=learner, clock=clock
    )
    learn_rules = providers.Callable(proposals.learn_rules, uow=uow, matcher=matcher, clock=clock, ids=ids)
    embed_examples = providers.Callable(
        embed.embed_examples,
        refit_delay=settings.provided.refit_delay_seconds,
        uow=uow,
        embedder=embedder,
        ids=ids,
    )
    refit = providers.Callable(refit.refit, uow=uow, learner=learner, embedder=embedder, ranker=ranker)
    run_evaluation = providers.Callable(evaluations.run_evaluation, uow=uow, trials=trials, clock=clock)
    start_reembedding = providers.Callable(embed.start_reembedding, system=system, uow=uow, embedder=embedder, ids=ids)

    publish_due = providers.Callable(
        relay.publish_due,
        share=settings.provided.tenant_share,
        sync_share=settings.provided.tenant_sync_share,
        system=system,
        broker=broker,
    )
    queue_syncs = providers.Callable(
        relay.queue_syncs, max_attempts=settings.provided.job_max_attempts, system=system, ids=ids
    )
    reap_jobs = providers.Callable(
        relay.reap_jobs, republish_after=settings.provided.republish_after_seconds, system=system
    )
    sweep = providers.Callable(
        relay.sweep,
        payload_days=settings.provided.payload_retention_days,
        job_days=settings.provided.job_retention_days,
        system=system,
    )
    expire_records = providers.Callable(
        retention.expire_records,
        refit_delay=settings.provided.refit_delay_seconds,
        system=system,
        uow=uow,
        clock=clock,
        ids=ids,
    )
    forget_callers = providers.Callable(retention.forget_callers, system=system)
    tend_vectors = providers.Callable(vectors.tend_vectors, homes=vector_homes)
    list_vector_homes = providers.Callable(vectors.list_vector_homes, homes=vector_homes)
    seal_events = providers.Callable(relay.seal_events, system=system)
