"""What comes in, how it is sorted, and what people say of it."""

from __future__ import annotations

from dependency_injector import containers

from core.usecases import (
    catalog,
    connection_ends,
    connections,
    decision_rule,
    imports,
    oauth,
    proposals,
    receipt_links,
    receipts,
    record_changes,
    records,
    review,
    rule_preview,
    rule_runs,
    rules,
    saved_views,
    secret_keys,
    skip,
    sources,
    webhooks,
    withdraw,
)
from entrypoints.binding import bound


class Sorting(containers.DeclarativeContainer):
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
    find_rules = bound(rules.find_rules)
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
