"""What is out of scope: new texts unlike any that were learned are told from those that fit in, early too."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from adapters.learning.ensemble import VECTOR, LearnedEnsemble
from adapters.learning.familiarity import CAPACITY, Familiarity
from core.domain.gate import RECENT, gate_of
from core.domain.learning import Lesson, Scored
from tests.unit.learning_support import UNMOVED, category, embedded, lesson, record, storage_of, taught, worded

KINDS = {1: "kontorbedarf", 2: "ferienlager"}
OTHERS = {3: "zahnarzt", 4: "mietwagen"}
FIRST_NEW = 10_000


def of_kinds(count: int, kinds: dict[int, str], new: float, seed: int = 0, first: int = 0) -> list[Lesson]:
    """As many records of some kinds of things, a share of them `new` texts, the others of one of twenty."""
    chance, found = random.Random(seed), []
    for number in range(first, first + count):
        kind = chance.choice(list(kinds))
        name = worded(FIRST_NEW + number) if chance.random() < new else worded(chance.randrange(20))
        one = lesson(record(number, f"{kinds[kind]} {name}", "north" if kinds is KINDS else name), kind)
        found.append(replace(one, vector=embedded(one)))
    return found


def said_of(ensemble: LearnedEnsemble, asked: list[Lesson]) -> list[Scored]:
    scored = ensemble.score([one.record for one in asked], {one.record.id: one.vector or () for one in asked})
    return [said for said in scored if not said.known]


def share_alone(ensemble: LearnedEnsemble, asked: list[Lesson], promise: float = 0.8) -> float:
    seen = ensemble.observations()
    latest = [score for score, stacked in zip(seen.score, seen.stacked, strict=True) if stacked][-RECENT:]
    gate = gate_of(seen, latest, ensemble.arrived, promise)
    said = said_of(ensemble, asked)
    return sum(gate.opens(one.score, one.scope, stacked=one.stacked) for one in said) / len(said)


@pytest.fixture(scope="module")
def history() -> LearnedEnsemble:
    """A tenant's history of two kinds of things, imported at once."""
    return taught(of_kinds(587, KINDS, new=0.45))


def test_when_other_things_begin_to_arrive_they_are_not_decided_alone(history: LearnedEnsemble) -> None:
    assert share_alone(history, of_kinds(150, OTHERS, new=1.0, seed=1, first=5_000)) <= 0.05
    assert share_alone(history, of_kinds(150, KINDS, new=1.0, seed=1, first=5_000)) >= 0.4, (
        "while those that fit in are"
    )


def test_before_new_texts_were_sorted_known_ones_alone_are_decided_alone() -> None:
    """All but the first lessons are of known texts: what a new one must look like, nobody showed."""
    ensemble = taught(of_kinds(587, KINDS, new=0.0))
    asked = of_kinds(100, KINDS, new=1.0, seed=2, first=5_000)
    assert share_alone(ensemble, asked) == 0
    again = [one.record for one in of_kinds(100, KINDS, new=0.0, seed=3, first=6_000)]
    gate = gate_of(ensemble.observations(), [], ensemble.arrived, 0.8)
    assert all(gate.opens(said.score, said.scope, stacked=said.stacked) for said in ensemble.score(again))


def test_what_fits_in_looks_as_familiar_whatever_was_learned_by_then(history: LearnedEnsemble) -> None:
    had = of_kinds(587, KINDS, new=0.45)
    longer = LearnedEnsemble.load(history.dump(), UNMOVED)
    longer.learn(of_kinds(3_000, KINDS, new=0.45, seed=4, first=600), storage_of(had), arrived=4_000)
    fitting = of_kinds(300, KINDS, new=1.0, seed=5, first=5_000)
    strange = of_kinds(300, OTHERS, new=1.0, seed=5, first=5_000)

    def quantiles(ensemble: LearnedEnsemble, asked: list[Lesson]) -> list[float]:
        return [float(q) for q in np.quantile([said.scope for said in said_of(ensemble, asked)], [0.1, 0.5, 0.9])]

    assert quantiles(longer, fitting) == pytest.approx(quantiles(history, fitting), abs=1.0)
    for ensemble in (history, longer):
        assert quantiles(ensemble, strange)[2] < quantiles(ensemble, fitting)[0]


