"""The stacker: boosted trees that turn what the members say of a record's candidates into P(correct) of each.

A record's candidates share one softmax, in which a constant stands for "none of them": one that is likely makes the
others unlikely. Kept as XGBoost's own UBJSON, never as a pickle.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import xgboost

FIRST_AT = 1_000
"""Lessons before the first stacker: below, its P is worse than the classifier's."""
_EVERY, _SOONEST = 3_000, 800
WINDOW = 20_000
"""The latest lessons that it is made of."""
_ROUNDS, _FEWEST_ROUNDS, _LESSONS_A_ROUND = 140, 25, 75
_PARAMETERS = {
    # Of the model that is kept: its predictions are the sums of its trees. It is made with `_objective`.
    "objective": "reg:squarederror",
    "base_score": 0.0,
    "tree_method": "hist",
    "grow_policy": "lossguide",
    "max_leaves": 31,
    "max_depth": 0,
    "eta": 0.08,
    # Of the hessian: at a P of 0.98 a leaf of 2 holds 100 records. With 8 the sure ones can't be told apart.
    "min_child_weight": 2.0,
    "reg_lambda": 1.0,
    "max_bin": 127,
    "nthread": 1,
    "seed": 0,
}
_FLATTEST = 1e-6
"""The least curvature, for numeric stability."""

Floats = npt.NDArray[np.float32]


def next_at(lessons: int) -> int:
    """At how many lessons the stacker is made anew: sooner while there are few."""
    return lessons + min(_EVERY, max(_SOONEST, lessons // 3))


def train(
    features: Floats, correct: npt.NDArray[np.bool_], weights: Floats, sizes: npt.NDArray[np.int64]
) -> xgboost.Booster:
    """`features` (pairs of record and candidate, features), whether each candidate was `correct`, and its weight;
    `sizes` (records) tells how many pairs are each record's, in the order of the pairs."""
    data = xgboost.QuantileDMatrix(features, correct, max_bin=127, nthread=1)
    rounds = min(_ROUNDS, _FEWEST_ROUNDS + len(sizes) // _LESSONS_A_ROUND)
    return xgboost.train(_PARAMETERS, data, rounds, obj=_objective(correct, weights, sizes))


def _objective(
    correct: npt.NDArray[np.bool_], weights: Floats, sizes: npt.NDArray[np.int64]
) -> Callable[[Floats, xgboost.DMatrix], tuple[Floats, Floats]]:
    """Cross entropy of the shared softmax: its gradient and the diagonal of its hessian."""

    def gradients(sums: Floats, _: xgboost.DMatrix) -> tuple[Floats, Floats]:
        chance = _shared_softmax(sums, sizes)
        return weights * (chance - correct), weights * np.maximum(chance * (1 - chance), _FLATTEST)

    return gradients


def predict(booster: xgboost.Booster, features: Floats, sizes: npt.NDArray[np.int64]) -> Floats:
    """P(correct) of each pair, laid out as for `train`."""
    return _shared_softmax(booster.inplace_predict(features), sizes)


def _shared_softmax(sums: Floats, sizes: npt.NDArray[np.int64]) -> Floats:
    starts = np.cumsum(sizes) - sizes
    highest = np.maximum(np.maximum.reduceat(sums, starts), 0)
    raised = np.exp(sums - np.repeat(highest, sizes))
    found: Floats = raised / np.repeat(np.add.reduceat(raised, starts) + np.exp(-highest), sizes)
    return found


def dump(booster: xgboost.Booster) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytes(booster.save_raw("ubj")), np.uint8)


def load(data: npt.NDArray[np.uint8]) -> xgboost.Booster:
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(data.tobytes()))
    return booster
