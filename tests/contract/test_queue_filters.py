"""What of the review queue is listed: filters, and what somebody skipped."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from core.domain.approvals import SKIPPED, Verdict
from core.domain.tenants import Actor
from core.errors import NotFound
from ports.review_storage import QueueFilter, Skips
from tests.contract.storage import START, Storage, a_draft, answered, asked

DRAFTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "card": {"account": "card"},
    "invoice": {"kind": "invoice"},
    "dollars": {"currency": "USD"},
    "early": {"occurred_at": date(2025, 12, 31)},
    "late": {"occurred_at": date(2026, 2, 1)},
    "large": {"amount": Decimal("-900.00")},
    "free": {"amount": None, "currency": None},
    "percent": {"text": "100% Wool_Shop"},
    "known": {"text": "Kiosk", "counterparty": "Wool Traders"},
}
"""By name; each differs from the first one in one thing."""


def waiting(storage: Storage, actor: Actor) -> dict[str, UUID]:
    """The approvals of the drafts, by name. What is `plain` is suggested."""
    food = storage.category(actor)
    ids = storage.store(actor, [a_draft(name, **fields) for name, fields in DRAFTS.items()]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide(
            [
                asked(id, confidence=0.5, group_key=name[0], suggested_id=food if name == "plain" else None)
                for id, name in zip(ids, DRAFTS, strict=True)
            ]
        )
    with storage.reading(actor) as tx:
        names = dict(zip(ids, DRAFTS, strict=True))
        return {names[a.record_id]: a.id for a, _ in tx.approvals.queue(after=None, limit=99)}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"account": "card"}, {"card"}),
        ({"kind": "invoice"}, {"invoice"}),
        ({"currency": "USD"}, {"dollars"}),
        ({"since": date(2026, 2, 1)}, {"late"}),
        ({"until": date(2025, 12, 31)}, {"early"}),
        ({"max_amount": Decimal(-900)}, {"large"}),
        ({"min_amount": Decimal(-12), "currency": "EUR"}, set()),
        ({"text": "% wool_s"}, {"percent"}),
        ({"text": "WOOL"}, {"percent", "known"}),
        ({"text": "nowhere"}, set()),
        ({"unsuggested": True, "group_key": "p"}, {"percent"}),
        ({"unsuggested": True, "text": "rewe", "account": "card"}, {"card"}),
    ],
    ids=lambda value: " ".join(sorted(map(str, value))) or "-",
)
def test_the_queue_and_its_groups_in_a_filter(storage: Storage, given: dict[str, Any], expected: set[str]) -> None:
    actor = storage.tenant()
    ids, where = waiting(storage, actor), QueueFilter(**given)
    with storage.reading(actor) as tx:
        found = [a.id for a, _ in tx.approvals.queue(after=None, limit=99, where=where)]
        assert found == sorted(ids[name] for name in expected), "equally urgent ones by id"
        groups = tx.approvals.groups(after=None, limit=99, where=where)
        assert {g.group_key: g.size for g in groups} == {
            key: sum(name[0] == key for name in expected) for key in {name[0] for name in expected}
        }
        assert {g.first.id for g in groups} <= set(found)
        paged, after = [], None
        while page := tx.approvals.queue(after=after, limit=1, where=where):
            paged.append(page[0][0].id)
            after = (page[0][0].urgency, page[0][0].id)
        assert paged == found


def test_the_filters_by_suggestion_and_connection(storage: Storage) -> None:
    actor = storage.tenant()
    ids = waiting(storage, actor)
    with storage.reading(actor) as tx:
        [food] = [c.id for c in tx.categories.list()]
        [plain] = tx.approvals.queue(after=None, limit=9, where=QueueFilter(suggested_id=food))
        assert plain[0].id == ids["plain"]
        of_connection = QueueFilter(connection_id=plain[1].connection_id)
        assert len(tx.approvals.queue(after=None, limit=99, where=of_connection)) == len(DRAFTS)
        for nobodys in (QueueFilter(suggested_id=plain[0].id), QueueFilter(connection_id=food)):
            assert not tx.approvals.queue(after=None, limit=9, where=nobodys)
            assert not tx.approvals.groups(after=None, limit=9, where=nobodys)


def test_what_somebody_skipped_is_out_of_their_queue_alone_and_for_a_while(storage: Storage) -> None:
    actor = storage.tenant()
    ada, ben = storage.ids.batch(2)
    first, second, third = (storage.review(actor, f"{n}", group="g") for n in range(3))

    def seen(by: UUID, *, only: bool = False, after: timedelta = -SKIPPED) -> list[UUID]:
        skips = Skips(by=by, since=START + after, only=only)
        where = QueueFilter(skips=skips)
        with storage.reading(actor) as tx:
            found = [a.id for a, _ in tx.approvals.queue(after=None, limit=9, where=where)]
            assert sum(g.size for g in tx.approvals.groups(after=None, limit=9, where=where)) == len(found)
            assert list(tx.approvals.of_group("g", 9, skips)) == found
            assert tx.approvals.count_open("g", skips) == tx.approvals.count_open(skips=skips) == len(found)
        return found

    with storage.writing(actor) as tx:
        tx.approvals.skip(second, by=ada, at=START - timedelta(days=9))
        tx.approvals.skip(second, by=ada, at=START)
        tx.approvals.skip(third, by=ben, at=START)
    assert (seen(ada), seen(ada, only=True)) == ([first, third], [second])
    assert (seen(ben), seen(ben, only=True)) == ([first, second], [third])
    assert (seen(ada, after=timedelta(0)), seen(ada, only=True, after=timedelta(0))) == ([first, second, third], [])
    with storage.writing(actor) as tx:
        tx.approvals.unskip(second, by=ada)
        tx.approvals.unskip(third, by=ada)
    assert (seen(ada), seen(ben)) == ([first, second, third], [first, second])
    with storage.reading(actor) as tx:
        assert tx.approvals.count_open() == 3, "who is not asked for skips sees all"
    with pytest.raises(NotFound), storage.writing(actor) as tx:
        tx.approvals.skip(storage.ids.new(), by=ada, at=START)


def test_skips_are_swept_and_go_with_their_item(storage: Storage) -> None:
    actor = storage.tenant()
    ada = storage.ids.new()
    old, new, gone = (storage.review(actor, f"{n}") for n in range(3))
    with storage.writing(actor) as tx:
        tx.approvals.skip(old, by=ada, at=storage.now() - SKIPPED - timedelta(seconds=1))
        tx.approvals.skip(new, by=ada, at=storage.now())
        tx.approvals.skip(gone, by=ada, at=storage.now() - 2 * SKIPPED)
        [approval] = tx.approvals.get_many([gone])
        tx.records.delete(approval.record_id, None)
    long = {"payload_seconds": 1e9, "job_seconds": 1e9, "key_seconds": 1e9}
    assert storage.system.sweep(**long) == 1
    assert storage.system.sweep(**long) == 0
    with storage.reading(actor) as tx:
        skips = Skips(by=ada, since=storage.now() - 9 * SKIPPED, only=True)
        assert [a.id for a, _ in tx.approvals.queue(after=None, limit=9, where=QueueFilter(skips=skips))] == [new]


def test_an_agents_answer_is_known_as_one(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    by_agent, by_person = storage.review(actor, "1"), storage.review(actor, "2")
    with storage.writing(actor) as tx:
        first, second = (answered(a, Verdict.OVERRIDE, food) for a in tx.approvals.get_many([by_agent, by_person]))
        tx.approvals.decide([replace(first, decided_agent="sorter"), second])
    with storage.reading(actor) as tx:
        assert [a.decided_agent for a in tx.approvals.get_many([by_agent, by_person])] == ["sorter", None]
