"""The stacker: what it says of a record's candidates is one distribution, with a share for none of them."""

from __future__ import annotations

import numpy as np

from adapters.learning import stacker

RECORDS = 600


def told(seed: int = 1) -> tuple[stacker.Floats, np.ndarray, np.ndarray]:
    """Features, correct and sizes: a record has one to four candidates, and the correct one is strong in its first
    feature; of one record in five, none is correct."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 5, RECORDS)
    starts = np.cumsum(sizes) - sizes
    correct = np.zeros(sizes.sum(), bool)
    some = random.random(RECORDS) < 0.8
    correct[(starts + random.integers(0, sizes))[some]] = True
    features = random.normal(0, 1, (len(correct), 3)).astype(np.float32)
    features[correct, 0] += 3
    return features, correct, sizes


def test_the_candidates_of_a_record_share_one_distribution() -> None:
    features, correct, sizes = told()
    booster = stacker.train(features, correct, np.ones(len(correct), np.float32), sizes)

    again, truth, their = told(2)
    chances = stacker.predict(booster, again, their)
    sums = np.add.reduceat(chances, np.cumsum(their) - their)

    assert (chances > 0).all()
    assert (sums < 1).all()
    assert chances[truth].mean() > 0.8 > 0.2 > chances[~truth].mean()
    right = np.add.reduceat(truth, np.cumsum(their) - their)
    assert sums[right == 0].mean() < 0.5 < sums[right == 1].mean()


def test_how_records_are_asked_about_together_changes_nothing() -> None:
    features, correct, sizes = told()
    booster = stacker.train(features, correct, np.ones(len(correct), np.float32), sizes)

    at_once = stacker.predict(booster, features, sizes)
    one_by_one = [
        stacker.predict(booster, part, np.array([len(part)])) for part in np.split(features, np.cumsum(sizes)[:-1])
    ]

    np.testing.assert_allclose(np.concatenate(one_by_one), at_once, rtol=1e-5)


def test_what_weighs_nothing_teaches_nothing() -> None:
    features, correct, sizes = told()
    doubted = np.repeat(np.arange(RECORDS) % 2 == 0, sizes)
    labels = np.where(doubted, ~correct, correct)

    booster = stacker.train(features, labels, np.where(doubted, 0, 1).astype(np.float32), sizes)

    chances = stacker.predict(booster, features, sizes)
    assert chances[correct].mean() > 0.8


def test_a_kept_stacker_says_the_same() -> None:
    features, correct, sizes = told()
    booster = stacker.train(features, correct, np.ones(len(correct), np.float32), sizes)

    loaded = stacker.load(stacker.dump(booster))

    assert (stacker.predict(loaded, features, sizes) == stacker.predict(booster, features, sizes)).all()
