"""The parts of the ensemble: features, the label memory, and the classifier that takes in new classes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from adapters.learning.features import (
    DIMENSIONS,
    MAX_FIELDS,
    TEXT_KEYS,
    FeatureSpace,
    context_of,
    plain_form,
    telling_fields,
)
from adapters.learning.memory import SLOTS, LabelMemory
from adapters.learning.softmax import Softmax, probabilities
from tests.unit.building import a_record

ROOT = Path(__file__).parents[2]
FIELDS = ("attributes.card", "counterparty")
PRINTED = """
import hashlib
from adapters.learning.features import FeatureSpace
from tests.unit.building import a_record
from uuid import UUID
found = FeatureSpace(("attributes.card", "counterparty")).of([
    a_record("SHELL 0417 Köln", "-12.34", counterparty="Shell", attributes={"card": "7"}),
    a_record("", None, id=UUID(int=9)),
])
digest = hashlib.sha256()
for array in (found.grams.indptr, found.grams.indices, found.grams.data, found.keys, found.amounts):
    digest.update(array.tobytes())
print(digest.hexdigest())
"""
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=80)


def printed(seed: str) -> str:
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", PRINTED], capture_output=True, text=True, env=environment, check=True)
    return done.stdout


def test_equal_records_have_equal_features_in_every_process() -> None:
    assert printed("1") == printed("2") != ""


@given(texts=st.lists(TEXTS, min_size=1, max_size=8))
def test_features_do_not_depend_on_what_else_is_asked(texts: list[str]) -> None:
    records = [a_record(text, id=UUID(int=n), attributes={"card": text[:3]}) for n, text in enumerate(texts)]
    together = FeatureSpace(FIELDS).of(records)
    space = FeatureSpace(FIELDS)
    for n, record in enumerate(records):
        alone = space.of([record])
        assert (alone.keys[0] == together.keys[n]).all()
        assert (alone.grams != together.grams[n]).nnz == 0
        assert alone.grams.shape == (1, DIMENSIONS)
        assert np.isfinite(alone.grams.data).all()


def test_the_keys_differ_where_their_parts_do() -> None:
    space = FeatureSpace(("attributes.card",))
    names = list(space.names)

    def same(**changes: object) -> set[tuple[str, ...]]:
        base = {"text": "SHELL 0417", "amount": "-10.00", "attributes": {"card": "7"}}
        pair = space.of([a_record(**base), a_record(**{**base, **changes})])  # type: ignore[arg-type]
        assert len(set(pair.keys[0].tolist())) == len(names), "no two keys of a record are one"
        return {name for name, key, other in zip(names, *pair.keys.tolist(), strict=True) if key == other}

    assert same() == set(names)
    assert same(text="  shell\t0417 ") == set(names), "white space and case are no difference"
    assert same(text="SHELL 0391") == {name for name in names if "whole" not in name}
    assert same(attributes={"card": "8"}) == {name for name in names if "attributes.card" not in name}
    assert same(amount="-10.01") == {name for name in names if "amount" not in name}
    assert same(amount="10.00") == {name for name in names if not {"amount", "size"} & set(name)}


@pytest.mark.parametrize(
    ("one", "other"),
    [("shell 0417", "shell 0391"), ("paypal *spotify ab", "spotify ab"), ("tesco stores ltd", "tesco")],
)
def test_the_plain_form_leaves_numbers_agents_and_legal_forms_out(one: str, other: str) -> None:
    assert plain_form(one) == plain_form(other) != ""


def test_numbers_alone_have_a_plain_form_too() -> None:
    assert plain_form("4711 / 0815") == ""
    assert FeatureSpace(()).of([a_record("4711"), a_record("")]).keys.shape[0] == 2


def test_texts_of_numbers_alone_are_not_taken_for_each_other() -> None:
    """Else whoever had one payment reference approved would have vouched for all others."""
    keys = FeatureSpace(()).of([a_record("4711 / 0815"), a_record("4712 / 0816")]).keys[:, :TEXT_KEYS]
    assert not set(keys[0].tolist()) & set(keys[1].tolist())


def test_context_is_what_is_short_and_said() -> None:
    record = a_record(
        "X", account="giro", attributes={"card": 7, "yes": True, "long": "x" * 200, "list": [1], "none": None}
    )
    assert context_of(record) == {
        "attributes.card": "7",
        "attributes.yes": "True",
        "account": "giro",
        "kind": "transaction",
        "currency": "EUR",
    }


def test_telling_fields_leave_out_ids_constants_and_what_is_rare() -> None:
    contexts = [
        {
            "card": str(n % 7),
            "id": f"R{n}",
            "constant": "x",
            "team": str(n % 3),
            **({"rare": str(n % 2)} if n % 10 == 0 else {}),
        }
        for n in range(200)
    ]
    assert telling_fields(contexts) == ("card", "team")
    assert telling_fields([]) == ()


def test_there_are_no_more_telling_fields_than_are_crossed() -> None:
    contexts = [{f"field {i}": str(n % (i + 2)) for i in range(MAX_FIELDS + 5)} for n in range(300)]
    found = telling_fields(contexts)
    assert len(found) == MAX_FIELDS
    assert found == tuple(sorted(found))


def told(*labels: int, keys: int = 1) -> LabelMemory:
    memory = LabelMemory()
    for when, label in enumerate(labels):
        one = np.arange(100, 100 + keys, dtype=np.uint64).reshape(1, keys)
        memory.add(one, np.array([label]), np.array([when], np.float64))
    return memory


def weights(memory: LabelMemory, key: int = 100) -> dict[int, float]:
    row = memory.rows(np.array([[key]], np.uint64))[0, 0]
    return {
        int(label): float(w) for label, w in zip(memory.labels[row], memory.weights[row], strict=True) if label >= 0
    }


def test_older_labels_weigh_less() -> None:
    memory = told(1, 1, 1, 2)
    found = weights(memory)
    assert found.keys() == {1, 2}
    assert found[2] == 1
    one = weights(told(1))[1]
    assert one < found[1] < 3 * one
    assert weights(told(*[1] * 8, *[2] * 8))[2] > 2 * weights(told(*[1] * 8, *[2] * 8))[1]
    row = memory.rows(np.array([[100]], np.uint64))[0, 0]
    assert (memory.support[row], memory.streak[row], memory.last[row], memory.at[row]) == (4, 1, 2, 3)
    assert told(2, 1, 1, 1).streak[1] == 3


def test_the_lightest_label_gives_way_when_there_is_no_slot() -> None:
    labels = [0, *range(SLOTS), 0, SLOTS]
    found = weights(told(*labels))
    assert len(found) == SLOTS
    assert found.keys() == set(range(SLOTS + 1)) - {1}, "0 was told thrice, so 1 is the lightest"


def test_what_was_never_seen_has_row_zero_and_no_label() -> None:
    memory = told(3, keys=4)
    rows = memory.rows(np.array([[1, 100], [103, 2]], np.uint64))
    assert rows.tolist() == [[0, 1], [4, 0]]
    assert (memory.labels[0] == -1).all()
    assert memory.support[0] == 0


def test_the_memory_grows_and_is_stored_whole() -> None:
    memory, count = LabelMemory(), 10_000
    keys = np.arange(1, count + 1, dtype=np.uint64).reshape(-1, 1) * np.uint64(0x9E3779B97F4A7C15)
    labels = np.arange(count) % 300
    memory.add(keys, labels, np.arange(count, dtype=np.float64))
    for found in (
        memory,
        LabelMemory.load(memory.arrays()),
        LabelMemory.load(LabelMemory.load(memory.arrays()).arrays()),
    ):
        rows = found.rows(keys)[:, 0]
        assert len(set(rows.tolist())) == count
        assert (found.labels[rows].max(1) == labels).all()
        assert (found.at[rows] == np.arange(count)).all()
        found.add(np.array([[5]], np.uint64), np.array([1]), np.array([1.0]))
        assert found.rows(np.array([[5]], np.uint64))[0, 0] == count + 1


def learned(classes: int, count: int = 600) -> tuple[Softmax, np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    labels = random.integers(0, classes, count)
    inputs = np.eye(8, dtype=np.float32)[labels] + random.normal(0, 0.1, (count, 8)).astype(np.float32)
    model = Softmax(8, classes)
    model.fit(inputs, labels, np.ones(count, np.float32))
    return model, inputs, labels


def test_the_classifier_learns_and_takes_in_new_classes() -> None:
    model, inputs, labels = learned(4)
    there = np.ones(4, bool)
    assert (model.logits(inputs, there).argmax(1) == labels).mean() > 0.98
    before = model.logits(inputs, there)
    model.widen(6)
    after = model.logits(inputs, np.ones(6, bool))
    assert (after[:, :4] == before).all()
    assert (after[:, 4:] == 0).all(), "a new class begins with nothing"
    more = np.eye(8, dtype=np.float32)[np.full(60, 5)]
    model.fit(more, np.full(60, 5), np.ones(60, np.float32))
    found = model.logits(np.concatenate([inputs, more]), np.ones(6, bool)).argmax(1)
    assert (found == np.concatenate([labels, np.full(60, 5)])).mean() > 0.98
    model.widen(3)
    assert len(model.bias) == 6, "it never narrows"


def test_classes_that_are_gone_are_as_good_as_impossible() -> None:
    model, inputs, _ = learned(4)
    there = np.array([True, False, True, True])
    shares = probabilities(model.logits(inputs, there))
    assert shares[:, 1].max() < 1e-6
    assert shares.sum(1) == pytest.approx(1)


def test_sparse_and_dense_inputs_teach_alike() -> None:
    dense, inputs, labels = learned(4)
    model = Softmax(8, 4)
    model.fit(sparse.csr_matrix(inputs), labels, np.ones(len(labels), np.float32))
    assert model.weights == pytest.approx(dense.weights, abs=1e-4)


def test_what_weighs_nothing_teaches_nothing() -> None:
    model = Softmax(8, 2)
    model.fit(np.eye(8, dtype=np.float32), np.zeros(8, np.int64), np.zeros(8, np.float32))
    assert not model.weights.any()
    assert not model.bias.any()


def test_a_stored_classifier_says_the_same() -> None:
    model, inputs, _ = learned(4)
    loaded = Softmax.load("x", 8, model.arrays("x"))
    there = np.ones(4, bool)
    assert loaded.logits(inputs, there) == pytest.approx(model.logits(inputs, there), abs=0.01)
    again = Softmax.load("x", 8, loaded.arrays("x"))
    assert (again.logits(inputs, there) == loaded.logits(inputs, there)).all()


@given(logits=st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=9))
def test_probabilities_sum_to_one_whatever_the_logits(logits: list[float]) -> None:
    [shares] = probabilities(np.array([logits], np.float32))
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert shares.argmax() == int(np.argmax(logits)) or shares.max() == shares[int(np.argmax(logits))]