def test_a_new_text_without_a_vector_is_out_of_scope_where_others_have_one(history: LearnedEnsemble) -> None:
    ensemble = LearnedEnsemble.load(history.dump(), UNMOVED)
    asked = of_kinds(100, KINDS, new=1.0, seed=6, first=5_000)
    quick = ensemble.score([one.record for one in asked])
    assert max(said.scope for said in quick) < min(said.scope for said in said_of(ensemble, asked))
    before = len(ensemble.observations().scope)
    ensemble.learn([replace(one, vector=None) for one in asked], storage_of([]), arrived=700)
    told = ensemble.observations().scope[before:]
    assert len(told) == 100
    assert all(map(math.isinf, told)), "and it tells nothing of how familiar new texts look"


def test_what_is_like_a_deleted_category_alone_is_out_of_scope(history: LearnedEnsemble) -> None:
    without = LearnedEnsemble.load(history.dump(), {category(1): category(1)})
    asked = [one for one in of_kinds(100, KINDS, new=1.0, seed=7, first=5_000) if one.category_id == category(2)]
    before, after = ([said.scope for said in said_of(one, asked)] for one in (history, without))
    assert np.mean(after) < np.mean(before) - 2


def vectors(count: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    found = np.random.default_rng(seed).standard_normal((count, VECTOR)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_the_nearest_is_found_among_the_latest_texts() -> None:
    familiarity = Familiarity(VECTOR)
    assert familiarity.nearest(vectors(2)).tolist() == [0, 0], "nothing is near while there is nothing"
    first, more = vectors(3), vectors(CAPACITY - 1, seed=1)
    familiarity.learn(first, np.array([0, 1, 2]))
    assert familiarity.nearest(first) == pytest.approx([1, 1, 1], abs=1e-5)
    familiarity.learn(more, np.zeros(len(more), np.int64))
    assert familiarity.nearest(more) == pytest.approx(np.ones(len(more)), abs=1e-5)
    near = familiarity.nearest(first)
    assert near[2] == pytest.approx(1, abs=1e-5)
    assert max(near[:2]) < 0.5, "the oldest made room"


def test_familiar_is_what_others_that_were_sorted_right_are() -> None:
    familiarity, nobody = Familiarity(VECTOR), np.zeros(3, bool)
    chance = np.random.default_rng(0)
    right = (np.array([9, 0.7, 0.5]) + chance.standard_normal((400, 3)) * [2, 0.1, 0.1]).astype(np.float32)
    familiarity.compare(right, np.ones(400))
    asked = np.array([[9, 0.7, 0.5], [30, 0.99, 1], [30, 0.1, 1]], np.float32)
    usual, best, far = familiarity.of(asked, nobody).tolist()
    assert best == 0
    assert usual == pytest.approx(-math.sqrt(1 + 0.7**2 + 1), abs=0.2), "each sign is a deviation below enough"
    assert far == pytest.approx(0.7 * -7, abs=0.5), "and clear categories don't make up for a text that is near nothing"
    assert familiarity.of(asked, ~nobody).tolist() == [math.inf] * 3


def test_what_was_decided_alone_and_checked_stands_for_many() -> None:
    heavy, many = Familiarity(VECTOR), Familiarity(VECTOR)
    hard, easy = np.array([[2, 0.4, 0.1]], np.float32), np.array([[9, 0.7, 0.5]], np.float32)
    heavy.compare(np.concatenate([hard, easy]), np.array([1.0, 50.0]))
    many.compare(np.concatenate([hard, *[easy] * 50]), np.ones(51))
    asked = np.array([[5, 0.5, 0.2]], np.float32)
    known = np.zeros(1, bool)
    assert heavy.of(asked, known) == pytest.approx(many.of(asked, known), rel=0.1)


def test_texts_are_stored_with_it_but_for_those_of_classes_that_are_gone() -> None:
    familiarity = Familiarity(VECTOR)
    familiarity.learn(vectors(4), np.array([0, 1, 0, 2]))
    familiarity.compare(np.array([[9, 0.7, 0.5]], np.float32), np.ones(1))
    loaded = Familiarity.load(familiarity.arrays(), np.array([True, False, True]))
    assert loaded.nearest(vectors(4))[[0, 2, 3]] == pytest.approx([1, 1, 1], abs=1e-3)
    assert loaded.nearest(vectors(4))[1] < 0.5
    asked, known = np.array([[5, 0.5, 0.2]], np.float32), np.zeros(1, bool)
    assert loaded.of(asked, known).tolist() == familiarity.of(asked, known).tolist()
