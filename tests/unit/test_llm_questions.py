from __future__ import annotations

from uuid import UUID

from core.domain.llm import LlmCategory, LlmExample, LlmQuestion, LlmRecord
from core.domain.llm_questions import (
    MAX_EXAMPLES,
    MOST_TOGETHER,
    OFFERED_EACH,
    TOGETHER,
    WHOLE_TREE,
    batches,
    category_text,
    grouped,
    merged,
    offered,
)
from core.domain.records import Record
from tests.unit.building import a_record

LARGE = [LlmCategory(key=f"k{n:03}", path=f"Path {n:03}") for n in range(WHOLE_TREE + 50)]
VECTORS = {category.key: [n / len(LARGE), 0.0] for n, category in enumerate(LARGE)}


def a_question(id: str, *categories: LlmCategory, examples: tuple[LlmExample, ...] = ()) -> LlmQuestion:
    return LlmQuestion(record=LlmRecord(id=id, text=f"text {id}"), categories=categories, examples=examples)


def an_example(text: str, category: LlmCategory = LARGE[0]) -> LlmExample:
    return LlmExample(text=text, category_key=category.key)


def test_a_small_tree_is_offered_whole_and_so_is_one_of_which_nothing_is_known() -> None:
    assert offered(LARGE[:WHOLE_TREE], [], [1.0, 0.0], VECTORS) == tuple(LARGE[:WHOLE_TREE])
    assert offered(LARGE, ["k001"], None, {}) == tuple(LARGE)


def test_of_a_large_tree_hints_come_first_and_then_what_is_most_similar_in_the_trees_order() -> None:
    chosen = offered(LARGE, ["k003", "gone", "k001", "k003"], [1.0, 0.0], VECTORS)
    assert [c.key for c in chosen] == ["k001", "k003", *(c.key for c in LARGE[-(OFFERED_EACH - 2) :])]


def test_more_hints_than_room_leave_out_the_weakest() -> None:
    hints = [c.key for c in LARGE[: OFFERED_EACH + 5]]
    assert [c.key for c in offered(LARGE, hints, [1.0, 0.0], VECTORS)] == hints[:OFFERED_EACH]


def test_a_category_is_compared_by_path_and_description() -> None:
    assert category_text(LlmCategory(key="k", path="Food > Bars", description="pubs")) == "Food > Bars: pubs"
    assert category_text(LlmCategory(key="k", path="Food")) == "Food"


def test_questions_share_a_call_as_long_as_what_they_are_offered_stays_small() -> None:
    same = [a_question(str(n), *LARGE[:WHOLE_TREE]) for n in range(9)]
    assert grouped(same) == [same]
    half = WHOLE_TREE // 2
    low, high, far = LARGE[:half], LARGE[half:WHOLE_TREE], LARGE[WHOLE_TREE:]
    mixed = [a_question("1", *high), a_question("2", *far), a_question("3", *low), a_question("4", *high)]
    groups = grouped(mixed)
    assert [[q.record.id for q in group] for group in groups] == [["3", "1", "4"], ["2"]]
    assert grouped([]) == []


def test_a_question_that_is_offered_more_than_a_call_should_hold_is_asked_alone() -> None:
    whole = a_question("1", *LARGE)
    assert grouped([whole, a_question("2", *LARGE)]) == [[whole, a_question("2", *LARGE)]]


def test_a_request_offers_what_any_question_is_offered_once() -> None:
    request = merged([a_question("1", *LARGE[1:3]), a_question("2", *LARGE[:2])])
    assert [r.id for r in request.records] == ["1", "2"]
    assert request.categories == tuple(LARGE[:3])


def test_examples_come_in_turn_without_repetition_and_only_of_what_is_offered() -> None:
    first = (an_example("Rewe 1"), an_example("rewe 2"), an_example("rewe 3", LARGE[9]))
    second = (an_example("REWE  1"), an_example("lidl"), an_example("rewe 2", LARGE[1]))
    request = merged([a_question("1", *LARGE[:2], examples=first), a_question("2", *LARGE[:2], examples=second)])
    assert [(e.text, e.category_key) for e in request.examples] == [
        ("Rewe 1", "k000"),
        ("rewe 2", "k000"),
        ("lidl", "k000"),
        ("rewe 2", "k001"),  # people disagreed: the model may see that
    ]


def test_examples_are_some_dozens_at_most_and_each_record_has_its_nearest() -> None:
    questions = [
        a_question(str(n), LARGE[0], examples=tuple(an_example(f"{n} {rank}") for rank in range(8))) for n in range(20)
    ]
    texts = [e.text for e in merged(questions).examples]
    assert len(texts) == MAX_EXAMPLES
    assert {f"{n} 0" for n in range(20)} <= set(texts)


def arrived(texts: list[str], amount: str = "-1.00") -> list[Record]:
    return [a_record(text, amount, id=UUID(int=n + 1)) for n, text in enumerate(texts)]


def test_equal_texts_are_asked_about_together() -> None:
    found = list(batches(arrived([f"Shop {n % 50:02}" for n in range(200)])))
    assert [len(batch) for batch in found] == [80, 80, 40], "twenty contents, four times each"
    texts = [{record.text for record in batch} for batch in found]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 50
    assert sorted(r.id for batch in found for r in batch) == [UUID(int=n + 1) for n in range(200)]


def test_what_is_written_otherwise_is_the_same_content_and_other_money_is_not() -> None:
    same = arrived(["REWE Markt", "rewe  markt"] * 3)
    assert [len(batch) for batch in batches(same)] == [6]
    amounts = [a_record("Rewe", f"{10**n}.00", id=UUID(int=n + 1)) for n in range(TOGETHER + 1)]
    assert [len(batch) for batch in batches(amounts)] == [TOGETHER, 1]


def test_a_job_holds_a_limited_number_of_records() -> None:
    found = [len(batch) for batch in batches(arrived(["Rewe"] * (MOST_TOGETHER + 1)))]
    assert found == [MOST_TOGETHER, 1]
    assert list(batches([])) == []
