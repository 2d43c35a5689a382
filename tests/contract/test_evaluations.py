"""Evaluations as they are kept, and the history that they are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.domain.approvals import ApprovalReason, Verdict
from core.domain.evaluations import EvaluationStatus
from core.domain.records import RecordStatus, text_digest
from core.errors import NotFound
from tests.contract.storage import (
    START,
    Storage,
    a_draft,
    an_arrival,
    an_evaluation,
    an_example,
    answered,
    asked,
    decided,
    open_of,
    vector,
)


def test_an_evaluation_is_kept_with_its_report(storage: Storage) -> None:
    actor = storage.tenant()
    first = an_evaluation(storage.ids.new(), actor)
    second = an_evaluation(storage.ids.new(), actor, test=30, with_rules=True, promise=0.9)
    with storage.writing(actor) as tx:
        tx.evaluations.add(first)
        tx.evaluations.add(second)
    with storage.writing(actor) as tx:
        assert tx.evaluations.get(first.id) == first
        assert list(tx.evaluations.list(before=None, limit=9)) == [second, first]
        assert list(tx.evaluations.list(before=None, limit=1)) == [second]
        assert list(tx.evaluations.list(before=second.id, limit=9)) == [first]
        report = {"accuracy": 0.5, "precision": None, "by_stage": {"rules": {"decided": 1}}}
        done = replace(first, status=EvaluationStatus.DONE, report=report, finished_at=START)
        tx.evaluations.update(replace(done, promise=0.1))
        tx.evaluations.update(replace(second, status=EvaluationStatus.FAILED, failure="broken"))
    with storage.writing(actor) as tx:
        assert tx.evaluations.get(first.id) == done, "what was asked for stays"
        assert tx.evaluations.get(second.id).failure == "broken"
        tx.evaluations.update(replace(second, status=EvaluationStatus.RUNNING, failure=None))
    with storage.reading(actor) as tx:
        assert tx.evaluations.get(second.id) == replace(second, status=EvaluationStatus.RUNNING)


@pytest.mark.parametrize("does", ["get", "update"])
def test_an_unknown_evaluation_is_not_found(storage: Storage, does: str) -> None:
    actor = storage.tenant()
    unknown = an_evaluation(storage.ids.new(), actor)
    with storage.writing(actor) as tx, pytest.raises(NotFound):
        tx.evaluations.get(unknown.id) if does == "get" else tx.evaluations.update(unknown)


def test_the_latest_history_is_all_that_people_decided(storage: Storage) -> None:
    """Whether the ensemble had it or not; and what nobody asked about has no weight."""
    actor = storage.tenant()
    food = storage.category(actor)
    reviewed, checked, unasked = storage.store(actor, [a_draft(n) for n in "123"]).inserted
    imported = storage.store(actor, [a_draft("4", category="food")], categories={"food": food}).inserted[0]
    check: dict[str, Any] = {"approval": ApprovalReason.SPOT_CHECK, "suggested_id": food}
    with storage.writing(actor) as tx:
        tx.records.decide(
            [
                asked(reviewed, selection_probability=1.0),
                decided(checked, food, selection_probability=0.04, **check),
                decided(unasked, food, selection_probability=0.04),
            ]
        )
        tx.lessons.arrive({checked: an_arrival()}, 1)
    with storage.writing(actor) as tx:
        for id in (reviewed, checked, unasked):
            if (approval := open_of(tx, id)) is not None:
                tx.approvals.decide([answered(approval, Verdict.OVERRIDE, food)])
            settled = replace(tx.records.get(id), status=RecordStatus.OVERRIDDEN, category_id=food, stage="human")
            tx.records.update([settled])
            tx.examples.put([an_example(storage.ids.new(), actor, food, id, text="shop")])
        tx.examples.put([an_example(storage.ids.new(), actor, food)])  # of no record
        [example] = [e for e in tx.examples.list(after=None, limit=9) if e.record_id == checked]
        tx.examples.set_embeddings("m1", {example: vector(x=1)})
        tx.embeddings.put("m1", {text_digest(example.text): vector(x=1)})
        tx.lessons.mark({checked: food})
    with storage.reading(actor) as tx:
        history = tx.lessons.latest(9)
        assert [one.record.id for one in history] == [reviewed, checked, unasked, imported]
        assert [one.weight for one in history] == [1, pytest.approx(25), None, 1]
        assert {one.arrival for one in history} == {None}
        assert history[1].record == replace(tx.records.get(checked), raw={}, reasoning_trace=None)
        assert history[1].vector is not None
        assert list(history[1].vector)[:2] == [1, 0]
        assert [one.record.id for one in tx.lessons.latest(2)] == [unasked, imported], "the latest ones"
        assert list(tx.lessons.latest(0)) == []
