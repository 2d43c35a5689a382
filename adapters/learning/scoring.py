"""How candidates are found among all categories, and what the members say of each, as the stacker sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.learning.familiarity import Familiarity
from adapters.learning.features import SIZE_KEY, TEXT_KEYS, Features
from adapters.learning.memory import LabelMemory
from adapters.learning.softmax import Floats, Softmax, probabilities

CANDIDATES = 6
"""Proposed of a record: more cost time and, in trials on card purchases, brought nothing."""
SHARPEN = 4.0
"""Unit vectors have components near 0.05: scaled, the head over embeddings learns as fast as the other."""
SHARED, OWN = 8, 8
"""Features of the record, which its candidates share, and of each candidate; then four of each key of the memory."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Members:
    """What proposes: classifiers over n-grams and over embeddings, the memory, and how often each class came and was
    right; and what tells how familiar a text is. `there` (classes) tells which categories still are."""

    grams: Softmax
    meaning: Softmax | None
    memory: LabelMemory
    familiarity: Familiarity
    prior: npt.NDArray[np.float64]
    hits: npt.NDArray[np.float64]
    there: npt.NDArray[np.bool_]
    arrived: int


@dataclass(frozen=True, slots=True)
class Said:
    """Of n records: `places` (n, c) are the candidates' classes, `pairs` (n, c, features) what the stacker sees, `cold`
    (n, c) how sure the members are without a stacker (memory has half a say where it knows text or context), `signs`
    (n, 3) what tells how familiar a record is; and of the memory's keys (n, k): `rows`, 0 for unknown ones, `share`
    (n, c, k) of each candidate, `support` and `age`."""

    places: Array
    pairs: Array
    cold: Array
    signs: Floats
    rows: Array
    share: Array
    support: Array
    age: Array

    @property
    def known(self) -> Array:
        return known_texts(self.rows)


def known_texts(rows: Array) -> Array:
    """(n): which were approved before, numbers aside, by their keys' rows in the memory."""
    return np.asarray((rows[:, :TEXT_KEYS] > 0).any(1))


def propose(features: Features, vectors: Floats, members: Members) -> Said:
    """`vectors` (n, dimensions) of the records' texts, NaN where they are not embedded. Of a text that was approved
    before they are not looked at: what was said of it tells more than what it means, which only adds noise there."""
    n, classes = len(features.amounts), len(members.there)
    memory, there = members.memory, members.there
    rows = memory.rows(features.keys)
    known = known_texts(rows)
    logits = members.grams.logits(features.grams, there)
    shares = probabilities(logits)
    familiar = logits.max(1)
    joint, clarity = shares.copy(), familiar.copy()
    meaning = np.full((n, classes), np.nan, np.float32)
    embedded = ~known & ~np.isnan(vectors[:, 0]) & (members.meaning is not None)
    if members.meaning is not None and embedded.any():
        said = members.meaning.logits(vectors[embedded] * SHARPEN, there)
        meaning[embedded] = probabilities(said)
        joint[embedded] = probabilities(np.log(shares[embedded] + 1e-6) + np.log(meaning[embedded] + 1e-6))
        clarity[embedded] = (logits[embedded] + said).max(1)
    nearest = np.zeros(n, np.float32)
    nearest[embedded] = members.familiarity.nearest(vectors[embedded])

    labels, support = memory.labels[rows], memory.support[rows]
    part = memory.weights[rows] / np.maximum(memory.weights[rows].sum(2), 1e-9)[..., None]
    remembered = _remembered(labels, part * (support / (support + 1))[..., None], classes)
    standing = np.where(there, joint + remembered, -1)
    count = min(CANDIDATES, int(there.sum()))
    places = np.argsort(-standing, 1, kind="stable")[:, :count]

    def of(values: Array) -> Array:
        return np.take_along_axis(values, places, 1)

    share = np.where(rows[:, None] > 0, (part[:, None] * (labels[:, None] == places[:, :, None, None])).sum(3), -1)
    streak = memory.streak[rows][:, None] * np.where(memory.last[rows][:, None] == places[..., None], 1, -1)
    age = np.where(rows > 0, members.arrived - memory.at[rows], -1)
    agreed = of(remembered)
    amounts = np.sign(features.amounts) * np.log1p(np.abs(features.amounts))
    without = np.where(embedded, 0, np.nan)
    of_meaning = [np.nan_to_num(meaning, nan=-1).max(1), *_surest(joint), clarity]
    shared = np.stack([amounts, *_surest(shares), familiar, *(column + without for column in of_meaning)], 1)
    prior, precision = members.prior / max(members.prior.sum(), 1e-9), members.hits[:, 0] / members.hits[:, 1]
    own = [of(shares), of(logits), prior[places], precision[places], agreed, _lead(agreed)]
    own += [of(meaning), of(joint) + without[:, None]]

    def spread(values: Array) -> Array:
        return np.broadcast_to(values[:, None], (n, count, values.shape[1]))

    parts = [spread(shared), np.stack(own, 2), share, spread(support), streak, spread(age)]
    pairs = np.concatenate(parts, 2, dtype=np.float32, casting="same_kind")
    told = (rows > 0).sum(1) - (rows[:, SIZE_KEY] > 0)
    say = np.where(told > 0, 0.5, 0)[:, None]
    return Said(
        places=places,
        # As it is stored, so that what is learned from later is what was asked.
        pairs=np.clip(pairs, -6e4, 6e4, out=pairs).astype(np.float16),
        cold=(1 - say) * of(joint) + say * agreed * rows.shape[1] / np.maximum((rows > 0).sum(1), 1)[:, None],
        signs=np.stack([clarity, nearest, (rows > 0).mean(1)], 1).astype(np.float32),
        rows=rows,
        share=share,
        support=support,
        age=age,
    )


def _remembered(labels: Array, weights: Array, classes: int) -> Array:
    """(n, classes): the mean over the keys of what each says of a class."""
    n, keys = labels.shape[:2]
    held = labels >= 0
    place = np.arange(n)[:, None, None] * classes + np.maximum(labels, 0)
    found: Array = np.bincount(place[held], weights[held], n * classes).reshape(n, classes) / keys
    return found


def _surest(shares: Array) -> tuple[Array, Array]:
    """The best candidate's share, and by how much it is ahead of the next."""
    best = -np.sort(-shares, 1)[:, :2]
    return best[:, 0], best[:, 0] - best[:, 1:].sum(1)


def _lead(agreed: Array) -> Array:
    """By how much each candidate is ahead of the best of the others."""
    if agreed.shape[1] < 2:
        return agreed
    best = -np.sort(-agreed, 1)
    found: Array = agreed - np.where(agreed == best[:, :1], best[:, 1:2], best[:, :1])
    return found
