"""One tenant's ensemble: it learns what there is to learn, is stored without loss, and no record breaks it."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest

from adapters.learning import stacker
from adapters.learning.ensemble import LearnedEnsemble
from adapters.learning.learner import EnsembleLearner
from core.domain.learning import Lesson, arrival_of
from tests.unit.building import a_record
from tests.unit.learning_support import (
    AMBIGUOUS,
    BY_CARD,
    SHOPS,
    UNMOVED,
    best,
    category,
    embedded,
    lesson,
    lessons,
    record,
    share_right,
    storage_of,
    taught,
    worded,
)

HOSTILE = {
    "empty": "",
    "white": " \t\n ",
    "long": "ab " * 1_333 + "c",
    "one long word": "x" * 4_000,
    "emoji": "🍕👩‍👩‍👧‍👦🏳️‍🌈 café ﷽",
    "control characters": "\x01\x07\x1b[31mTESCO\x7f\u202e\u0000".replace("\x00", ""),
    "digits": "0" * 64,
    "markup": "<script>'; DROP TABLE records; --",
}


@pytest.fixture(scope="module")
def few() -> LearnedEnsemble:
    """Taught before there is a stacker."""
    return taught(lessons(300))


@pytest.fixture(scope="module")
def stacked() -> LearnedEnsemble:
    """Taught until there is a stacker, some of them with vectors, and one answer in twenty wrong."""
    given = [
        replace(
            one, category_id=category(2) if n % 20 == 7 else one.category_id, vector=embedded(one) if n % 2 else None
        )
        for n, one in enumerate(lessons(stacker.FIRST_AT + 400))
    ]
    made = taught(given[:700], given[700:])
    assert made.score([given[0].record])[0].stacked
    return made


def test_nothing_is_said_before_anything_was_learned() -> None:
    fresh = LearnedEnsemble()
    [said] = fresh.score([record(1, "ZQX")])
    assert (said.candidates, said.asked, said.score, said.known) == ((), (), 0.0, False)
    assert fresh.score([]) == []
    assert LearnedEnsemble.load(fresh.dump(), UNMOVED).score([record(1, "ZQX")]) == [said]


def test_it_learns_what_the_texts_tell(few: LearnedEnsemble) -> None:
    assert share_right(few, lessons(300, seed=1, first=5_000)) >= 0.98


def test_it_learns_from_the_first_lessons_on() -> None:
    first = [lesson(record(n, text), number) for n, (text, number) in enumerate(SHOPS.items())]
    ensemble = taught(first)
    for text, number in SHOPS.items():
        [said] = ensemble.score([record(99, text)])
        assert said.candidates[0].category_id == category(number)
        assert said.known


def test_context_decides_where_the_text_is_ambiguous(few: LearnedEnsemble) -> None:
    for card, number in BY_CARD.items():
        [said] = few.score([record(9_000, f"{AMBIGUOUS} 123", card)])
        assert said.candidates[0].category_id == category(number)
        assert "attributes.card" in said.candidates[0].alike
        assert said.candidates[0].approved > said.candidates[0].of / 2


def test_what_is_unlike_anything_known_is_less_in_scope(few: LearnedEnsemble) -> None:
    known = few.score([one.record for one in lessons(100, seed=2, first=5_000)])
    strange = few.score([a_record(text, id=UUID(int=n)) for n, text in enumerate(["ŴŸŻ ĦĦĦ", "1899 €€€", "بسم الله"])])
    assert max(s.scope for s in strange) < min(s.scope for s in known)
    assert not any(s.known for s in strange)
    assert {s.staleness for s in strange} != {math.inf}, "their context alone was seen before"


def test_a_new_category_is_proposed_as_soon_as_it_was_taught(few: LearnedEnsemble) -> None:
    ensemble = LearnedEnsemble.load(few.dump(), UNMOVED)
    new = [lesson(record(7_000 + n, f"NEULAND VEREIN {n}"), 77) for n in range(3)]
    ensemble.learn(new, storage_of(lessons(300)), arrived=303)
    [said] = ensemble.score([record(8_000, "NEULAND VEREIN 9")])
    assert said.candidates[0].category_id == category(77)
    assert share_right(ensemble, lessons(200, seed=3, first=5_000)) >= 0.97, "and nothing is forgotten for it"


def test_the_latest_word_on_a_text_counts_more() -> None:
    """A shop moves from one category to another."""
    before = [lesson(record(n, "WANDEL GMBH"), 1) for n in range(20)]
    after = [lesson(record(100 + n, "WANDEL GMBH"), 2) for n in range(20)]
    assert best(taught(before, after).score([record(999, "WANDEL GMBH")])) == [category(2)]


def test_the_candidates_come_best_first_and_each_once(few: LearnedEnsemble, stacked: LearnedEnsemble) -> None:
    for ensemble in (few, stacked):
        for said in ensemble.score([one.record for one in lessons(50, seed=4, first=5_000)]):
            odds = [c.probability for c in said.candidates]
            assert odds == sorted(odds, reverse=True)
            assert said.score == odds[0]
            assert all(0 <= one <= 1 for one in odds)
            assert len({c.category_id for c in said.candidates}) == len(odds) > 1
            assert {c.category_id for c in said.candidates} == set(said.asked)
            assert all(0 <= c.approved <= c.of for c in said.candidates)


def test_it_knows_how_sure_it_can_be(stacked: LearnedEnsemble) -> None:
    """One answer in twenty was wrong by chance: nobody can be surer."""
    said = stacked.score([one.record for one in lessons(300, seed=5, first=9_000)])
    assert all(one.stacked for one in said)
    assert 0.8 < sum(one.score for one in said) / len(said) < 0.99
    strange = stacked.score([a_record("ŴŸŻ ĦĦĦ", id=UUID(int=5))])
    assert strange[0].score < min(np.quantile([one.score for one in said], 0.1), 0.9)


def test_only_a_new_text_is_judged_by_its_meaning(stacked: LearnedEnsemble) -> None:
    """Nobody can move what was said of a known text by what it looks like to the model."""
    [one] = lessons(1, seed=6, first=6_000)
    new = replace(one.record, text=f"{one.record.text} {worded(31_337)}")
    towards = {record.id: embedded(replace(one, category_id=category(3))) for record in (one.record, new)}
    assert stacked.score([one.record])[0].known
    assert stacked.score([one.record], towards) == stacked.score([one.record])
    assert not stacked.score([new])[0].known
    assert stacked.score([new], towards) != stacked.score([new])


def test_scores_are_kept_as_they_were_before_the_answer() -> None:
    given = lessons(400)
    ensemble = LearnedEnsemble()
    told = ensemble.learn(given, storage_of([]), arrived=400)
    assert told.keys() == {one.record.id for one in given}
    assert [told[one.record.id].arrived for one in given] == list(range(1, 401))
    seen = ensemble.observations()
    columns = (seen.score, seen.correct, seen.weight, seen.arrived, seen.stacked, seen.scope)
    assert len({len(column) for column in columns}) == 1
    assert len(seen.score) > 100
    by_arrival = {a.arrived: (a, one) for one in given for a in [told[one.record.id]]}
    for score, correct, arrived in zip(seen.score, seen.correct, seen.arrived, strict=True):
        arrival, one = by_arrival[int(arrived)]
        assert (score, correct) == (arrival.score, arrival.predicted == one.category_id)
    assert not seen.correct[0] or seen.score[0] < 0.99, "it could not know yet"


def test_even_a_short_history_foretells_itself() -> None:
    seen = taught(lessons(200)).observations()
    assert len(seen.score) >= 170
    assert sum(seen.correct[-100:]) >= 90


def test_an_amount_like_many_others_says_nothing_of_a_new_text() -> None:
    """Without context, the memory of a new text knows only how large such amounts are."""
    texts = ["ZEBRA APPLE", "ZEBRA MELON", "TIGER STEEL", "TIGER GLASS"]
    given = [lesson(a_record(f"{texts[n % 4]} {n % 40}", id=UUID(int=n + 1)), n % 4 // 2) for n in range(80)]
    [said] = taught(given).score([a_record("ZEBRA PEACH", id=UUID(int=999))])
    assert said.candidates[0].category_id == category(0)
    assert said.score > 0.8


def test_a_lesson_with_an_arrival_of_its_own_keeps_it(few: LearnedEnsemble) -> None:
    ensemble = LearnedEnsemble.load(few.dump(), UNMOVED)
    [new] = lessons(1, seed=6, first=6_000)
    [said] = ensemble.score([new.record])
    arrival = replace(arrival_of(said), score=0.125, arrived=250)
    before = len(ensemble.observations().score)
    told = ensemble.learn([replace(new, arrival=arrival, weight=20.0)], storage_of(lessons(300)), arrived=301)
    assert told == {}
    seen = ensemble.observations()
    assert len(seen.score) == before + 1
    assert (seen.score[-1], seen.weight[-1], seen.arrived[-1]) == (0.125, 20.0, 250)


def test_what_nobody_was_asked_about_teaches_and_calibrates_nothing() -> None:
    given = [replace(one, weight=None) for one in lessons(200)]
    ensemble = taught(given)
    assert len(ensemble.observations().score) == 0
    assert share_right(ensemble, lessons(100, seed=7, first=5_000)) >= 0.95


@pytest.mark.parametrize("name", ["few", "stacked"])
def test_what_is_stored_is_what_is_loaded(name: str, request: pytest.FixtureRequest) -> None:
    made: LearnedEnsemble = request.getfixturevalue(name)
    stored = made.dump()
    one, two = LearnedEnsemble.load(stored, UNMOVED), LearnedEnsemble.load(stored, UNMOVED)
    assert (one.taught, one.arrived) == (made.taught, made.arrived)
    asked = lessons(100, seed=8, first=5_000)
    records = [a.record for a in asked]
    vectors = {a.record.id: embedded(a) for a in asked[::2]}
    for given in (None, vectors):
        assert one.score(records, given) == two.score(records, given)
        # Weights are stored in half precision, so what was just learned may differ in the third digit.
        for loaded, fresh in zip(one.score(records, given), made.score(records, given), strict=True):
            assert loaded.score == pytest.approx(fresh.score, abs=0.03)
            assert loaded.scope == pytest.approx(fresh.scope, abs=0.05)
        assert best(one.score(records, given)) == best(made.score(records, given))
    assert one.dump() == stored, "and stored again it is the same"
    assert list(one.observations().score) == pytest.approx(list(made.observations().score), abs=1e-6)


def test_loaded_ones_go_on_learning_equally(stacked: LearnedEnsemble) -> None:
    stored, more = stacked.dump(), lessons(900, seed=9, first=7_000)
    one, two = LearnedEnsemble.load(stored, UNMOVED), LearnedEnsemble.load(stored, UNMOVED)
    had = lessons(stacked.taught)
    told = [each.learn(more, storage_of(had), arrived=9_999) for each in (one, two)]
    assert told[0] == told[1]
    assert one.dump() == two.dump()
    assert (one.taught, one.arrived) == (stacked.taught + 900, 9_999)
    assert share_right(one, lessons(100, seed=10, first=12_000)) >= 0.95


def test_what_is_stored_holds_no_pickles(stacked: LearnedEnsemble) -> None:
    with np.load(io.BytesIO(stacked.dump()), allow_pickle=False) as arrays:
        assert {name: arrays[name].dtype.hasobject for name in arrays} == dict.fromkeys(arrays, False)
        assert "stacker" in arrays


def test_what_is_said_of_a_record_does_not_depend_on_the_others(stacked: LearnedEnsemble) -> None:
    asked = lessons(64, seed=11, first=5_000)
    records = [one.record for one in asked]
    together = stacked.score(records)
    assert [stacked.score([one])[0] for one in records] == together
    assert stacked.score(records[::-1])[::-1] == together
    vectors = {one.record.id: embedded(one) for one in asked}
    for alone, said in zip(
        ([stacked.score([r], vectors)[0] for r in records]), stacked.score(records, vectors), strict=True
    ):
        assert alone.score == pytest.approx(said.score, abs=1e-3)
        assert alone.scope == pytest.approx(said.scope, abs=1e-3)
        assert alone.candidates[0].category_id == said.candidates[0].category_id


def test_to_ask_changes_nothing(few: LearnedEnsemble) -> None:
    before = few.dump()
    few.score([one.record for one in lessons(50, seed=12, first=5_000)])
    assert few.dump() == before


@pytest.mark.parametrize("count", [400, stacker.FIRST_AT + 400], ids=["at first", "stacked"])
def test_vectors_tell_what_texts_do_not(count: int) -> None:
    def unheard_of(given: list[Lesson], every: int) -> list[Lesson]:
        """Some have words that come only once."""
        return [
            replace(one, record=replace(one.record, text=f"{worded(n * 7919)} ŧ{worded(n)}ŧ"))
            if n % every == 0
            else one
            for n, one in enumerate(given, given[0].record.id.int)
        ]

    given = [replace(one, vector=embedded(one)) for one in unheard_of(lessons(count), 2)]
    ensemble = taught(given)
    asked = unheard_of(lessons(80, seed=13, first=5_000), 1)
    vectors = {one.record.id: embedded(one) for one in asked}
    assert share_right(ensemble, asked, vectors=vectors) >= 0.95
    assert share_right(ensemble, asked) < 0.7
    some = dict(list(vectors.items())[:40])
    assert share_right(ensemble, asked[:40], vectors=some) >= 0.95
    said, alone = ensemble.score([one.record for one in asked], some), ensemble.score([one.record for one in asked])
    assert said[40:] == alone[40:], "what has no vector is judged as without"


def test_a_merged_category_is_the_other_one(stacked: LearnedEnsemble) -> None:
    merged = LearnedEnsemble.load(stacked.dump(), UNMOVED | {category(3): category(5)})
    asked = [record(9_000 + n, f"{text} {n}") for n, text in enumerate(SHOPS)]
    said = merged.score(asked)
    assert best(said)[list(SHOPS.values()).index(3)] == category(5)
    assert best(said)[list(SHOPS.values()).index(5)] == category(5)
    for one, before in zip(said, stacked.score(asked), strict=True):
        apart = sum(c.probability for c in before.candidates if c.category_id in (category(3), category(5)))
        together = sum(c.probability for c in one.candidates if c.category_id == category(5))
        assert together == pytest.approx(apart), "what was said of both is said of the one"
        assert one.score == max(c.probability for c in one.candidates)
        proposed = [c.category_id for c in one.candidates]
        assert category(3) not in proposed
        assert len(set(proposed)) == len(proposed), "the other one is proposed once"
        assert len(one.asked) * 2 <= len(one.features), "each candidate that was asked has its features"
    more = [lesson(record(9_500 + n, f"PLIRT WERKE {n}"), 5) for n in range(30)]
    merged.learn(more, storage_of(lessons(stacked.taught)), arrived=9_999)
    assert best(LearnedEnsemble.load(merged.dump(), UNMOVED).score([asked[2]])) == [category(5)]


def test_a_deleted_category_is_proposed_no_more(stacked: LearnedEnsemble) -> None:
    there = {id: id for id in UNMOVED if id != category(3)}
    deleted = LearnedEnsemble.load(stacked.dump(), there)
    asked = [record(9_000 + n, f"{text} {n}") for n, text in enumerate(SHOPS)]
    for ensemble in (deleted, LearnedEnsemble.load(deleted.dump(), UNMOVED)):
        for one in ensemble.score(asked):
            assert category(3) not in {c.category_id for c in one.candidates}
        found = best(ensemble.score(asked))
        assert [a == category(n) for a, n in zip(found, SHOPS.values(), strict=True)] == [True, True, False, True, True]
    # Created again under a new id, it is learned as what is new.
    deleted.learn([lesson(record(9_600, "PLIRT WERKE"), 33)], storage_of([]), arrived=9_999)
    assert category(33) in {c.category_id for c in deleted.score([asked[2]])[0].candidates}


def test_nothing_is_proposed_when_every_category_is_gone(few: LearnedEnsemble) -> None:
    gone = LearnedEnsemble.load(few.dump(), {})
    [said] = gone.score([record(1, "VUMBA KIOSK")])
    assert (said.candidates, said.score) == ((), 0.0)
    gone.learn([lesson(record(2, "VUMBA KIOSK"), 8)], storage_of([]), arrived=500)
    assert best(gone.score([record(1, "VUMBA KIOSK")])) == [category(8)]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_no_text_breaks_it(text: str, stacked: LearnedEnsemble) -> None:
    odd = a_record(
        text,
        "999999999999999999999999.99",
        id=UUID(int=3),
        counterparty=text[:512],
        account=text[:512],
        attributes={"card": text, text[:100] or "x": [1, None], "deep": {"a": {}}, "no": None, "yes": True},
    )
    [said] = stacked.score([odd])
    assert math.isfinite(said.score)
    assert math.isfinite(said.scope)
    bare = a_record(text, None, id=UUID(int=4))
    ensemble = LearnedEnsemble.load(stacked.dump(), UNMOVED)
    ensemble.learn([lesson(odd, 1), lesson(bare, 6)] * 2, storage_of(lessons(100)), arrived=9_999)
    again = LearnedEnsemble.load(ensemble.dump(), UNMOVED)
    [learned] = again.score([bare])
    assert {c.category_id for c in learned.candidates[:2]} == {category(1), category(6)}, "as it was told of the text"
    assert share_right(again, lessons(60, seed=14, first=5_000)) >= 0.95, "and it learned nothing wrong of it"


@pytest.mark.parametrize("count", [1, stacker.FIRST_AT + 100])
def test_one_single_category_is_always_right(count: int) -> None:
    given = [replace(one, category_id=category(1)) for one in lessons(count)]
    ensemble = taught(given)
    said = ensemble.score([one.record for one in lessons(5, seed=15, first=5_000)])
    assert best(said) == [category(1)] * 5
    assert all(len(one.candidates) == 1 for one in said)


def test_the_same_lessons_teach_the_same() -> None:
    assert (
        taught(lessons(250), lessons(250, seed=1, first=250)).dump()
        == taught(lessons(250), lessons(250, seed=1, first=250)).dump()
    )


def test_learning_nothing_changes_nothing(few: LearnedEnsemble) -> None:
    ensemble = LearnedEnsemble.load(few.dump(), UNMOVED)
    asked = [one.record for one in lessons(20, seed=16, first=5_000)]
    before = ensemble.score(asked)
    assert ensemble.learn([], storage_of(lessons(300)), arrived=ensemble.arrived) == {}
    assert ensemble.score(asked) == before


def test_more_arrivals_age_what_is_known(few: LearnedEnsemble) -> None:
    ensemble = LearnedEnsemble.load(few.dump(), UNMOVED)
    asked: list[Lesson] = lessons(1)
    young = ensemble.score([asked[0].record])[0].staleness
    ensemble.learn([], storage_of([]), arrived=ensemble.arrived + 5_000)
    assert ensemble.score([asked[0].record])[0].staleness == young + 5_000


def test_the_learner_keeps_what_was_asked_last_and_loads_what_changed(few: LearnedEnsemble) -> None:
    learner, loads = EnsembleLearner(capacity=2), list[str]()
    stored = few.dump()

    def at_hand(tenant: int, version: int, tree: str = "a") -> LearnedEnsemble:
        def fetch() -> tuple[bytes, dict[UUID, UUID]]:
            loads.append(f"{tenant}.{version}.{tree}")
            return stored, UNMOVED if tree == "a" else UNMOVED | {category(1): category(2)}

        return learner.at_hand(UUID(int=tenant), version, tree, fetch)

    first = at_hand(1, 1)
    assert at_hand(1, 1) is first
    assert at_hand(1, 2) is not first
    moved = at_hand(1, 2, "b")
    assert category(1) not in {c.category_id for c in moved.score([record(1, "ZQX QORBEL MARKT")])[0].candidates}
    at_hand(2, 1)
    at_hand(1, 2, "b")
    at_hand(3, 1)  # there is room for two: the second tenant was asked longest ago
    at_hand(1, 2, "b")
    at_hand(2, 1)
    assert loads == ["1.1.a", "1.2.a", "1.2.b", "2.1.a", "3.1.a", "2.1.a"]
