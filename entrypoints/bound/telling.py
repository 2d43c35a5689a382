"""How well it goes, what it costs, and what happened: told to people and programs."""

from __future__ import annotations

from dependency_injector import containers

from core.usecases import (
    access,
    agreements,
    billing,
    billing_sync,
    comps,
    dashboard,
    endpoints,
    evaluations,
    events,
    jobs,
    learned,
    llm_spending,
    notifications,
    payment_events,
    promise,
    report_definitions,
    reports,
)
from entrypoints.binding import bound


class Telling(containers.DeclarativeContainer):
    show_promise = bound(promise.show_promise)
    reset_promise = bound(promise.reset_promise)
    show_dashboard = bound(dashboard.show_dashboard)
    show_learned = bound(learned.show_learned)
    show_learning = bound(learned.show_learning)
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
    show_billing = bound(billing.show_billing)
    show_usage = bound(billing.show_usage)
    list_plans = bound(billing.list_plans)
    order_plan = bound(billing.order_plan)
    open_portal = bound(billing.open_portal)
    list_invoices = bound(billing.list_invoices)
    refresh_billing = bound(billing_sync.refresh_billing)
    receive_payment_event = bound(payment_events.receive_payment_event)
    check_may_work = bound(access.check_may_work)
    show_standing = bound(access.show_standing)
    doubt_denial = bound(access.doubt_denial)
    comp_plan = bound(comps.comp_plan)
    list_agreements = bound(agreements.list_agreements)
    note_payment = bound(agreements.note_payment)
    end_agreement = bound(agreements.end_agreement)
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
