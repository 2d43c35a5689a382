"""What the ensemble learns from, in the order of arrival, and the ensemble itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from core.domain.approvals import ApprovalReason, Verdict
from core.domain.gate import Gate
from core.domain.learning import Arrival, Lesson
from core.domain.records import RecordStatus, text_digest
from core.domain.tenants import Actor
from core.errors import NotFound, Transient
from tests.contract.storage import (
    Storage,
    a_draft,
    an_arrival,
    an_ensemble,
    an_example,
    answered,
    asked,
    decided,
    open_of,
    vector,
)

ASKED_BEFORE = {"reason": "human: override by reviewer", "stages": []}
UNSURE = {"reason": "review: no stage is sure", "stages": [{"stage": "rules"}, {"stage": "similarity"}]}


def taught(storage: Storage, actor: Actor, category_id: UUID, count: int) -> list[UUID]:
    """Records, oldest first, with an example each; the examples were put in another order."""
    ids = list(storage.store(actor, [a_draft(f"{n}", text=f"shop {n}") for n in range(count)]).inserted)
    with storage.writing(actor) as tx:
        for id in reversed(ids):
            tx.examples.put([an_example(storage.ids.new(), actor, category_id, id, text="shop")])
    return ids


def learned_from(lessons: Sequence[Lesson]) -> list[UUID]:
    return [lesson.record.id for lesson in lessons]


def settle(storage: Storage, actor: Actor, record_id: UUID, category_id: UUID) -> None:
    """A person answers what is open of the record, or changes it unasked."""
    with storage.writing(actor) as tx:
        approval = open_of(tx, record_id)
        if approval is not None:
            tx.approvals.decide([answered(approval, Verdict.OVERRIDE, category_id)])
        record = tx.records.get(record_id)
        settled = replace(
            record,
            status=RecordStatus.OVERRIDDEN,
            category_id=category_id,
            stage="human",
            reasoning_trace={**ASKED_BEFORE, "stages": (record.reasoning_trace or ASKED_BEFORE)["stages"]},
        )
        tx.records.update([settled])
        tx.examples.put([an_example(storage.ids.new(), actor, category_id, record_id)])


def weight_of(storage: Storage, actor: Actor, record_id: UUID) -> float | None:
    with storage.reading(actor) as tx:
        [weight] = [one.weight for one in tx.lessons.fresh(9) if one.record.id == record_id]
    return weight


def test_lessons_come_in_the_order_of_their_records_each_until_it_is_marked(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    ids = taught(storage, actor, food, 4)
    with storage.writing(actor) as tx:
        tx.examples.put([an_example(storage.ids.new(), actor, food)])  # of no record: nothing to learn from
        assert learned_from(tx.lessons.fresh(3)) == ids[:3]
        assert (tx.lessons.had(), list(tx.lessons.earlier(9, 9))) == (0, [])
        tx.lessons.mark({ids[0]: food, ids[2]: food, storage.ids.new(): food})
        tx.lessons.mark({})
    with storage.writing(actor) as tx:
        assert learned_from(tx.lessons.fresh(9)) == [ids[1], ids[3]]
        assert learned_from(tx.lessons.earlier(9, 9)) == [ids[0], ids[2]]
        assert tx.lessons.had() == 2
        tx.lessons.unmark()
    with storage.reading(actor) as tx:
        assert learned_from(tx.lessons.fresh(9)) == ids
        assert tx.lessons.had() == 0


def test_earlier_lessons_are_the_latest_or_drawn_of_them(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    ids = taught(storage, actor, food, 9)
    with storage.writing(actor) as tx:
        tx.lessons.mark(dict.fromkeys(ids, food))
        assert learned_from(tx.lessons.earlier(4, 4)) == ids[-4:]
        assert list(tx.lessons.earlier(0, 0)) == []
        drawn = [learned_from(tx.lessons.earlier(3, 6, seed)) for seed in range(2**63 - 60, 2**63)]
        again = [learned_from(tx.lessons.earlier(3, 6, seed)) for seed in range(2**63 - 60, 2**63)]
    assert again == drawn, "a job that is repeated draws the same"
    assert {len(draw) for draw in drawn} == {3}
    assert all(draw == sorted(draw) for draw in drawn), "in the order of arrival"
    assert {id for draw in drawn for id in draw} == set(ids[-6:]), "each of the latest six has its chance"
    assert len({tuple(draw) for draw in drawn}) > 5, "and not always the same three"


def test_a_lesson_tells_of_the_record_as_it_came(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    [id] = storage.store(actor, [a_draft("7", counterparty="Rewe", attributes={"card": "4"}, raw={"x": 1})]).inserted
    settle(storage, actor, id, food)
    with storage.reading(actor) as tx:
        [lesson] = tx.lessons.fresh(9)
        record = tx.records.get(id)
    assert lesson == Lesson(
        record=replace(record, raw={}, reasoning_trace=None), category_id=food, weight=None, vector=None, arrival=None
    )


def test_what_was_said_on_arrival_comes_with_the_lesson(storage: Storage) -> None:
    actor = storage.tenant()
    first, second = taught(storage, actor, storage.category(actor), 2)
    unasked = an_arrival(candidates=(), features=b"", predicted=None, stacked=False)
    with storage.writing(actor) as tx:
        tx.lessons.arrive({first: an_arrival(), second: unasked, storage.ids.new(): an_arrival()}, 3)
        tx.lessons.arrive({}, 3)
    with storage.writing(actor) as tx:
        assert [one.arrival for one in tx.lessons.fresh(9)] == [an_arrival(), unasked]
        assert [tx.lessons.arrived(version) for version in (2, 3)] == [0, 2]
        tx.lessons.arrive({first: an_arrival(score=0.75)}, 4)
    with storage.reading(actor) as tx:
        assert [one.arrival for one in tx.lessons.fresh(9)] == [an_arrival(score=0.75), unasked]
        assert [tx.lessons.arrived(version) for version in (3, 4)] == [1, 1]


def test_an_answer_weighs_the_inverse_of_the_chance_to_be_asked(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    reviewed, checked, unasked = storage.store(actor, [a_draft(n) for n in "123"]).inserted
    check = {"approval": ApprovalReason.SPOT_CHECK, "suggested_id": food}
    with storage.writing(actor) as tx:
        tx.records.decide(
            [
                asked(reviewed, selection_probability=1.0, trace=UNSURE),
                decided(checked, food, selection_probability=0.04, trace=UNSURE, **check),
                decided(unasked, food, selection_probability=0.04, trace=UNSURE),
            ]
        )
        tx.lessons.arrive({id: an_arrival() for id in (reviewed, checked, unasked)}, 1)
    for id in (reviewed, checked, unasked):
        settle(storage, actor, id, food)
    assert weight_of(storage, actor, reviewed) == 1
    assert weight_of(storage, actor, checked) == pytest.approx(25)
    assert weight_of(storage, actor, unasked) is None, "nobody asked: somebody saw that it was wrong"


def test_what_the_ensemble_was_not_asked_about_calibrates_nothing(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    id = storage.record(actor)
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id, food, selection_probability=0.5, approval=ApprovalReason.SPOT_CHECK)])
    settle(storage, actor, id, food)
    assert weight_of(storage, actor, id) is None


@pytest.mark.parametrize("reason", [ApprovalReason.SPOT_CHECK, ApprovalReason.RULE])
def test_what_a_rule_had_decided_calibrates_nothing_either_when_it_is_learned_anew(
    storage: Storage, reason: ApprovalReason
) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    by_rule, after_similarity = storage.store(actor, [a_draft(n) for n in "12"]).inserted
    rules = {"stage": "rules", "outcome": "decided"}
    with storage.writing(actor) as tx:
        for id, stages in ((by_rule, [rules]), (after_similarity, UNSURE["stages"])):
            trace = {"reason": "", "stages": stages}
            tx.records.decide([decided(id, food, selection_probability=0.5, approval=reason, trace=trace)])
        tx.lessons.arrive({by_rule: an_arrival(), after_similarity: an_arrival()}, 0)
    for id in (by_rule, after_similarity):
        settle(storage, actor, id, food)
    assert weight_of(storage, actor, by_rule) is None
    assert weight_of(storage, actor, after_similarity) == 2


@pytest.mark.parametrize("arrived", [False, True], ids=["at first", "learned anew"])
def test_history_that_came_as_approved_weighs_one_until_a_person_changes_it(storage: Storage, arrived: bool) -> None:
    actor = storage.tenant()
    food, car = storage.category(actor), storage.category(actor, "car")
    [id] = storage.store(actor, [a_draft("1", category="food")], categories={"food": food}).inserted
    with storage.writing(actor) as tx:
        tx.examples.put([an_example(storage.ids.new(), actor, food, id)])
        if arrived:
            tx.lessons.arrive({id: an_arrival()}, 0)
    assert weight_of(storage, actor, id) == 1
    settle(storage, actor, id, car)
    assert weight_of(storage, actor, id) is None


def test_a_withdrawn_answer_is_no_answer(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    id = storage.record(actor)
    with storage.writing(actor) as tx:
        tx.records.decide([asked(id, selection_probability=1.0, trace=UNSURE)])
        tx.lessons.arrive({id: an_arrival()}, 1)
    settle(storage, actor, id, food)
    assert weight_of(storage, actor, id) == 1
    with storage.writing(actor) as tx:
        [approval] = tx.approvals.standing([id])
        tx.approvals.withdraw([approval.id], by="reviewer", at=storage.now())
    settle(storage, actor, id, food)  # as a change of the record, unasked
    assert weight_of(storage, actor, id) is None


def test_a_lesson_has_the_vector_of_the_model_that_serves(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    ids = storage.store(actor, [a_draft(n) for n in "123"]).inserted
    examples = [an_example(storage.ids.new(), actor, food, id, text=f"text {n}") for n, id in enumerate(ids)]
    digests = [text_digest(example.text) for example in examples]
    with storage.writing(actor) as tx:
        tx.examples.put(examples)
        tx.embeddings.put("m2", {digests[0]: vector(z=1), digests[1]: vector(z=1)})
        assert [one.vector for one in tx.lessons.fresh(9)] == [None] * 3, "no model serves yet"
        tx.embeddings.put("m1", {digests[0]: vector(x=0.25), digests[2]: vector(y=-1)})
        tx.examples.set_embeddings("m1", {example: vector(x=1) for example in examples})
        assert tx.examples.serve("m1")
        tx.lessons.mark({ids[2]: food})
    with storage.reading(actor) as tx:
        found = [*tx.lessons.fresh(9), *tx.lessons.earlier(9, 9)]
    assert [None if one.vector is None else list(one.vector) for one in found] == [
        vector(x=0.25),
        None,
        vector(y=-1),
    ]


def test_an_example_that_is_overridden_is_learned_again(storage: Storage) -> None:
    actor = storage.tenant()
    food, car = storage.category(actor), storage.category(actor, "car")
    first, second = taught(storage, actor, food, 2)
    with storage.writing(actor) as tx:
        tx.lessons.mark({first: food, second: food})
        tx.examples.put([an_example(storage.ids.new(), actor, car, first)])
    with storage.reading(actor) as tx:
        [lesson] = tx.lessons.fresh(9)
        assert (lesson.record.id, lesson.category_id) == (first, car)
        assert tx.lessons.had() == 1


def test_what_was_changed_while_it_was_learned_is_not_marked(storage: Storage) -> None:
    actor = storage.tenant()
    food, car = storage.category(actor), storage.category(actor, "car")
    first, second = taught(storage, actor, food, 2)
    with storage.writing(actor) as tx:
        tx.examples.put([an_example(storage.ids.new(), actor, car, first)])
        tx.lessons.mark({first: food, second: food})
    with storage.reading(actor) as tx:
        assert learned_from(tx.lessons.fresh(9)) == [first]
        assert tx.lessons.had() == 1


def test_a_record_takes_its_example_and_its_arrival_along(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    gone, kept = taught(storage, actor, food, 2)
    with storage.writing(actor) as tx:
        tx.lessons.mark({gone: food, kept: food})
        tx.lessons.arrive({gone: an_arrival(score=0.25), kept: an_arrival()}, 2)
        tx.records.delete(gone, None)
    with storage.reading(actor) as tx:
        assert learned_from(tx.lessons.earlier(9, 9)) == [kept]
        assert tx.lessons.had() == 1
        assert tx.lessons.arrived(2) == 1
        assert list(tx.lessons.latest_scores(9)) == [0.5]


def test_an_undone_import_takes_its_arrivals_along(storage: Storage) -> None:
    actor, imported = storage.tenant(), storage.ids.new()
    [gone] = storage.store(actor, [a_draft("1")], import_id=imported).inserted
    kept = storage.record(actor, "2")
    with storage.writing(actor) as tx:
        tx.lessons.arrive({gone: an_arrival(), kept: an_arrival()}, 1)
        tx.records.undo_import(imported)
    with storage.reading(actor) as tx:
        assert tx.lessons.arrived(1) == 1


def test_the_latest_scores_are_the_stackers(storage: Storage) -> None:
    actor = storage.tenant()
    ids = storage.store(actor, [a_draft(f"{n}") for n in range(4)]).inserted
    said: Mapping[UUID, Arrival] = {
        ids[2]: an_arrival(score=0.75),
        ids[0]: an_arrival(score=0.25),
        ids[3]: an_arrival(score=1.0, stacked=False),
        ids[1]: an_arrival(score=0.5),
    }
    with storage.writing(actor) as tx:
        tx.lessons.arrive(said, 1)
    with storage.reading(actor) as tx:
        assert list(tx.lessons.latest_scores(9)) == [0.75, 0.5, 0.25]
        assert list(tx.lessons.latest_scores(2)) == [0.75, 0.5]


def test_old_arrivals_about_which_nobody_was_asked_are_forgotten(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    ids = storage.store(actor, [a_draft(f"{n}") for n in range(8)]).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([asked(ids[0])])
        tx.examples.put([an_example(storage.ids.new(), actor, food, ids[2])])
        tx.lessons.arrive({id: an_arrival(score=n / 8) for n, id in enumerate(ids)}, 1)
        tx.lessons.prune(3, 9)
    with storage.reading(actor) as tx:
        # 0 waits for an answer and 2 is an example: both are kept, beside the latest three.
        assert list(tx.lessons.latest_scores(9)) == [n / 8 for n in (7, 6, 5, 2, 0)]


def test_the_features_of_old_lessons_are_forgotten(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    waiting = storage.record(actor, "waits for an answer")
    ids = taught(storage, actor, food, 5)
    with storage.writing(actor) as tx:
        tx.records.decide([asked(waiting)])
        tx.lessons.mark(dict.fromkeys(ids[:4], food))
        tx.lessons.arrive({id: an_arrival() for id in [waiting, *ids[1:]]}, 1)
        tx.lessons.prune(9, 2)
    settle(storage, actor, waiting, food)
    with storage.reading(actor) as tx:
        found = {one.record.id: one.arrival for one in [*tx.lessons.earlier(9, 9), *tx.lessons.fresh(9)]}
    assert found.pop(waiting) == an_arrival(), "what may be answered yet is kept as it was said"
    assert [found[id] for id in ids] == [None, an_arrival(features=b""), *[an_arrival()] * 3]


def test_an_ensemble_is_stored_and_replaced_by_its_successor_alone(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.writing(actor) as tx:
        assert tx.ensembles.stored() is None
        with pytest.raises(NotFound):
            tx.ensembles.arrays()
        tx.ensembles.put(an_ensemble(), b"\x00one\xff")
    with storage.reading(actor) as tx:
        assert (tx.ensembles.stored(), tx.ensembles.arrays()) == (an_ensemble(), (b"\x00one\xff", {}))
    shut = Gate(threshold=None, shift=-0.5, stacked=True, labels=12, scope=-math.inf)
    successor = an_ensemble(2, learner="l-2", taught=5, arrived=2**33, gate=shut)
    with storage.writing(actor) as tx:
        tx.ensembles.put(successor, b"two")
    for version in (1, 2, 4):
        with storage.reading(actor) as tx, pytest.raises(Transient):
            tx.ensembles.put(an_ensemble(version), b"late")
    with storage.reading(actor) as tx:
        assert (tx.ensembles.stored(), tx.ensembles.arrays()[0]) == (successor, b"two")
    careful = an_ensemble(3, gate=Gate(threshold=0.5, scope=math.inf))
    with storage.writing(actor) as tx:
        tx.ensembles.put(careful, b"three")
    with storage.reading(actor) as tx:
        assert tx.ensembles.stored() == careful


def test_an_ensemble_comes_with_what_became_of_its_categories(storage: Storage) -> None:
    actor = storage.tenant()
    food, meals, car, gone = (storage.category(actor, key) for key in ("food", "meals", "car", "gone"))
    with storage.writing(actor) as tx:
        tx.ensembles.put(an_ensemble(), b"one")
        tx.categories.merge(meals, food, version=None, parents={})
        tx.categories.add_aliases({"groceries": car})
        tx.categories.delete(gone, None)
    with storage.reading(actor) as tx:
        assert dict(tx.ensembles.arrays()[1]) == {meals: food, food: food, car: car}


def test_nothing_is_learned_of_a_transaction_that_was_not_committed(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    [id] = taught(storage, actor, food, 1)
    with storage.reading(actor) as tx:
        tx.lessons.mark({id: food})
        tx.lessons.arrive({id: an_arrival()}, 1)
        tx.ensembles.put(an_ensemble(), b"one")
    with storage.reading(actor) as tx:
        assert (tx.lessons.had(), tx.lessons.arrived(1), tx.ensembles.stored()) == (0, 0, None)
