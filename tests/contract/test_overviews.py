"""What a dashboard shows: decisions by day, the queue, connections by health."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from core.domain.approvals import Verdict
from core.domain.dashboard import DISABLED, Queue
from core.domain.decisions import Stage
from core.domain.health import Health
from tests.contract.storage import Storage, a_draft, an_example, answered, asked, decided


def test_decisions_are_counted_by_day_stage_and_status(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    a, b, c = storage.store(actor, [a_draft(n) for n in "abc"]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(a, food), decided(b, food, stage=Stage.LLM), asked(c)])
    today = storage.now().astimezone(ZoneInfo("Europe/Berlin")).date()
    with storage.reading(actor) as tx:
        assert tx.overviews.counts(today, today) == [
            (today, "", "needs_review", 1),
            (today, "llm", "processed", 1),
            (today, "rules", "processed", 1),
        ]
        before = today - timedelta(days=1)
        assert list(tx.overviews.counts(before, before)) == []


def test_the_queue_tells_its_size_and_how_long_it_waits(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.reading(actor) as tx:
        assert tx.overviews.queue() == Queue(size=0, oldest=None, median=None)
    waiting = [storage.review(actor, n) for n in "abcd"]
    with storage.writing(actor) as tx:
        settled, *others = tx.approvals.get_many(waiting)
        tx.approvals.decide([answered(settled, Verdict.OVERRIDE, None)])
        queue = tx.overviews.queue()
    created = sorted(item.created_at for item in others)
    assert queue == Queue(size=3, oldest=created[0], median=created[1])


def test_connections_are_counted_by_health_and_disabled_ones_apart(storage: Storage) -> None:
    actor = storage.tenant()
    for name, health in (("a", Health.HEALTHY), ("b", Health.HEALTHY), ("c", Health.REAUTH), ("d", Health.REAUTH)):
        storage.connection(actor, name, health=health)
    with storage.writing(actor) as tx:
        last = next(one for one in tx.connections.list() if one.name == "d")
        tx.connections.update(replace(last, disabled_at=storage.now()))
    with storage.reading(actor) as tx:
        assert tx.overviews.connections() == {DISABLED: 1, "healthy": 2, "reauth": 1}


def test_lessons_are_counted_by_category_and_what_waits_is_like_some(storage: Storage) -> None:
    actor, other = storage.tenant(), storage.tenant("Another")
    food, rent = sorted([storage.category(actor, "food"), storage.category(actor, "rent")])
    with storage.reading(actor) as tx:
        assert (tx.overviews.lessons(), tx.overviews.alike()) == ({}, 0)
    for n, group in enumerate(["rewe", "rewe", "rent", ""]):
        storage.review(actor, f"waits {n}", group=group)
    settled = storage.review(actor, "settled", group="rewe")
    taught = storage.store(actor, [a_draft(n) for n in "abcd"]).inserted
    with storage.writing(actor) as tx:
        [item] = tx.approvals.get_many([settled])
        tx.approvals.decide([answered(item, Verdict.OVERRIDE, food)])
        given = zip(taught, (rent, rent, food, rent), ("rewe", "rewe", "", "oak"), strict=True)
        tx.examples.put(
            [replace(an_example(storage.ids.new(), actor, to, id), group_key=group) for id, to, group in given]
        )
    with storage.reading(actor) as tx:
        assert list(tx.overviews.lessons().items()) == [(rent, 3), (food, 1)]
        assert tx.overviews.alike() == 2, "two of a group that was taught; the third one was answered"
    with storage.reading(other) as tx:
        assert (tx.overviews.lessons(), tx.overviews.alike()) == ({}, 0)
