"""The review queue."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.domain.approvals import Verdict
from core.errors import AlreadyDecided, Conflict, Invalid, NotFound
from tests.contract.storage import START, Storage, answered


def test_the_queue_is_most_urgent_first_then_oldest(storage: Storage) -> None:
    actor = storage.tenant()
    sure, unsure, also_unsure, between = (
        storage.review(actor, f"{n}", confidence=confidence) for n, confidence in enumerate((0.8, 0.1, 0.1, 0.3))
    )
    order = [unsure, also_unsure, between, sure]
    with storage.reading(actor) as tx:
        queue = tx.approvals.queue(after=None, limit=10)
        assert [approval.id for approval, _ in queue] == order
        for approval, record in queue:
            assert record == tx.records.get(approval.record_id)
            assert [approval] == list(tx.approvals.get_many([approval.id]))
        paged, after = [], None
        while page := tx.approvals.queue(after=after, limit=1):
            paged.append(page[-1][0].id)
            after = (page[-1][0].urgency, page[-1][0].id)
        assert paged == order
        assert tx.approvals.count_open() == 4


def test_the_queue_of_one_group(storage: Storage) -> None:
    actor = storage.tenant()
    first, _, third = (storage.review(actor, f"{n}", group=group) for n, group in enumerate(("a", "b", "a")))
    with storage.reading(actor) as tx:
        assert [approval.id for approval, _ in tx.approvals.queue(after=None, limit=9, group_key="a")] == [first, third]


def test_approvals_come_in_the_order_asked_for(storage: Storage) -> None:
    actor = storage.tenant()
    a, b = storage.review(actor, "1"), storage.review(actor, "2")
    with storage.reading(actor) as tx:
        assert [x.id for x in tx.approvals.get_many([b, a], lock=True)] == [b, a]
        with pytest.raises(NotFound):
            tx.approvals.get_many([a, storage.ids.new()])


def test_an_answer_is_written_and_leaves_the_queue(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    a, b, c = (storage.review(actor, f"{n}") for n in range(3))
    with storage.writing(actor) as tx:
        first, second = tx.approvals.get_many([a, b])
        answers = [answered(first, Verdict.OVERRIDE, food), answered(second, Verdict.APPROVE, None)]
        tx.approvals.decide([replace(answers[0], urgency=9.0, group_key="ignored"), answers[1]])
        tx.approvals.decide([])
    with storage.reading(actor) as tx:
        assert list(tx.approvals.get_many([a, b])) == answers
        assert tx.approvals.open_of(first.record_id) is None
        assert [approval.id for approval, _ in tx.approvals.queue(after=None, limit=9)] == [c]
        assert tx.approvals.count_open() == 1


def test_what_is_decided_already_is_not_decided_again_and_nor_is_its_batch(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    a, b = storage.review(actor, "1"), storage.review(actor, "2")
    with storage.reading(actor) as tx:
        first, second = (answered(x, Verdict.OVERRIDE, food) for x in tx.approvals.get_many([a, b]))
    with storage.writing(actor) as tx:
        tx.approvals.decide([first])
    with pytest.raises(AlreadyDecided), storage.writing(actor) as tx:
        tx.approvals.decide([second, replace(first, decided_by="somebody else")])
    with storage.reading(actor) as tx:
        assert [x.decided_by for x in tx.approvals.get_many([a, b])] == ["reviewer", None]
        with pytest.raises(NotFound):
            tx.approvals.decide([replace(second, id=storage.ids.new())])


def test_a_record_waits_once_but_may_wait_again(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    id = storage.review(actor)
    with storage.reading(actor) as tx:
        (approval,) = tx.approvals.get_many([id])
        again = replace(approval, id=storage.ids.new(), created_at=START)
        with pytest.raises(Conflict):
            tx.approvals.add([again])
    with storage.writing(actor) as tx:
        tx.approvals.decide([answered(approval, Verdict.OVERRIDE, food)])
        tx.approvals.add([again])
        tx.approvals.add([])
    with storage.reading(actor) as tx:
        assert tx.approvals.open_of(approval.record_id) == again
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.approvals.add([replace(again, id=storage.ids.new(), record_id=storage.ids.new())])
