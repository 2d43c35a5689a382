"""What an answer is worth: which questions are asked first, and that they are different ones."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np
import pytest

from adapters.ranking.coverage import CLASSES, TAKEN, CoverageRanker
from core.domain.decisions import Candidate, Outcome, Stage, StageResult
from core.domain.ranking import Question, question_of, tells, urgency_of_worth
from core.domain.similarity import Neighbour

A, B, C = (UUID(int=n) for n in (1, 2, 3))


def towards(**parts: float) -> list[float]:
    return [parts.get(axis, 0.0) for axis in "abcdefgh"]


def question(
    vector: Sequence[float], *, doubt: float = 1.0, told: float = 0.0, likely: Mapping[UUID, float] | None = None
) -> Question:
    return Question(doubt=doubt, likely=likely or {}, vector=vector, told=told)


def order(questions: Sequence[Question]) -> list[int]:
    worth = CoverageRanker().worth(questions)
    return sorted(range(len(questions)), key=lambda i: -worth[i])


def crowds(dice: random.Random, *sizes: int, spread: float = 0.2) -> list[list[float]]:
    """Vectors around as many axes as there are sizes."""
    return [
        [spread * dice.random() + (axis == place) for axis in range(len(sizes))]
        for place, size in enumerate(sizes)
        for _ in range(size)
    ]


def test_of_many_questions_that_are_alike_one_stands_in_front() -> None:
    vectors = crowds(random.Random(1), 9, 7, 5, 3)
    first = order([question(v) for v in vectors])[:4]
    assert [int(np.argmax(vectors[i])) for i in first] == [0, 1, 2, 3], "one of each crowd, the largest first"
    worth = CoverageRanker().worth([question(v) for v in vectors])
    assert max(sorted(worth)[:20]) < worth[first[3]] / 2


def test_a_text_that_comes_twice_is_not_asked_twice_while_there_are_others() -> None:
    dice = random.Random(2)
    vectors = [[dice.gauss(0, 1) for _ in range(64)] for _ in range(40)]
    ranked = order([question(v) for v in [*vectors, *vectors]])
    assert len({place % 40 for place in ranked[:40]}) == 40


def test_what_nothing_is_like_stands_behind_what_many_are_like() -> None:
    worth = CoverageRanker().worth([*(question(towards(a=1, b=0.3 * n)) for n in range(-3, 4)), question(towards(h=1))])
    assert worth[-1] < max(worth[:-1])
    assert worth[-1] == 1, "it tells of itself alone"


def test_what_is_known_or_sure_stands_behind_what_is_not() -> None:
    doubtful, known, sure = CoverageRanker().worth(
        [question(towards(a=1)), question(towards(b=1), told=0.9), question(towards(c=1), doubt=0.2)]
    )
    assert doubtful == pytest.approx(1.0)
    assert known == pytest.approx(0.1, abs=1e-3)
    assert sure == pytest.approx(0.2)


def test_an_answer_tells_less_of_what_is_thought_to_be_of_another_category() -> None:
    text = towards(a=1)
    same = CoverageRanker().worth([question(text, likely={A: 1.0}), question(text, likely={A: 1.0})])
    other = CoverageRanker().worth([question(text, likely={A: 1.0}), question(text, likely={B: 1.0})])
    unlike = CoverageRanker().worth([question(text, likely={A: 1.0}), question(towards(b=1), likely={A: 1.0})])
    assert max(same) > max(other) > 1 - 1e-3
    assert max(unlike) == pytest.approx(1.0)


def test_the_order_is_that_of_looking_at_all_questions_each_time() -> None:
    """The lazy way is the plain greedy way, but for rounding."""
    dice = random.Random(3)
    vectors = crowds(dice, *[12] * 6, spread=0.6)
    asked = [question(v, doubt=dice.random(), told=dice.random() / 2) for v in vectors]
    units = np.array(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
    told, left = np.array([q.told for q in asked]), set(range(len(asked)))
    pairs = np.array([[tells(float(c), 1.0) for c in row] for row in units @ units.T])
    worth = CoverageRanker().worth(asked)
    for place in order(asked)[:30]:
        gains = {i: sum(max(0.0, pairs[i][j] - told[j]) * asked[j].doubt for j in range(len(asked))) for i in left}
        assert worth[place] == pytest.approx(gains[place], rel=0.02, abs=0.01)
        assert gains[place] == pytest.approx(max(gains.values()), rel=0.02, abs=0.01)
        told = np.maximum(told, pairs[place])
        left.remove(place)


def test_what_is_not_taken_stands_behind_what_is_and_many_categories_are_told_apart() -> None:
    dice = random.Random(4)
    asked = [
        question([dice.gauss(0, 1) for _ in range(8)], doubt=dice.random(), likely={UUID(int=n % (2 * CLASSES)): 0.7})
        for n in range(TAKEN * 3)
    ]
    worth = sorted(CoverageRanker().worth(asked), reverse=True)
    assert len(worth) == len(asked)
    assert all(math.isfinite(value) and value >= 0 for value in worth)
    assert worth[TAKEN - 1] >= worth[TAKEN]
    assert CoverageRanker().worth([]) == []


def test_a_question_is_read_off_what_the_stages_say_and_what_is_near() -> None:
    def said(*candidates: tuple[UUID, float]) -> StageResult:
        made = tuple(Candidate(category_id=id, confidence=c, source="x", rationale="y") for id, c in candidates)
        return StageResult(stage=Stage.SIMILARITY, outcome=Outcome.UNSURE, reason="r", candidates=made)

    def near(category: UUID, similarity: float) -> Neighbour:
        return Neighbour(example_id=C, category_id=category, text="t", similarity=similarity)

    torn = question_of([said((A, 0.45), (B, 0.4)), said((B, 0.3))], [1.0], [near(A, 0.99)])
    assert torn.doubt == pytest.approx(0.95)
    sure = question_of([said((A, 0.95), (B, 0.04))], [1.0], [near(A, 0.99)])
    elsewhere = question_of([said((A, 0.95), (B, 0.04))], [1.0], [near(C, 0.99)])
    assert sure.told > torn.told > elsewhere.told
    assert question_of([], [1.0], [near(A, 0.4)]).told == 0
    assert question_of([], [1.0], []) == question([1.0])


def test_urgency_rises_with_worth_and_what_tells_of_itself_alone_has_half() -> None:
    assert urgency_of_worth(0) == 0
    assert urgency_of_worth(1) == 0.5
    assert urgency_of_worth(0.2) < urgency_of_worth(3) < urgency_of_worth(40) < urgency_of_worth(400) < 1
