"""Tenants: what one has, another neither sees nor changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from core.domain.approvals import Verdict
from core.domain.connections import StreamCursor
from core.domain.decisions import Stage
from core.domain.events import EventFilter
from core.domain.evidence import Likeness
from core.domain.proposals import ProposalStatus
from core.domain.report_periods import Granularity, Relative, span_of
from core.errors import Invalid, LeaseLost, NotFound
from ports.review_storage import QueueFilter
from ports.storage import RecordFilter, Transaction
from tests.contract.belongings import Belongings, belongings
from tests.contract.notification_support import a_notification, an_endpoint
from tests.contract.storage import (
    START,
    Storage,
    a_connection,
    a_draft,
    a_health_entry,
    a_log_line,
    a_proposal,
    a_report,
    a_report_definition,
    a_rule,
    a_run,
    a_sealed,
    an_arrival,
    an_ensemble,
    an_evaluation,
    an_example,
    an_import,
    answered,
    decided,
    some_refused,
    vector,
)

EVER = span_of(Relative.EVER, date(2026, 1, 1))


@pytest.fixture(params=["memory", "postgres", "unguarded"])
def storage(request: pytest.FixtureRequest) -> Storage:
    """Also without row-level security, which would hide what a repository forgets to say."""
    made: Storage = request.getfixturevalue(f"{request.param}_storage")
    return made


LIKE_THEIRS = Likeness(UUID(int=0), "rewe", "rewe", b"")
EMPTY: dict[str, Callable[[Transaction, Belongings], Any]] = {
    "members": lambda tx, their: tx.members.list(),
    "owners": lambda tx, their: tx.members.owners(),
    "invitations": lambda tx, their: tx.invitations.list(),
    "api_keys": lambda tx, their: tx.api_keys.list(),
    "categories": lambda tx, their: tx.categories.list(),
    "connections": lambda tx, their: tx.connections.list(),
    "overview_connections": lambda tx, their: tx.overviews.connections(),
    "overview_lessons": lambda tx, their: tx.overviews.lessons(),
    "overview_alike": lambda tx, their: tx.overviews.alike(),
    "overview_counts": lambda tx, their: tx.overviews.counts(date(2000, 1, 1), date(2100, 1, 1)),
    "cursors": lambda tx, their: tx.syncs.cursors(their.connection),
    "history": lambda tx, their: tx.syncs.history(their.connection, 9),
    "lines": lambda tx, their: tx.syncs.lines(their.connection, before=None, limit=9),
    "sealed_otherwise": lambda tx, their: tx.sealed.otherwise(b"x", after=None, limit=9),
    "reseal": lambda tx, their: tx.sealed.reseal([(a_sealed(their.connection, b"sealed"), b"stolen")]),
    "open_sync": lambda tx, their: tx.jobs.open_sync(their.connection),
    "totals": lambda tx, their: tx.connections.totals(their.connection, [START])[0].imports,
    "refused": lambda tx, their: tx.deliveries.refused(their.connection),
    "imports of connection": lambda tx, their: tx.imports.list(before=None, limit=9, connection_id=their.connection),
    "imports": lambda tx, their: tx.imports.list(before=None, limit=9),
    "records": lambda tx, their: tx.records.page(RecordFilter(), after=None, limit=9),
    "records of import": lambda tx, their: tx.records.page(RecordFilter(import_id=their.imported), after=None, limit=9),
    "latest": lambda tx, their: tx.records.latest(RecordFilter(), before=None, limit=9),
    "category usage": lambda tx, their: tx.categories.usage(),
    "known": lambda tx, their: tx.records.known(their.connection, [("giro", "1")]),
    "open_between": lambda tx, their: tx.records.open_between(their.imported, their.record, their.undecided),
    "open_among": lambda tx, their: tx.records.open_among([their.undecided]),
    "present": lambda tx, their: tx.records.present([their.record]),
    "snapshots": lambda tx, their: tx.records.snapshots(RecordFilter(), before=None, limit=9),
    "count": lambda tx, their: tx.records.count(RecordFilter()),
    "tally": lambda tx, their: sum(tx.records.tally(RecordFilter()).values()),
    "facets": lambda tx, their: tx.records.facets(RecordFilter(), most=9, values=9).seen,
    "past": lambda tx, their: tx.records.past([(their.undecided, "REWE Markt 1234", date(2026, 1, 3))], 9)[0],
    "amounts": lambda tx, their: tx.records.amounts("food", "EUR", 9),
    "redecide": lambda tx, their: tx.records.redecide(their.run, [(decided(their.record), 3)]),
    "restore": lambda tx, their: tx.records.restore(their.run, after=None, limit=9).last,
    "decide": lambda tx, their: tx.records.decide([decided(their.undecided)]),
    "queue": lambda tx, their: tx.approvals.queue(after=None, limit=9),
    "group": lambda tx, their: tx.approvals.queue(after=None, limit=9, where=QueueFilter(group_key="rewe")),
    "groups": lambda tx, their: tx.approvals.groups(after=None, limit=9),
    "of_group": lambda tx, their: tx.approvals.of_group("rewe", 9),
    "decided items": lambda tx, their: tx.approvals.decided(withdrawn=False, before=None, limit=9),
    "standing": lambda tx, their: tx.approvals.standing([their.record]),
    "count_open of group": lambda tx, their: tx.approvals.count_open("rewe"),
    "hold": lambda tx, their: tx.categories.hold([their.category]),
    "aliases": lambda tx, their: tx.categories.aliases(),
    "belongings": lambda tx, their: (
        tx.categories.belongings(their.category).records + tx.categories.belongings(their.category).rules
    ),
    "open_of": lambda tx, their: tx.approvals.open_of([their.record]),
    "count_open": lambda tx, their: tx.approvals.count_open(),
    "examples": lambda tx, their: tx.examples.list(after=None, limit=9),
    "alike": lambda tx, their: tx.examples.alike([LIKE_THEIRS], 9)[0],
    "common": lambda tx, their: tx.examples.common(9),
    "serving": lambda tx, their: tx.examples.serving(),
    "serve": lambda tx, their: tx.examples.serve("m1"),
    "forget": lambda tx, their: tx.examples.forget_embeddings("m1", 9) + tx.embeddings.forget("m1", 9),
    "without_embedding": lambda tx, their: tx.examples.without_embedding("m2", 9),
    "nearest": lambda tx, their: tx.examples.nearest("m1", [vector(x=1)], 9)[0],
    "embeddings": lambda tx, their: tx.embeddings.get("m1", [b"digest"]),
    "fresh lessons": lambda tx, their: tx.lessons.fresh(9),
    "earlier lessons": lambda tx, their: [*tx.lessons.earlier(9, 9), *tx.lessons.earlier(1, 9)],
    "latest lessons": lambda tx, their: tx.lessons.latest(9),
    "lessons had": lambda tx, their: tx.lessons.had(),
    "arrived": lambda tx, their: tx.lessons.arrived(1),
    "latest_scores": lambda tx, their: tx.lessons.latest_scores(9),
    "fingerprint": lambda tx, their: tx.categories.fingerprint(),
    "ensemble": lambda tx, their: tx.ensembles.stored(),
    "llm_answers": lambda tx, their: tx.llm_answers.get([b"key"], since=datetime(2000, 1, 1, tzinfo=UTC)),
    "llm_usages": lambda tx, their: tx.llm_usages.since(date(2000, 1, 1)),
    "rules": lambda tx, their: tx.rules.list(),
    "proposals": lambda tx, their: tx.proposals.list(status=None, after=None, limit=9),
    "runs": lambda tx, their: tx.runs.list(before=None, limit=9),
    "figures.answers": lambda tx, their: tx.figures.answers(EVER, Granularity.MONTH),
    "figures.checks": lambda tx, their: tx.figures.checks(EVER),
    "figures.parties": lambda tx, their: tx.figures.parties(RecordFilter(), None, 9),
    "figures.payments": lambda tx, their: list(tx.figures.payments(RecordFilter(), 9)),
    "figures.records": lambda tx, their: list(tx.figures.records(RecordFilter())),
    "figures.records_csv": lambda tx, their: list(tx.figures.records_csv(RecordFilter(), {})),
    "figures.sums": lambda tx, their: tx.figures.sums(RecordFilter(), None, by_category=True),
    "report_definitions": lambda tx, their: tx.reports.definitions(),
    "reports": lambda tx, their: tx.reports.list(before=None, limit=9),
    "evaluations": lambda tx, their: tx.evaluations.list(before=None, limit=9),
    "views": lambda tx, their: tx.views.list(their.owner),
    "count of views": lambda tx, their: tx.views.count(their.owner),
    "changes": lambda tx, their: tx.runs.changes(their.run, after=None, limit=9),
    "count_answers": lambda tx, their: tx.rules.count_answers({their.rule: (1, 1, 1)}),
    "cells": lambda tx, their: tx.promises.cells(date(2000, 1, 1), recent=START),
    "checks": lambda tx, their: tx.promises.checks(Stage.RULES, since=None, limit=9),
    "llm_labels": lambda tx, their: tx.promises.llm_labels("m", 9),
    "strictness": lambda tx, their: sum(tx.promises.strictness().values()),
    "endpoints": lambda tx, their: [*tx.endpoints.list(), *tx.endpoints.listening()],
    "last_seq": lambda tx, their: tx.notifications.last_seq(),
    "news": lambda tx, their: tx.notifications.news(0, 9).upto,
    "notifications": lambda tx, their: tx.notifications.list(their.endpoint, before=None, limit=9),
    "collecting": lambda tx, their: tx.notifications.collecting(their.endpoint),
    "collect": lambda tx, their: tx.notifications.collect(
        a_notification(their.notification, their.actor, their.endpoint), 9
    )[0],
    "failed_since": lambda tx, their: tx.notifications.failed_since(their.endpoint, START, 9),
    "note_queue": lambda tx, their: tx.tenants.note_queue(None),
    "waiting": lambda tx, their: tx.jobs.waiting("records:process"),
    "jobs": lambda tx, their: tx.jobs.list(stream=None, statuses=(), after=None, limit=9),
    "claim": lambda tx, their: tx.jobs.claim(their.job, their.key, 60),
    "events": lambda tx, their: tx.events.list(EventFilter(), after=0, limit=9),
    "expire": lambda tx, their: tx.records.expire(date(2100, 1, 1), after=None, limit=9),
    "undo_import": lambda tx, their: sum(tx.records.undo_import(their.imported)),
}

MISSING: dict[str, Callable[[Transaction, Belongings], Any]] = {
    "api_keys.get": lambda tx, their: tx.api_keys.get(their.key),
    "api_keys.revoke": lambda tx, their: tx.api_keys.revoke(their.key, START),
    "categories.get": lambda tx, their: tx.categories.get(their.category),
    "categories.delete": lambda tx, their: tx.categories.delete(their.category, None),
    "categories.merge": lambda tx, their: tx.categories.merge(their.category, their.category, version=None, parents={}),
    "categories.unsort": lambda tx, their: tx.categories.unsort(
        their.category, version=None, parents={}, by="a thief", why=""
    ),
    "approvals.withdraw": lambda tx, their: tx.approvals.withdraw([their.approval], by="a thief", at=START),
    "ensembles.arrays": lambda tx, their: tx.ensembles.arrays(),
    "connections.get": lambda tx, their: tx.connections.get(their.connection),
    "connections.note": lambda tx, their: tx.connections.note(a_connection(their.connection, their.actor)),
    "deliveries.put_refused": lambda tx, their: tx.deliveries.put_refused(their.connection, some_refused()),
    "connections.delete": lambda tx, their: tx.connections.delete(their.connection, None),
    "imports.get": lambda tx, their: tx.imports.get(their.imported),
    "imports.open": lambda tx, their: tx.imports.open(their.imported),
    "imports.update": lambda tx, their: tx.imports.update(an_import(their.imported, their.actor, their.connection)),
    "records.get": lambda tx, their: tx.records.get(their.record),
    "records.get_many": lambda tx, their: tx.records.get_many([their.record]),
    "records.delete": lambda tx, their: tx.records.delete(their.record, None),
    "approvals.get_many": lambda tx, their: tx.approvals.get_many([their.approval]),
    "rules.get": lambda tx, their: tx.rules.get(their.rule),
    "rules.update": lambda tx, their: tx.rules.update(a_rule(their.rule, their.actor, None)),
    "rules.reorder": lambda tx, their: tx.rules.reorder({their.rule: 1}),
    "rules.delete": lambda tx, their: tx.rules.delete(their.rule, None),
    "rules.set_standing": lambda tx, their: tx.rules.set_standing(their.rule, demoted=True, proved=False),
    "proposals.get": lambda tx, their: tx.proposals.get(their.proposal),
    "proposals.decide": lambda tx, their: tx.proposals.decide(
        a_proposal(their.proposal, their.actor, their.category, status=ProposalStatus.REJECTED)
    ),
    "reports.get": lambda tx, their: tx.reports.get(their.report),
    "reports.update": lambda tx, their: tx.reports.update(a_report(their.report, their.actor)),
    "reports.definition": lambda tx, their: tx.reports.definition(their.report_definition),
    "reports.update_definition": lambda tx, their: tx.reports.update_definition(
        a_report_definition(their.report_definition, their.actor)
    ),
    "reports.delete_definition": lambda tx, their: tx.reports.delete_definition(their.report_definition, None),
    "evaluations.get": lambda tx, their: tx.evaluations.get(their.evaluation),
    "views.get": lambda tx, their: tx.views.get(their.view),
    "views.delete": lambda tx, their: tx.views.delete(their.view, None),
    "skip": lambda tx, their: tx.approvals.skip(their.approval, by=their.key, at=START),
    "evaluations.update": lambda tx, their: tx.evaluations.update(an_evaluation(their.evaluation, their.actor)),
    "runs.get": lambda tx, their: tx.runs.get(their.run),
    "runs.update": lambda tx, their: tx.runs.update(a_run(their.run, their.actor)),
    "endpoints.get": lambda tx, their: tx.endpoints.get(their.endpoint),
    "endpoints.update": lambda tx, their: tx.endpoints.update(an_endpoint(their.endpoint, their.actor)),
    "endpoints.delete": lambda tx, their: tx.endpoints.delete(their.endpoint, None),
    "notifications.get": lambda tx, their: tx.notifications.get(their.notification),
    "notifications.update": lambda tx, their: tx.notifications.update(
        a_notification(their.notification, their.actor, their.endpoint)
    ),
    "jobs.get": lambda tx, their: tx.jobs.get(their.job),
    "jobs.replay": lambda tx, their: tx.jobs.replay([their.job]),
}


def test_another_tenant_sees_nothing(storage: Storage) -> None:
    their, mine = belongings(storage), storage.tenant()
    seen = {}
    for name, reads in EMPTY.items():
        with storage.writing(mine) as tx:
            seen[name] = reads(tx, their)
    assert {name: found for name, found in seen.items() if found} == {}
    with storage.reading(their.actor) as tx:
        assert tx.records.get(their.undecided).status == "ingested"


def test_another_tenants_things_are_not_found(storage: Storage) -> None:
    their, mine = belongings(storage), storage.tenant()
    found = []
    for name, reaches in MISSING.items():
        with storage.reading(mine) as tx, suppress(NotFound):
            reaches(tx, their)
            found.append(name)
    assert found == []


def test_another_tenants_things_are_not_changed(storage: Storage) -> None:
    their, mine = belongings(storage), storage.tenant()
    with storage.reading(their.actor) as tx:
        record, category = tx.records.get(their.record), tx.categories.get(their.category)
        connection, (approval,) = tx.connections.get(their.connection), tx.approvals.get_many([their.approval])
        example_before = tx.examples.list(after=None, limit=9)
        learned_before = _learned(tx)
    changes: list[Callable[[Transaction], Any]] = [
        lambda tx: tx.records.update([record]),
        lambda tx: tx.categories.update(category),
        lambda tx: tx.connections.update(connection),
        lambda tx: tx.approvals.decide([answered(approval, Verdict.APPROVE, None)]),
    ]
    for change in changes:
        with storage.reading(mine) as tx, pytest.raises(NotFound):
            change(tx)
    with storage.writing(mine) as tx:
        tx.rules.count_hits({their.rule: 9}, START)
        tx.rules.count_answers({their.rule: (9, 9, 9)})
        tx.proposals.replace_open([])
        tx.examples.forget([their.record])
        tx.examples.set_embeddings("m2", {example_before[0]: vector(y=1)})
        tx.api_keys.touch(their.key, START)
        tx.lessons.mark({their.undecided: their.category})
        tx.lessons.arrive({their.record: an_arrival(score=1.0)}, 2)
        tx.syncs.forget_cursors(their.connection)
        tx.endpoints.note(an_endpoint(their.endpoint, their.actor, told_seq=99))
        tx.endpoints.told([their.endpoint], 99)
        tx.notifications.renew({their.notification: their.key}, START)
        tx.lessons.prune(0, 0)
        tx.lessons.unmark()
        tx.ensembles.put(an_ensemble(), b"mine")
    job = storage.claim(their.actor, their.job)
    with storage.reading(mine) as tx, pytest.raises(LeaseLost):
        tx.jobs.finish(job)
    with storage.reading(their.actor) as tx:
        assert list(tx.syncs.cursors(their.connection)) == ["charges"]
        assert tx.endpoints.get(their.endpoint).told_seq == 0
        assert tx.notifications.get(their.notification).job_id != their.key
        assert (tx.rules.get(their.rule).hits, tx.rules.get(their.rule).confirmed) == (0, 0)
        assert tx.api_keys.get(their.key).last_used_at is None
        assert tx.examples.without_embedding("m2", 9) == example_before
        assert _learned(tx) == learned_before
        assert tx.approvals.count_open() == 1
        assert [p.id for p in tx.proposals.list(status="open", after=None, limit=9)] == [their.proposal]


def _learned(tx: Transaction) -> list[Any]:
    lessons = [tx.lessons.fresh(9), tx.lessons.earlier(9, 9), tx.lessons.latest_scores(9)]
    return [*map(list, lessons), tx.ensembles.stored(), tx.ensembles.arrays()]


def test_nothing_can_point_to_another_tenants_things(storage: Storage) -> None:
    their, mine = belongings(storage), storage.tenant()
    own, sorted_before = storage.record(mine), storage.record(mine, "2")
    with storage.writing(mine) as tx:
        tx.records.decide([decided(sorted_before)])
    links: list[Callable[[Transaction], Any]] = [
        lambda tx: tx.records.decide([decided(own, their.category)]),
        lambda tx: tx.records.update([replace(tx.records.get(own), category_id=their.category)]),
        lambda tx: tx.rules.add([a_rule(storage.ids.new(), mine, their.category)]),
        lambda tx: tx.records.redecide(their.run, [(decided(sorted_before), 2)]),
        lambda tx: tx.examples.put([an_example(storage.ids.new(), mine, their.category)]),
        lambda tx: tx.categories.add_aliases({"x": their.category}),
        lambda tx: tx.imports.add(an_import(storage.ids.new(), mine, their.connection), []),
        lambda tx: tx.syncs.put_cursor(their.connection, StreamCursor(stream="x", cursor={}, state_version=1)),
        lambda tx: tx.notifications.add([a_notification(storage.ids.new(), mine, their.endpoint)]),
        lambda tx: tx.syncs.tell(their.connection, a_health_entry(storage.ids.new())),
        lambda tx: tx.syncs.log(their.connection, [a_log_line(storage.ids.new())]),
    ]
    for link in links:
        with storage.reading(mine) as tx, pytest.raises(Invalid):
            link(tx)
    with pytest.raises(Invalid):
        storage.store(mine, [a_draft("9")], connection_id=their.connection)
    run = storage.run(mine)
    with storage.reading(mine) as tx:  # what may have gone meanwhile is passed over
        assert list(tx.records.redecide(run, [(decided(sorted_before, their.category), 2)])) == []
        assert list(tx.proposals.replace_open([a_proposal(storage.ids.new(), mine, their.category)])) == []


def test_equal_keys_names_and_external_ids_do_not_clash_between_tenants(storage: Storage) -> None:
    their, mine = belongings(storage), storage.tenant()
    storage.category(mine, "food")
    assert len(storage.store(mine, [a_draft("1"), a_draft("2")]).inserted) == 2
    with storage.writing(their.actor) as tx:
        tx.records.delete(their.record, None)
    assert len(storage.store(storage.tenant(), [a_draft("1")]).inserted) == 1
