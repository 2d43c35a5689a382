"""The stacker: boosted trees that turn what the members say of a candidate into P(correct).

Kept as XGBoost's own UBJSON, never as a pickle.
"""

from __future__ import annotations

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
    "objective": "binary:logistic",
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

Floats = npt.NDArray[np.float32]


def next_at(lessons: int) -> int:
    """At how many lessons the stacker is made anew: sooner while there are few."""
    return lessons + min(_EVERY, max(_SOONEST, lessons // 3))


def train(features: Floats, correct: npt.NDArray[np.bool_], weights: Floats, lessons: int) -> xgboost.Booster:
    """`features` (pairs of record and candidate, features), whether each candidate was `correct`, and its weight."""
    data = xgboost.QuantileDMatrix(features, correct, weight=weights, max_bin=127, nthread=1)
    rounds = min(_ROUNDS, _FEWEST_ROUNDS + lessons // _LESSONS_A_ROUND)
    return xgboost.train(_PARAMETERS, data, rounds)


def predict(booster: xgboost.Booster, features: Floats) -> Floats:
    """P(correct) of each row."""
    found: Floats = booster.inplace_predict(features)
    return found


def dump(booster: xgboost.Booster) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytes(booster.save_raw("ubj")), np.uint8)


def load(data: npt.NDArray[np.uint8]) -> xgboost.Booster:
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(data.tobytes()))
    return booster
