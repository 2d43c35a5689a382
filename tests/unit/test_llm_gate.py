"""From where on the LLM decides alone: never before it was shown, and not undone by the checks that then go on."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from core.domain.gate import RECENT
from core.domain.llm_gate import LlmLabel, level, llm_gates

RIGHT: Mapping[float, float] = {0.6: 0.5, 0.8: 0.8, 0.9: 0.9, 0.95: 0.97, 0.98: 0.99}
"""A model that states one of five confidences → how often it is right then."""


def labels(count: int, confidence: float = 0.9, wrong: int = 0, **fields: object) -> list[LlmLabel]:
    """So many, each of another text; the first of them are wrong."""
    standard: dict[str, object] = {"weight": 1.0, "measured": False}
    return [
        LlmLabel(confidence=confidence, right=n >= wrong, **{"group_key": f"{confidence}-{n}", **standard, **fields})  # type: ignore[arg-type]
        for n in range(count)
    ]


def test_nothing_is_decided_before_people_have_answered() -> None:
    assert {g.threshold for g in llm_gates([], 0.5).values()} == {None}
    few = llm_gates(labels(100), 0.95)[False]
    assert (few.threshold, few.labels) == (None, 100)
    enough = llm_gates(labels(110), 0.95)[False]
    assert (enough.threshold, enough.labels) == (0.9, 110)
    assert llm_gates(labels(110, wrong=8), 0.95)[False].threshold is None


def test_measured_and_stated_confidences_are_calibrated_apart() -> None:
    gates = llm_gates([*labels(110, measured=True), *labels(110, wrong=40)], 0.95)
    assert (gates[True].threshold, gates[False].threshold) == (0.9, None)


def test_a_tie_is_decided_whole_or_not_at_all() -> None:
    """All of 0.95 are right, of 0.9 every fifth is wrong: those stand or fall together."""
    assert llm_gates([*labels(200, 0.95), *labels(200, 0.9, wrong=40)], 0.95)[False].threshold == 0.95
    assert llm_gates([*labels(200, 0.95), *labels(200, 0.9, wrong=40)], 0.85)[False].threshold == 0.9


def test_one_answer_to_many_alike_is_one_piece_of_evidence() -> None:
    alike = labels(500, group_key="one click")
    assert llm_gates(alike, 0.9)[False].threshold is None
    assert llm_gates([*alike, *labels(110)], 0.95)[False].threshold == 0.9
    wrong = labels(100, wrong=100, group_key="a frequent merchant")
    assert llm_gates([*wrong, *labels(200)], 0.95)[False].threshold is None, "and yet each is a record decided wrongly"


@pytest.mark.parametrize("wrong", [0, 1, 8])
def test_a_few_checks_add_to_what_opened_it_and_do_not_drown_it(wrong: int) -> None:
    """Eight spot checks stand for 400 records: by their weights alone they would be all that counts."""
    checks = labels(8, 0.9, wrong=wrong, weight=50.0, group_key="check")
    gate = llm_gates([*labels(150), *checks], 0.95)[False]
    assert (gate.threshold is not None) is (wrong < 8)


def test_confidences_are_taken_together_by_level() -> None:
    assert [level(c) for c in (0.0, 0.29, 0.857, 0.9, 0.99, 0.9951, 0.9999, 1.0)] == [
        0.0,
        0.29,
        0.85,
        0.9,
        0.99,
        0.995,
        0.999,
        1.0,
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("promise", "least"), [(0.9, 0.5), (0.95, 0.15)])
def test_it_keeps_the_promise_while_it_decides_what_it_learns_from(promise: float, least: float) -> None:
    """50 days of 300 records: what is not decided is answered, of what is decided 2 % are checked."""
    automated = right = total = 0
    for seed in range(4):
        chance = random.Random(seed)
        known: list[LlmLabel] = []
        for day in range(50):
            threshold = llm_gates(known[-RECENT:], promise)[False].threshold
            for n in range(300):
                confidence = chance.choice(list(RIGHT))
                correct = chance.random() < RIGHT[confidence]
                alone = threshold is not None and confidence >= threshold
                automated, right, total = automated + alone, right + (alone and correct), total + 1
                if not alone or chance.random() < 0.02:
                    weight = 50.0 if alone else 1.0
                    known.append(
                        LlmLabel(
                            confidence=confidence,
                            right=correct,
                            weight=weight,
                            measured=False,
                            group_key=f"{day}-{n}",
                        )
                    )
    assert right / automated >= promise
    assert automated / total >= least


def test_a_model_that_never_keeps_the_promise_hardly_ever_decides() -> None:
    """It is right in 93 of 100 whatever it states; people look at all that it does, day by day."""
    opened = days = 0
    for seed in range(20):
        chance = random.Random(seed)
        known: list[LlmLabel] = []
        for day in range(30):
            opened += llm_gates(known, 0.95)[False].threshold is not None
            days += 1
            known += [
                LlmLabel(
                    confidence=chance.choice(list(RIGHT)),
                    right=chance.random() < 0.93,
                    weight=1.0,
                    measured=False,
                    group_key=f"{day}-{n}",
                )
                for n in range(20)
            ]
    assert opened / days < 0.05
