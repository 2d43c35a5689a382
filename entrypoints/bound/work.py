"""What workers, the relay and the scheduler do."""

from __future__ import annotations

from dependency_injector import containers

from core.usecases import (
    ask_llm,
    billing_sync,
    embed,
    evaluations,
    ingest,
    inventories,
    jobs,
    payment_events,
    process,
    proposals,
    receipt_jobs,
    refit,
    relay,
    report_definitions,
    reports,
    resume,
    retention,
    rule_runs,
    sending,
    sync,
    telling,
    usage_reports,
    vectors,
    webhooks,
)
from entrypoints.binding import bound


class Work(containers.DeclarativeContainer):
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
