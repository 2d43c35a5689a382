"""What the LLM answered, and what it took."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from core.domain.llm_spending import LlmMonth, LlmSpend
from tests.contract.storage import Storage, an_answer

MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)
CALL = LlmSpend(
    calls=2,
    failed=1,
    estimated=1,
    unpriced=1,
    records=5,
    cached=3,
    prompt_tokens=700,
    completion_tokens=90,
    cost=Decimal("0.00012345"),
    seconds=1.5,
)


def test_answers_are_kept_by_the_key_of_their_question(storage: Storage) -> None:
    actor = storage.tenant()
    food, long_ago = storage.category(actor), storage.now() - timedelta(days=1)
    with storage.writing(actor) as tx:
        tx.llm_answers.put({b"\x00\xff": an_answer(food, record_id="own"), b"none": an_answer(None, confidence=0.0)})
        tx.llm_answers.put({})
    with storage.reading(actor) as tx:
        found = tx.llm_answers.get([b"\x00\xff", b"none", b"unknown"], since=long_ago)
        assert found == {b"\x00\xff": an_answer(food), b"none": an_answer(None, confidence=0.0)}
        assert tx.llm_answers.get([], since=long_ago) == {}


def test_the_newest_answer_stays(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.writing(actor) as tx:
        tx.llm_answers.put({b"k": an_answer(storage.ids.new())})
    with storage.writing(actor) as tx:
        tx.llm_answers.put({b"k": an_answer(None, rationale="another", measured=False)})
    with storage.reading(actor) as tx:
        found = tx.llm_answers.get([b"k"], since=storage.now() - timedelta(days=1))
    assert found == {b"k": an_answer(None, rationale="another", measured=False)}


def test_an_answer_of_a_category_that_never_was_is_kept_all_the_same(storage: Storage) -> None:
    # The category may go while the LLM thinks; the spending is written in the same transaction.
    actor, gone = storage.tenant(), storage.ids.new()
    with storage.writing(actor) as tx:
        tx.llm_answers.put({b"k": an_answer(gone)})
        assert tx.llm_answers.get([b"k"], since=storage.now() - timedelta(days=1)) == {b"k": an_answer(gone)}


def test_old_answers_are_not_given_and_are_forgotten(storage: Storage) -> None:
    actor, later = storage.tenant(), storage.now() + timedelta(days=1)
    with storage.writing(actor) as tx:
        tx.llm_answers.put({b"k": an_answer(None)})
        assert tx.llm_answers.get([b"k"], since=later) == {}
        tx.llm_answers.forget(later - timedelta(days=2))
    with storage.writing(actor) as tx:
        assert b"k" in tx.llm_answers.get([b"k"], since=later - timedelta(days=2))
        tx.llm_answers.forget(later)
        assert tx.llm_answers.get([b"k"], since=later - timedelta(days=2)) == {}


def test_spending_adds_up_by_month(storage: Storage) -> None:
    actor = storage.tenant()
    with storage.reading(actor) as tx:
        assert list(tx.llm_usages.since(MARCH)) == []
    for month in (APRIL, MARCH, APRIL):
        with storage.writing(actor) as tx:
            tx.llm_usages.settle(None, month, CALL)
    twice = LlmSpend(
        calls=4,
        failed=2,
        estimated=2,
        unpriced=2,
        records=10,
        cached=6,
        prompt_tokens=1400,
        completion_tokens=180,
        cost=Decimal("0.0002469"),
        seconds=3.0,
    )
    with storage.reading(actor) as tx:
        april = LlmMonth(month=APRIL, spend=twice, reserved=Decimal(0))
        assert list(tx.llm_usages.since(MARCH)) == [april, LlmMonth(month=MARCH, spend=CALL, reserved=Decimal(0))]
        assert list(tx.llm_usages.since(APRIL)) == [april]


def test_what_is_set_aside_counts_until_it_is_settled(storage: Storage) -> None:
    actor = storage.tenant()
    first, second, third = storage.ids.batch(3)
    with storage.writing(actor) as tx:
        assert tx.llm_usages.reserve(first, MARCH, Decimal("0.6"), Decimal(1))
    with storage.writing(actor) as tx:
        assert not tx.llm_usages.reserve(second, MARCH, Decimal("0.5"), Decimal(1))
        assert tx.llm_usages.reserve(third, APRIL, Decimal("0.5"), Decimal(1))  # another month
    with storage.reading(actor) as tx:
        assert [m.reserved for m in tx.llm_usages.since(MARCH)] == [Decimal("0.5"), Decimal("0.6")]
    with storage.writing(actor) as tx:
        tx.llm_usages.settle(first, MARCH, LlmSpend(cost=Decimal("0.2")))
        assert tx.llm_usages.reserve(second, MARCH, Decimal("0.8"), Decimal(1))  # to the cap, and no further
    with storage.writing(actor) as tx:
        assert not tx.llm_usages.reserve(first, MARCH, Decimal("0.0000001"), Decimal(1))
        assert tx.llm_usages.reserve(first, MARCH, Decimal(0), Decimal(1))
        assert tx.llm_usages.reserve(storage.ids.new(), MARCH, Decimal(9), None)  # no cap
    with storage.reading(actor) as tx:
        (_, march) = tx.llm_usages.since(MARCH)
    assert (march.spend.cost, march.reserved, march.left(Decimal(12))) == (Decimal("0.2"), Decimal("9.8"), Decimal(2))
    assert march.left(Decimal(5)) == 0


def test_settling_twice_gives_back_once(storage: Storage) -> None:
    actor, id = storage.tenant(), storage.ids.new()
    with storage.writing(actor) as tx:
        tx.llm_usages.reserve(id, MARCH, Decimal(1), None)
    for _ in range(2):
        with storage.writing(actor) as tx:
            tx.llm_usages.settle(id, MARCH, replace(CALL, calls=1))
    with storage.reading(actor) as tx:
        (march,) = tx.llm_usages.since(MARCH)
    assert (march.spend.calls, march.reserved) == (2, 0)
