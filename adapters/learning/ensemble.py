"""One tenant's ensemble: members that propose candidates, and the stacker that says how likely each is correct."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import xgboost

from adapters.learning import stacker
from adapters.learning.familiarity import Familiarity
from adapters.learning.features import DIMENSIONS, Features, FeatureSpace, context_of, telling_fields
from adapters.learning.lessons import REPLAY, REPLAY_WINDOW, WEIGHT_CAP, Batch, Earlier, Pool, pair_of
from adapters.learning.memory import LabelMemory
from adapters.learning.scoring import SHARPEN, Members, Said, known_texts, propose
from adapters.learning.softmax import Floats, Ints, Softmax
from core.domain.learning import Arrival, Lesson, Observations, Proposed, Scored, arrival_of
from core.domain.records import Sortable

VERSION = "ensemble-4"
VECTOR = 384
_BLOCK, _SMALL_BLOCK, _FIRST_BLOCK = 1_000, 200, 25
"""Lessons that are scored, then learned, at once; less while there are few, so that even a short history shows how well
it foretells itself."""
_POLISH_FROM, _POLISH = 2_000, 8
"""How often the lessons of a session are gone through again at its end, where they are many."""
_SMOOTHING = 0.1
"""Of labels for the classifier over n-grams, which learns single wrong ones by heart; that over embeddings can't. Not
in the beginning, when every label is needed."""
_OBSERVED = 40_000
_PRIOR_DECAY, _HIT_DECAY = 0.98, 0.94
"""What a category's frequency and precision so far keep of their weight in 1,000 lessons."""
_FIELDS_AT, _FIELDS_SETTLED = 50, 800
"""Lessons from which on one can see which context fields tell something, and from which on it stays as it is; in
between it is looked at again whenever they have doubled."""
_NEVER = 1 << 62
_COLUMNS = ("score", "correct", "weight", "arrived", "stacked", "scope")


