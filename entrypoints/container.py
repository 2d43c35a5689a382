"""The composition root: each use case with its ports bound, by their names. Nothing else wires.

`Container(settings=...)`; tests hand in others: `Container(settings=..., uow=MemoryUnitOfWork(store), llm=None)`.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any, TypeVar

from dependency_injector import providers

from core.usecases import (
    access,
    accounts,
    ask_llm,
    billing_sync,
    catalog,
    comps,
    connection_ends,
    connections,
    dashboard,
    decision_rule,
    embed,
    endpoints,
    evaluations,
    events,
    identity,
    imports,
    ingest,
    inventories,
    jobs,
    learned,
    linking,
    llm_spending,
    mail,
    members,
    notifications,
    oauth,
    passwords,
    payment_events,
    process,
    promise,
    proposals,
    receipt_jobs,
    receipt_links,
    receipts,
    record_changes,
    records,
    refit,
    relay,
    report_definitions,
    reports,
    resume,
    retention,
    review,
    rule_preview,
    rule_runs,
    rules,
    saved_views,
    second_factor,
    secret_keys,
    sending,
    sessions,
    skip,
    sources,
    support,
    sync,
    telling,
    usage_reports,
    vectors,
    webhooks,
    withdraw,
)
from core.usecases import agreements as agreements_usecases
from core.usecases import billing as billing_usecases
from core.usecases import privacy as privacy_usecases
from entrypoints.parts import Parts

Result = TypeVar("Result")
_PORTS = (
    "agreements",
    "billing",
    "broker",
    "clock",
    "codes",
    "embedder",
    "files",
    "hasher",
    "host",
    "identities",
    "ids",
    "inventory",
    "kept",
    "learner",
    "llm",
    "llm_model",
    "mailer",
    "matcher",
    "notifications",
    "origins",
    "payments",
    "people",
    "privacy",
    "ranker",
    "reader",
    "renewals",
    "secrets",
    "sender",
    "sniffer",
    "system",
    "terms",
    "trials",
    "uow",
    "writers",
)
_SETTINGS = Parts.settings.provided
BY_NAME: dict[str, providers.Provider[Any]] = {
    **{name: getattr(Parts, name) for name in _PORTS},
    "backoff_seconds": _SETTINGS.job_backoff_seconds,
    "clients": Parts.http_clients,
    "event_delay": _SETTINGS.payment_delay_seconds,
    "homes": Parts.vector_homes,
    "idle_seconds": _SETTINGS.session_idle_seconds,
    "job_days": _SETTINGS.job_retention_days,
    "lasts_seconds": _SETTINGS.session_seconds,
    "learn_delay": _SETTINGS.learn_delay,
    "lease_seconds": _SETTINGS.lease_seconds,
    "max_attempts": _SETTINGS.job_max_attempts,
    "max_receipt_bytes": _SETTINGS.max_receipt_bytes,
    "max_records": _SETTINGS.sync_records,
    "max_seconds": _SETTINGS.sync_seconds,
    "payload_days": _SETTINGS.payload_retention_days,
    "provider": Parts.oauth_provider,
    "public_url": _SETTINGS.public_url,
    "report_days": _SETTINGS.report_retention_days,
    "refit_delay": _SETTINGS.refit_delay_seconds,
    "republish_after": _SETTINGS.republish_after_seconds,
    "share": _SETTINGS.tenant_share,
    "sync_share": _SETTINGS.tenant_sync_share,
    "text": Parts.rule_text,
}
"""What use cases call the ports and settings that they take, wherever they take them."""


def bound(usecase: Callable[..., Result], **others: providers.Provider[Any]) -> providers.Callable[Result]:
    """The use case with all that it takes by such a name; `others` are taken by a name that means more than one."""
    taken = signature(usecase).parameters.values()
    ports = {p.name: BY_NAME[p.name] for p in taken if p.kind is Parameter.KEYWORD_ONLY and p.name in BY_NAME}
    return providers.Callable(usecase, **ports, **others)


class Container(Parts):
    authenticate = bound(accounts.authenticate)
    touch_key = bound(accounts.touch_key)
    create_tenant = bound(accounts.create_tenant)
    get_tenant = bound(accounts.get_tenant)
    list_tenants = bound(accounts.list_tenants)
    list_members = bound(members.list_members)
    ways_in = bound(members.ways_in)
    change_member = bound(members.change_member)
    remove_member = bound(members.remove_member)
    end_member_sessions = bound(members.end_member_sessions)
    invite = bound(members.invite)
    list_invitations = bound(members.list_invitations)
    renew_invitation = bound(members.renew_invitation)
    revoke_invitation = bound(members.revoke_invitation)
    invitation_link = bound(members.invitation_link)
    read_invitation = bound(members.read_invitation)
    accept_invitation = bound(members.accept_invitation)
    sign_in = bound(sessions.sign_in, later=Parts.noted_later)
    prove_second_factor = bound(second_factor.prove_second_factor)
    begin_second_factor = bound(second_factor.begin_second_factor)
    add_second_factor = bound(second_factor.add_second_factor)
    remove_second_factor = bound(second_factor.remove_second_factor)
    drop_second_factor = bound(second_factor.drop_second_factor)
    open_session = bound(sessions.open_session)
    begin_identity_sign_in = bound(identity.begin_identity_sign_in)
    check_begun = bound(identity.check_begun)
    finish_identity_sign_in = bound(identity.finish_identity_sign_in)
    list_linked = bound(linking.list_linked)
    begin_linking = bound(linking.begin_linking)
    answer_linking = bound(linking.answer_linking)
    link_identity = bound(linking.link_identity)
    unlink_identity = bound(linking.unlink_identity)
    unlink_person = bound(linking.unlink_person)
    authenticate_token = bound(identity.authenticate_token)
    enter_tenant = bound(sessions.enter_tenant)
    leave_session = bound(sessions.leave_session)
    list_sessions = bound(sessions.list_sessions)
    end_session = bound(sessions.end_session)
    sign_out_person = bound(sessions.sign_out_person)
    ask_for_reset = bound(passwords.ask_for_reset, later=Parts.mailed_later)
    reset_link = bound(passwords.reset_link)
    whose_link = bound(passwords.whose_link)
    reset_password = bound(passwords.reset_password)
    change_password = bound(passwords.change_password)
    export_tenant = bound(privacy_usecases.export_tenant)
    export_person = bound(privacy_usecases.export_person)
    erase_tenant = bound(privacy_usecases.erase_tenant)
    erase_person = bound(privacy_usecases.erase_person)
    send_mail = bound(mail.send_mail)
    enter_as_operator = bound(support.enter_as_operator)
    change_tenant = bound(accounts.change_tenant)
    create_api_key = bound(accounts.create_api_key)
    rotate_api_key = bound(accounts.rotate_api_key)
    list_api_keys = bound(accounts.list_api_keys)
    revoke_api_key = bound(accounts.revoke_api_key)

    list_categories = bound(catalog.list_categories)
    category_usage = bound(catalog.category_usage)
    category_belongings = bound(catalog.category_belongings)
    get_category = bound(catalog.get_category)
    create_category = bound(catalog.create_category)
    change_category = bound(catalog.change_category)
    merge_category = bound(catalog.merge_category)
    delete_category = bound(catalog.delete_category)
    unsort_category = bound(catalog.unsort_category)
    list_connections = bound(connections.list_connections)
    get_connection = bound(connections.get_connection)
    create_connection = bound(connections.create_connection)
    change_connection = bound(connections.change_connection)
    rotate_webhook_secret = bound(connections.rotate_webhook_secret)
    delete_connection = bound(connection_ends.delete_connection)
    disable_connection = bound(connection_ends.disable_connection)
    start_sign_in = bound(oauth.start_sign_in)
    finish_sign_in = bound(oauth.finish_sign_in)

    resume_connection = bound(connection_ends.resume_connection)
    connection_health = bound(connections.connection_health)
    list_connection_states = bound(connections.list_connection_states)
    connection_log = bound(connections.connection_log)
    check_connection = bound(sources.check_connection)
    check_configuration = bound(sources.check_configuration)
    list_streams = bound(sources.list_streams)
    start_sync = bound(sources.start_sync)
    rotate_secrets = bound(secret_keys.rotate_secrets)

    receive_import = bound(imports.receive_import)
    dry_run_import = bound(imports.dry_run_import)
    get_import = bound(imports.get_import)
    import_progress = bound(imports.import_progress)
    list_imports = bound(imports.list_imports)
    undo_import = bound(imports.undo_import)

    receive_webhook = bound(webhooks.receive_webhook)
    note_refused = bound(webhooks.note_refused)
    list_deliveries = bound(webhooks.list_deliveries)

    list_records = bound(records.list_records)
    record_facets = bound(records.record_facets)
    list_latest_records = bound(records.list_latest_records)
    export_records = bound(records.export_records)
    get_record = bound(records.get_record)
    find_records = bound(records.find_records)
    latest_records = bound(records.latest_records)
    delete_record = bound(records.delete_record)
    change_record = bound(record_changes.change_record)
    categorise_records = bound(record_changes.categorise_records)
    withdraw_record = bound(withdraw.withdraw_record)
    withdraw_records = bound(withdraw.withdraw_records)

    upload_receipt = bound(receipts.upload_receipt)
    list_receipts = bound(receipts.list_receipts)
    get_receipt = bound(receipts.get_receipt)
    change_receipt = bound(receipts.change_receipt)
    open_receipt = bound(receipts.open_receipt)
    delete_receipt = bound(receipts.delete_receipt)
    list_matched_receipts = bound(receipt_links.list_matched_receipts)
    get_matched_receipt = bound(receipt_links.get_matched_receipt)
    list_suggestions = bound(receipt_links.list_suggestions)
    list_record_receipts = bound(receipt_links.list_record_receipts)
    link_receipt = bound(receipt_links.link_receipt)
    unlink_receipt = bound(receipt_links.unlink_receipt)
    reject_suggestion = bound(receipt_links.reject_suggestion)
    list_views = bound(saved_views.list_views)
    get_view = bound(saved_views.get_view)
    create_view = bound(saved_views.create_view)
    change_view = bound(saved_views.change_view)
    delete_view = bound(saved_views.delete_view)

    list_queue = bound(review.list_queue)
    explain_approvals = bound(review.explain_approvals)
    list_decided = bound(review.list_decided)
    list_groups = bound(review.list_groups)
    decide_approvals = bound(review.decide_approvals)
    decide_with_rule = bound(review.decide_with_rule)
    decide_group = bound(review.decide_group)
    propose_decision_rule = bound(decision_rule.propose_decision_rule)
    skip_approval = bound(skip.skip_approval)
    unskip_approval = bound(skip.unskip_approval)
    withdraw_approval = bound(withdraw.withdraw_approval)
    withdraw_approvals = bound(withdraw.withdraw_approvals)

    list_rules = bound(rules.list_rules)
    get_rule = bound(rules.get_rule)
    create_rules = bound(rules.create_rules)
    change_rule = bound(rules.change_rule)
    order_rules = bound(rules.order_rules)
    delete_rule = bound(rules.delete_rule)
    test_rule = bound(rule_preview.test_rule)
    preview_rules = bound(rule_preview.preview_rules)
    list_conflicts = bound(rule_preview.list_conflicts)
    start_run = bound(rule_runs.start_run)
    undo_run = bound(rule_runs.undo_run)
    get_run = bound(rule_runs.get_run)
    list_runs = bound(rule_runs.list_runs)
    list_run_changes = bound(rule_runs.list_run_changes)
    start_learning = bound(proposals.start_learning)
    list_proposals = bound(proposals.list_proposals)
    get_proposal = bound(proposals.get_proposal)
    accept_proposal = bound(proposals.accept_proposal)
    reject_proposal = bound(proposals.reject_proposal)

    show_promise = bound(promise.show_promise)
    reset_promise = bound(promise.reset_promise)
    show_dashboard = bound(dashboard.show_dashboard)
    show_learned = bound(learned.show_learned)
    count_lessons = bound(learned.count_lessons)

    start_report = bound(reports.start_report)
    get_report = bound(reports.get_report)
    list_reports = bound(reports.list_reports)
    open_report_file = bound(reports.open_report_file)
    read_report = bound(reports.read_report)
    list_report_definitions = bound(report_definitions.list_report_definitions)
    get_report_definition = bound(report_definitions.get_report_definition)
    create_report_definition = bound(report_definitions.create_report_definition)
    change_report_definition = bound(report_definitions.change_report_definition)
    delete_report_definition = bound(report_definitions.delete_report_definition)

    start_evaluation = bound(evaluations.start_evaluation)
    get_evaluation = bound(evaluations.get_evaluation)
    list_evaluations = bound(evaluations.list_evaluations)

    llm_usage = bound(llm_spending.llm_usage)
    plan_llm = bound(llm_spending.plan_llm)

    show_billing = bound(billing_usecases.show_billing)
    show_usage = bound(billing_usecases.show_usage)
    list_plans = bound(billing_usecases.list_plans)
    order_plan = bound(billing_usecases.order_plan)
    open_portal = bound(billing_usecases.open_portal)
    list_invoices = bound(billing_usecases.list_invoices)
    refresh_billing = bound(billing_sync.refresh_billing)
    receive_payment_event = bound(payment_events.receive_payment_event)
    check_may_work = bound(access.check_may_work)
    show_standing = bound(access.show_standing)
    doubt_denial = bound(access.doubt_denial)
    comp_plan = bound(comps.comp_plan)
    list_agreements = bound(agreements_usecases.list_agreements)
    note_payment = bound(agreements_usecases.note_payment)
    end_agreement = bound(agreements_usecases.end_agreement)

    list_endpoints = bound(endpoints.list_endpoints)
    get_endpoint = bound(endpoints.get_endpoint)
    create_endpoint = bound(endpoints.create_endpoint)
    change_endpoint = bound(endpoints.change_endpoint)
    delete_endpoint = bound(endpoints.delete_endpoint)
    rotate_endpoint_secret = bound(endpoints.rotate_endpoint_secret)
    enable_endpoint = bound(endpoints.enable_endpoint)
    disable_endpoint = bound(endpoints.disable_endpoint)
    test_endpoint = bound(notifications.test_endpoint)
    list_notifications = bound(notifications.list_notifications)
    redeliver = bound(notifications.redeliver)
    redeliver_failed = bound(notifications.redeliver_failed)

    list_events = bound(events.list_events)
    verify_events = bound(events.verify_events)
    list_tenant_events = bound(events.list_tenant_events)
    note_reading = bound(events.note_reading)

    list_jobs = bound(jobs.list_jobs)
    count_jobs = bound(jobs.count_jobs)
    get_job = bound(jobs.get_job)
    replay_jobs = bound(jobs.replay_jobs)
    announce_plugins = bound(inventories.announce_plugins)
    plugins_apart = bound(inventories.plugins_apart)
    plugins_spread = bound(inventories.plugins_spread)
    claim_job = bound(jobs.claim_job)
    put_off_job = bound(jobs.put_off_job)
    renew_job = bound(jobs.renew_job)
    fail_job = bound(jobs.fail_job)
    ingest_records = bound(ingest.ingest_records)
    sync_connection = bound(sync.sync_connection)
    read_webhook = bound(webhooks.read_webhook)
    read_receipt = bound(receipt_jobs.read_receipt)
    match_receipts = bound(receipt_jobs.match_receipts)
    process_records = bound(process.process_records)
    ask_llm = bound(ask_llm.ask_llm)
    run_rules = bound(rule_runs.run_rules)
    learn_rules = bound(proposals.learn_rules)
    embed_examples = bound(embed.embed_examples)
    refit = bound(refit.refit)
    run_evaluation = bound(evaluations.run_evaluation)
    generate_report = bound(reports.generate_report)
    sync_billing = bound(billing_sync.sync_billing)
    resume_held = bound(resume.resume_held)
    report_usage = bound(usage_reports.report_usage)
    send_notification = bound(sending.send_notification)
    start_reembedding = bound(embed.start_reembedding)

    publish_due = bound(relay.publish_due)
    queue_syncs = bound(relay.queue_syncs)
    queue_reports = bound(report_definitions.queue_reports)
    sweep_reports = bound(reports.sweep_reports)
    queue_billing = bound(payment_events.queue_billing)
    sweep_payment_events = bound(payment_events.sweep_payment_events)
    reap_jobs = bound(relay.reap_jobs)
    sweep = bound(relay.sweep)
    tenants_with_news = bound(telling.tenants_with_news)
    make_notifications = bound(telling.make_notifications)
    watch_queues = bound(telling.watch_queues)
    sweep_notifications = bound(telling.sweep_notifications)
    expire_records = bound(retention.expire_records)
    forget_callers = bound(retention.forget_callers)
    tend_vectors = bound(vectors.tend_vectors)
    list_vector_homes = bound(vectors.list_vector_homes)
    seal_events = bound(relay.seal_events)
