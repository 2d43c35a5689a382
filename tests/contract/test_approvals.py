"""The review queue."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.approvals import ApprovalReason, Verdict, of_group, place_of, quantile
from core.errors import AlreadyDecided, Conflict, Invalid, NotFound
from ports.review_storage import QueueFilter
from tests.contract.storage import START, Storage, a_draft, answered, asked, decided, open_of


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
        assert [
            approval.id for approval, _ in tx.approvals.queue(after=None, limit=9, where=QueueFilter(group_key="a"))
        ] == [first, third]


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
        assert open_of(tx, first.record_id) is None
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


def test_what_waits_of_many_records_is_found_at_once(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    waiting, done, other = (storage.review(actor, f"{n}") for n in range(3))
    with storage.writing(actor) as tx:
        first, answer, third = tx.approvals.get_many([waiting, done, other])
        tx.approvals.decide([answered(answer, Verdict.OVERRIDE, food)])
    with storage.reading(actor) as tx:
        asked = [third.record_id, answer.record_id, first.record_id, storage.ids.new()]
        assert tx.approvals.open_of(asked) == [first, third], "by id, without what is decided"
        assert tx.approvals.open_of([]) == []


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
        assert open_of(tx, approval.record_id) == again
    with storage.reading(actor) as tx, pytest.raises(Invalid):
        tx.approvals.add([replace(again, id=storage.ids.new(), record_id=storage.ids.new())])


def test_groups_are_most_urgent_first_and_their_size_counts(storage: Storage) -> None:
    actor = storage.tenant()
    food, car = storage.category(actor), storage.category(actor, "car")
    drafts = [a_draft(f"{n}") for n in range(9)]
    groups = ("b", "b", "b", "b", "a", "c", "c", "d", "e")
    confidences = (0.6, 0.5, 0.7, 0.8, 0.25, 0.9, 0.1, 0.5, 0.25)
    suggestions = (food, car, car, None, food, None, None, food, food)
    ids = storage.store(actor, drafts).inserted
    with storage.writing(actor) as tx:
        tx.records.decide(
            [
                asked(id, confidence=confidence, group_key=key, suggested_id=suggested)
                for id, confidence, key, suggested in zip(ids, confidences, groups, suggestions, strict=True)
            ]
        )
    expected = [
        ("c", 2, of_group(0.9, 2), ids[6], 2),
        ("a", 1, 0.75, ids[4], 1),
        ("e", 1, 0.75, ids[8], 1),
        ("b", 4, of_group(0.5, 4), ids[1], 2),
        ("d", 1, 0.5, ids[7], 1),
    ]
    with storage.reading(actor) as tx:
        found = tx.approvals.groups(after=None, limit=9)
        assert [(g.group_key, g.size, g.urgency, g.record.id, g.agreeing) for g in found] == expected
        for group in found:
            assert open_of(tx, group.record.id) == group.first
            assert tx.approvals.count_open(group.group_key) == group.size
        paged, after = [], None
        while page := tx.approvals.groups(after=after, limit=2):
            paged += page
            after = (page[-1].urgency, page[-1].group_key)
        assert paged == list(found)
        assert list(tx.approvals.sample(9)) == sorted(found, key=lambda g: g.group_key), "not by urgency"
        assert [g.group_key for g in tx.approvals.sample(3)] == ["a", "b", "c"]
        assert list(tx.approvals.groups(after=None, limit=1_000)) == list(found), "many are read in another way"
        assert list(tx.approvals.sample(1_000)) == list(tx.approvals.sample(9))
        members = sorted(a.id for a, _ in tx.approvals.queue(after=None, limit=9, where=QueueFilter(group_key="b")))
        assert list(tx.approvals.of_group("b", 3)) == members[:3]
        answer = answered(found[0].first, Verdict.OVERRIDE, food)
    with storage.writing(actor) as tx:
        tx.approvals.decide([answer])
        assert [(g.group_key, g.size) for g in tx.approvals.groups(after=None, limit=9)][-1] == ("c", 1)
        assert list(tx.approvals.of_group("nobody's", 9)) == []


def test_what_was_decided_is_listed_latest_first_with_what_was_withdrawn_apart(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    ids = [storage.review(actor, f"{n}") for n in range(4)]
    with storage.writing(actor) as tx:
        for n, approval in enumerate(tx.approvals.get_many(ids[:3])):
            at = START + timedelta(seconds=n // 2)  # two at the same moment
            tx.approvals.decide([replace(answered(approval, Verdict.OVERRIDE, food), decided_at=at)])
        tx.approvals.withdraw([], by="nobody", at=START)
    latest_first = [ids[2], ids[1], ids[0]]
    with storage.writing(actor) as tx:
        whole = tx.approvals.decided(withdrawn=False, before=None, limit=9)
        assert [approval.id for approval, _ in whole] == latest_first
        assert [record.id for _, record in whole] == [approval.record_id for approval, _ in whole]
        paged, before = [], None
        while page := tx.approvals.decided(withdrawn=False, before=before, limit=1):
            paged.append(page[0][0].id)
            assert page[0][0].decided_at is not None
            before = (page[0][0].decided_at, page[0][0].id)
        assert paged == latest_first
        standing = tx.approvals.standing([whole[0][0].record_id])
        assert list(standing) == [whole[0][0]]
        tx.approvals.withdraw([ids[2]], by="somebody", at=START)
        assert list(tx.approvals.standing([whole[0][0].record_id])) == []
    with storage.reading(actor) as tx:
        (gone,) = tx.approvals.decided(withdrawn=True, before=None, limit=9)
        assert (gone[0].id, gone[0].withdrawn_by, gone[0].withdrawn_at) == (ids[2], "somebody", START)
        assert gone[0].verdict is Verdict.OVERRIDE
        assert [a.id for a, _ in tx.approvals.decided(withdrawn=False, before=None, limit=9)] == latest_first[1:]


def test_only_an_answer_that_stands_is_withdrawn(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    waiting, withdrawn, standing = (storage.review(actor, f"{n}") for n in range(3))
    with storage.writing(actor) as tx:
        for approval in tx.approvals.get_many([withdrawn, standing]):
            tx.approvals.decide([answered(approval, Verdict.OVERRIDE, food)])
        tx.approvals.withdraw([withdrawn], by="somebody", at=START)
    for id, error in ((waiting, Conflict), (withdrawn, Conflict), (storage.ids.new(), NotFound)):
        with pytest.raises(error), storage.writing(actor) as tx:
            tx.approvals.withdraw([standing, id], by="a thief", at=START)
    with storage.reading(actor) as tx:
        assert [a.withdrawn_by for a in tx.approvals.get_many([waiting, withdrawn, standing])] == [
            None,
            "somebody",
            None,
        ]


def test_a_new_rank_moves_questions_and_spot_checks_stay_among_them(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    ids = storage.store(actor, [a_draft(f"{n}") for n in range(12)]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([asked(id, confidence=0.5, group_key=f"g{n}") for n, id in enumerate(ids[:8])])
        check = {"approval": ApprovalReason.SPOT_CHECK, "suggested_id": food, "group_key": "g0", "urgency": 0.9}
        tx.records.decide([decided(id, food, **check) for id in ids[8:]])
        tx.approvals.rank({})
        tx.approvals.rank({f"g{n}": n / 10 for n in range(6)} | {"nobody's": 1.0})
    with storage.reading(actor) as tx:
        found = {a.record_id: a.urgency for a, _ in tx.approvals.queue(after=None, limit=99)}
        asked_now = [found[id] for id in ids[:8]]
        assert asked_now == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5]
        for id in ids[8:]:
            assert found[id] == pytest.approx(quantile(asked_now, place_of(id)), abs=1e-4)