class LearnedEnsemble:
    """An `Ensemble`. Classes are places in `categories`; None stands where a category was deleted."""

    def __init__(self, fields: Sequence[str] = ()) -> None:
        self._look_at = _FIELDS_AT
        self._space = FeatureSpace(fields)
        self._layout = hashlib.blake2b(repr((VERSION, self._space.names)).encode(), digest_size=8).digest()
        self.categories: list[UUID | None] = []
        self.taught, self.arrived = 0, 0
        self._class_of: dict[UUID, int] = {}
        self._grams, self._meaning = Softmax(DIMENSIONS, 0), Softmax(VECTOR, 0)
        self._embedded = 0
        self._memory = LabelMemory()
        self._familiarity = Familiarity(VECTOR)
        self._prior: npt.NDArray[np.float64] = np.zeros(0)
        self._hits: npt.NDArray[np.float64] = np.zeros((0, 2))
        self._booster: xgboost.Booster | None = None
        self._next_stacker = stacker.FIRST_AT
        self._observed: dict[str, list[float]] = {name: [] for name in _COLUMNS}

    def score(self, records: Sequence[Sortable], vectors: Mapping[UUID, Sequence[float]] | None = None) -> list[Scored]:
        if not records or not any(self.categories):
            return [_nothing(self.arrived)] * len(records)
        return self._score(self._space.of(records), _matrix([(vectors or {}).get(r.id) for r in records]))

    def _score(self, features: Features, vectors: Floats) -> list[Scored]:
        said = propose(features, vectors, self._members())
        sureness = said.cold
        if self._booster is not None:
            n, count, width = said.pairs.shape
            flat = said.pairs.reshape(-1, width).astype(np.float32)
            sureness = stacker.predict(self._booster, flat, np.full(n, count)).reshape(n, count)
        return self._scored(said, sureness)

    def _scored(self, said: Said, sureness: npt.NDArray[Any]) -> list[Scored]:
        order = np.argsort(-sureness, 1, kind="stable")
        every, known = np.arange(len(order)), said.rows > 0
        # The key that speaks most for the best candidate; among equals, the one seen most often.
        favour = said.share[every, order[:, 0]] + 0.001 * np.minimum(said.support, 100)
        key = np.where(known, favour, -np.inf).argmax(1)
        of = np.where(known.any(1), said.support[every, key], 0)
        told = np.where(of[:, None] > 0, np.round(said.share[every, :, key] * of[:, None]), 0)
        staleness = np.where(known, said.age, np.inf).min(1)
        # A category that another was merged into stands at two places, which share what is said of it.
        merged = len(set(self.categories)) < len(self.categories)
        alike = [" and ".join(name) for name in self._space.names]
        pairs, length = said.pairs.tobytes(), said.pairs[0].nbytes
        scopes = self._familiarity.of(said.signs, said.known)
        found = []
        for j, (places, ranks, sure, approved, seen, by, scope, stale) in enumerate(
            zip(
                *(array.tolist() for array in (said.places, order, sureness, told.astype(int), of.astype(int), key)),
                scopes.tolist(),
                staleness.tolist(),
                strict=True,
            )
        ):
            asked = tuple([category for place in places if (category := self.categories[place]) is not None])
            if merged:
                sure = [min(1.0, sum(s for c, s in zip(asked, sure, strict=True) if c == one)) for one in asked]
                better = {asked[i]: i for i in reversed(ranks)}
                ranks = sorted(better.values(), key=lambda i: -sure[i])
            named = alike[by] if seen else ""
            found.append(
                Scored(
                    candidates=tuple([Proposed(asked[i], sure[i], approved[i], seen, named) for i in ranks]),
                    asked=asked,
                    score=sure[ranks[0]],
                    stacked=self._booster is not None,
                    scope=scope,
                    staleness=stale,
                    features=self._layout + pairs[j * length : (j + 1) * length],
                    arrived=self.arrived,
                )
            )
        return found

    def _there(self) -> npt.NDArray[np.bool_]:
        return np.array([c is not None for c in self.categories], bool)

    def _members(self) -> Members:
        return Members(
            grams=self._grams,
            meaning=self._meaning if self._embedded else None,
            memory=self._memory,
            familiarity=self._familiarity,
            prior=self._prior,
            hits=self._hits,
            there=self._there(),
            arrived=self.arrived,
        )

    def learn(self, lessons: Sequence[Lesson], earlier: Earlier, *, arrived: int) -> dict[UUID, Arrival]:
        if self.taught + len(lessons) >= self._look_at:
            lessons = self._look_at_fields(lessons, earlier)
        told: dict[UUID, Arrival] = {}
        pool = Pool(earlier, self.taught, self._batch)
        start = 0
        while start < len(lessons):
            small = min(max(self.taught, _FIRST_BLOCK), _SMALL_BLOCK)
            size = small if self.taught < stacker.FIRST_AT else _BLOCK
            told |= self._learn_block(lessons[start : start + size], pool)
            start += size
        if len(lessons) >= _POLISH_FROM:
            random = self._random()
            for _ in range(_POLISH):
                own = pool.own(REPLAY_WINDOW)
                self._fit(own.at(random.permutation(len(own.labels))))
                self._fit_meaning(own.at(random.permutation(len(own.labels))))
        self.arrived = max(self.arrived, arrived)
        return told

    def _look_at_fields(self, lessons: Sequence[Lesson], earlier: Earlier) -> Sequence[Lesson]:
        """Chooses the context fields; where others tell more than the present ones, all is learned anew. Returns what
        is to be learned now."""
        whole = [*(earlier(self.taught, self.taught, 0) if self.taught else ()), *lessons]
        fields = telling_fields([context_of(one.record) for one in whole])
        if fields != self._space.fields:
            LearnedEnsemble.__init__(self, fields)
            lessons = whole
        self._look_at = 2 * len(whole) if len(whole) < _FIELDS_SETTLED else _NEVER
        return lessons

    def _learn_block(self, lessons: Sequence[Lesson], pool: Pool) -> dict[UUID, Arrival]:
        features, vectors = self._space.of([one.record for one in lessons]), _matrix([one.vector for one in lessons])
        arrivals = self._arrivals(lessons, features, vectors)
        scopes = self._scopes(lessons, arrivals, features, vectors)
        labels = self._classes([one.category_id for one in lessons])
        near = ~np.isnan(vectors[:, 0]) & ~known_texts(self._memory.rows(features.keys))
        self._familiarity.learn(vectors[near], labels[near])
        self._observe(lessons, arrivals, scopes)
        self._memory.add(features.keys, labels, np.array([a.arrived for a in arrivals], np.float64))
        self._count(labels, arrivals)
        self.taught += len(lessons)
        random = self._random()
        for batch in pool.drawn(min(REPLAY, 3 * self.taught), random):
            self._fit(batch)
        new = Batch(features.grams, vectors, labels, _weights(lessons))
        for _ in range(2):
            self._fit(new.at(random.permutation(len(labels))))
        pool.add(new)
        pool.pairs += [
            p for one, a in zip(lessons, arrivals, strict=True) if (p := pair_of(one, a, self._layout)) is not None
        ]
        if self.taught >= self._next_stacker:
            self._stack(pool)
        return {one.record.id: a for one, a in zip(lessons, arrivals, strict=True) if a is not one.arrival}

    def _arrivals(self, lessons: Sequence[Lesson], features: Features, vectors: Floats) -> list[Arrival]:
        """As it was on arrival; history that was imported as approved arrives now."""
        found = [one.arrival for one in lessons]
        missing = [i for i, a in enumerate(found) if a is None or not a.features.startswith(self._layout)]
        if missing:
            part = Features(features.grams[missing], features.keys[missing], features.amounts[missing])
            scored = self._score(part, vectors[missing]) if any(self.categories) else [_nothing(0)] * len(missing)
            for i, one in zip(missing, scored, strict=True):
                before = found[i]
                self.arrived += before is None
                found[i] = arrival_of(one, self.arrived if before is None else before.arrived)
        return [a for a in found if a is not None]

    def _scopes(
        self, lessons: Sequence[Lesson], arrivals: Sequence[Arrival], features: Features, vectors: Floats
    ) -> Sequence[float]:
        """How familiar each is just before it is learned, beside the others that are: on arrival, another ensemble and
        other texts were the measure. Infinite also where nothing can be told, as there is no vector."""
        if not any(self.categories):
            return [math.inf] * len(lessons)
        said = propose(features, vectors, self._members())
        weights = np.array([one.weight or 0.0 for one in lessons])
        right = np.array([a.predicted == one.category_id for one, a in zip(lessons, arrivals, strict=True)])
        told = ~said.known & (~np.isnan(vectors[:, 0]) | (self._embedded == 0))
        compared = told & right & (weights > 0)
        self._familiarity.compare(said.signs[compared], weights[compared])
        found: list[float] = self._familiarity.of(said.signs, ~told).tolist()
        return found

    def _classes(self, categories: Sequence[UUID]) -> Ints:
        for category in categories:
            if category not in self._class_of:
                self._class_of[category] = len(self.categories)
                self.categories.append(category)
        more = len(self.categories) - len(self._prior)
        if more:
            self._grams.widen(len(self.categories))
            self._meaning.widen(len(self.categories))
            self._prior = np.concatenate([self._prior, np.full(more, 0.01)])
            self._hits = np.concatenate([self._hits, np.full((more, 2), [0.7, 1.0])])
        return np.array([self._class_of[c] for c in categories], np.int64)

    def _observe(self, lessons: Sequence[Lesson], arrivals: Sequence[Arrival], scopes: Sequence[float]) -> None:
        for one, a, scope in zip(lessons, arrivals, scopes, strict=True):
            if one.weight is not None and a.predicted is not None:
                row = (a.score, a.predicted == one.category_id, one.weight, a.arrived, a.stacked, scope)
                for name, value in zip(_COLUMNS, row, strict=True):
                    self._observed[name].append(float(value))
        for name in _COLUMNS:
            del self._observed[name][:-_OBSERVED]

    def _count(self, labels: Ints, arrivals: Sequence[Arrival]) -> None:
        self._prior *= _PRIOR_DECAY ** (len(labels) / 1000)
        np.add.at(self._prior, labels, 1.0)
        self._hits *= _HIT_DECAY ** (len(labels) / 1000)
        for label, arrival in zip(labels, arrivals, strict=True):
            guess = None if arrival.predicted is None else self._class_of.get(arrival.predicted)
            if guess is not None:
                self._hits[guess] += (float(guess == label), 1.0)

    def _batch(self, lessons: Sequence[Lesson]) -> Batch:
        grams = self._space.of([one.record for one in lessons]).grams
        labels = self._classes([one.category_id for one in lessons])
        return Batch(grams, _matrix([one.vector for one in lessons]), labels, _weights(lessons))

    def _fit(self, batch: Batch) -> None:
        smoothing = _SMOOTHING if self.taught >= stacker.FIRST_AT else 0.0
        self._grams.fit(batch.grams, batch.labels, batch.weights, smoothing)
        self._fit_meaning(batch)

    def _fit_meaning(self, batch: Batch) -> None:
        there = ~np.isnan(batch.vectors[:, 0])
        if there.any():
            self._embedded += int(there.sum())
            self._meaning.fit(batch.vectors[there] * SHARPEN, batch.labels[there], batch.weights[there])

    def _stack(self, pool: Pool) -> None:
        self._next_stacker = stacker.next_at(self.taught)
        pairs = pool.latest_pairs(stacker.WINDOW, self._layout)
        if self.taught < stacker.WINDOW:
            pairs = pairs[min(1_000, len(pairs) // 4) :]  # the first scores, made when nothing was known, teach nothing
        features = np.concatenate([_pairs(a) for a, _, _ in pairs]) if pairs else np.empty((0, 0), np.float32)
        correct = np.array([candidate == category for a, category, _ in pairs for candidate in a.candidates])
        sizes = np.array([len(a.candidates) for a, _, _ in pairs])
        weights = np.repeat(np.array([weight for _, _, weight in pairs], np.float32), sizes)
        if len(pairs) < stacker.FIRST_AT // 4 or not correct.any() or correct.all():
            return
        self._booster = stacker.train(features, correct, weights, sizes)

    def _random(self) -> np.random.Generator:
        """Of what was learned so far: a job that is repeated learns the same."""
        return np.random.default_rng(self.taught)

    def observations(self) -> Observations:
        seen = self._observed
        return Observations(
            score=tuple(seen["score"]),
            correct=tuple(map(bool, seen["correct"])),
            weight=tuple(seen["weight"]),
            arrived=tuple(seen["arrived"]),
            stacked=tuple(map(bool, seen["stacked"])),
            scope=tuple(seen["scope"]),
        )

    def dump(self) -> bytes:
        arrays: dict[str, npt.NDArray[Any]] = {
            "fields": np.array(self._space.fields, np.str_),
            "counts": np.array([self.taught, self.arrived, self._embedded, self._next_stacker, self._look_at]),
            "categories": np.array([c.bytes if c else bytes(16) for c in self.categories], "V16"),
            "prior": self._prior,
            "hits": self._hits,
            **self._grams.arrays("grams"),
            **self._meaning.arrays("meaning"),
            **self._memory.arrays(),
            **self._familiarity.arrays(),
            **{f"observed.{name}": np.array(self._observed[name], np.float32) for name in _COLUMNS},
        }
        if self._booster is not None:
            arrays["stacker"] = stacker.dump(self._booster)
        out = io.BytesIO()
        np.savez(out, allow_pickle=False, **arrays)
        return out.getvalue()

    @classmethod
    def load(cls, data: bytes, categories: Mapping[UUID, UUID]) -> LearnedEnsemble:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            taught, arrived, embedded, next_stacker, look_at = arrays["counts"].tolist()
            found = cls(arrays["fields"].tolist())
            found.taught, found.arrived, found._embedded = taught, arrived, embedded
            found._next_stacker, found._look_at = next_stacker, look_at
            ids = [UUID(bytes=bytes(raw)) for raw in arrays["categories"]]
            found.categories = [categories.get(id) for id in ids]
            found._class_of = {id: place for place, id in enumerate(found.categories) if id is not None}
            found._prior, found._hits = arrays["prior"], arrays["hits"]
            found._grams = Softmax.load("grams", DIMENSIONS, arrays)
            found._meaning = Softmax.load("meaning", VECTOR, arrays)
            found._memory = LabelMemory.load(arrays)
            found._familiarity = Familiarity.load(arrays, found._there())
            found._observed = {name: arrays[f"observed.{name}"].tolist() for name in _COLUMNS}
            if "stacker" in arrays:
                found._booster = stacker.load(arrays["stacker"])
        return found


def _nothing(arrived: int) -> Scored:
    return Scored(
        candidates=(),
        asked=(),
        score=0.0,
        stacked=False,
        scope=0.0,
        staleness=math.inf,
        features=b"",
        arrived=arrived,
    )


def _matrix(vectors: Sequence[Sequence[float] | None]) -> Floats:
    found = np.full((len(vectors), VECTOR), np.nan, np.float32)
    for row, vector in enumerate(vectors):
        if vector is not None:
            found[row] = vector
    return found


def _weights(lessons: Sequence[Lesson]) -> Floats:
    return np.array([min(one.weight or 1.0, WEIGHT_CAP) for one in lessons], np.float32)


def _pairs(arrival: Arrival) -> Floats:
    return np.frombuffer(arrival.features[8:], np.float16).reshape(len(arrival.candidates), -1).astype(np.float32)
