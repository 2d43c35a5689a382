"""What the order of the review queue is worth: answers in its order, beside answers in an order drawn by lot.

`python -m benchmarks.active_order TRAIN.csv TEST.csv --text COL --category COL [--answers 1000] [--most 3000]
[--batch 50] [--seeds 5] [--json]` (.csv.gz, too). Each seed draws two thirds of the rows of TRAIN as its queue, and
keeps one of the texts that one answer would settle. Again and again the first of it are answered, the learner learns,
and what is left is ranked anew, as the service does it: the most urgent and a sample of the queue, by its own learner
and ranker. The other way answers by lot, in batches of the same size. `worth` is how many answers by lot are as right
on TEST as the `--answers` in order; where even `--most` are not, it is that number.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
import numpy.typing as npt

from adapters.learning.learner import EnsembleLearner
from adapters.onnx.embedder import OnnxEmbedder
from adapters.ranking.coverage import CoverageRanker
from benchmarks.rule_learning import labelled_of, rows_of
from core.domain.approvals import group_key, urgency
from core.domain.decisions import Candidate, Outcome, Stage, StageResult
from core.domain.learning import Lesson, Scored, arrival_of
from core.domain.ranking import question_of, urgency_of_worth
from core.domain.records import Snapshot, normalise, similarity_text
from core.domain.similarity import NEIGHBOURS, Neighbour, vote
from core.usecases.shared.ranking import HEAD, SAMPLE
from core.usecases.shared.similarity import FEW
from ports.embedder import Embedder

_EMBEDDED_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Records with their vectors (n, dimensions) and what they are sorted as."""

    records: Sequence[Snapshot]
    vectors: npt.NDArray[np.float32]
    categories: Sequence[UUID]

    def at(self, places: Sequence[int]) -> Sorted:
        return Sorted(
            records=[self.records[i] for i in places],
            vectors=self.vectors[list(places)],
            categories=[self.categories[i] for i in places],
        )


class Reviewed:
    """A queue whose items are answered; places are those of its records."""

    def __init__(self, queue: Sorted) -> None:
        self._queue = queue
        self._ensemble, self._ranker = EnsembleLearner().fresh(), CoverageRanker()
        self._had: list[Lesson] = []
        self._answered: list[int] = []
        self._keys = [group_key(record) for record in queue.records]
        self._urgency = dict.fromkeys(range(len(queue.records)), urgency(0.0, None))

    def first(self, count: int) -> list[int]:
        return sorted(self._urgency, key=lambda i: (-self._urgency[i], self._keys[i]))[:count]

    def answer(self, places: Sequence[int]) -> None:
        part = self._queue.at(places)
        lessons = [
            Lesson(record=record, category_id=category, weight=1.0, vector=vector, arrival=arrival_of(scored))
            for record, category, vector, scored in zip(
                part.records, part.categories, part.vectors.tolist(), self._said(part), strict=True
            )
        ]
        self._ensemble.learn(lessons, self._earlier, arrived=len(self._queue.records))
        self._had += lessons
        self._answered += places
        for place in places:
            del self._urgency[place]

    def rank(self) -> None:
        head, sample = self.first(HEAD), sorted(self._urgency, key=self._keys.__getitem__)[:SAMPLE]
        places = list(dict.fromkeys([*head, *sample]))
        part, known = self._queue.at(places), self._queue.at(self._answered)
        cosines = part.vectors @ known.vectors.T
        questions = []
        for scored, vector, to_known in zip(self._said(part), part.vectors.tolist(), cosines, strict=True):
            near = [
                Neighbour(
                    example_id=known.records[i].id,
                    category_id=known.categories[i],
                    text=known.records[i].text,
                    similarity=float(to_known[i]),
                )
                for i in np.argsort(-to_known)[:NEIGHBOURS].tolist()
            ]
            questions.append(question_of([self._result(scored, near)], vector, near))
        worth = map(urgency_of_worth, self._ranker.worth(questions))
        self._urgency |= dict(zip(places, worth, strict=True))

    def accuracy(self, test: Sorted) -> float:
        best = [scored.candidates[0].category_id for scored in self._said(test)]
        return statistics.fmean(a == b for a, b in zip(best, test.categories, strict=True))

    def _said(self, of: Sorted) -> Sequence[Scored]:
        vectors = {record.id: vector for record, vector in zip(of.records, of.vectors.tolist(), strict=True)}
        return self._ensemble.score(of.records, vectors)

    def _result(self, scored: Scored, near: Sequence[Neighbour]) -> StageResult:
        if not scored.stacked and len(self._had) < FEW:
            return vote(near, threshold=None, model="benchmark")
        candidates = tuple(
            Candidate(category_id=c.category_id, confidence=c.probability, source="ensemble", rationale="")
            for c in scored.candidates
        )
        return StageResult(stage=Stage.SIMILARITY, outcome=Outcome.UNSURE, reason="", candidates=candidates)

    def _earlier(self, count: int, of: int, seed: int) -> Sequence[Lesson]:
        latest = self._had[-of:] if of else []
        drawn = random.Random(seed).sample(range(len(latest)), min(count, len(latest)))
        return [latest[i] for i in sorted(drawn)]


def embedded(labelled: Sequence[tuple[Snapshot, UUID]], embedder: Embedder) -> Sorted:
    records = [record for record, _ in labelled]
    texts = [normalise(similarity_text(record.text, record.counterparty)) for record in records]
    distinct = sorted(set(texts), key=len)
    vectors: dict[str, Sequence[float]] = {}
    for start in range(0, len(distinct), _EMBEDDED_AT_ONCE):
        part = distinct[start : start + _EMBEDDED_AT_ONCE]
        vectors |= dict(zip(part, embedder.embed(part), strict=True))
    return Sorted(
        records=records,
        vectors=np.array([vectors[text] for text in texts], np.float32),
        categories=[category for _, category in labelled],
    )


def drawn(rows: Sorted, dice: random.Random) -> Sorted:
    """Two thirds of the rows in an order drawn by lot, of each group one."""
    places = dice.sample(range(len(rows.records)), len(rows.records) * 2 // 3)
    one_of = {group_key(rows.records[i]): i for i in places}
    return rows.at(list(one_of.values()))


def worth(accuracy: float, by_lot: Sequence[tuple[int, float]]) -> float:
    """How many answers by lot make that accuracy, by the straight line between the last point below it and the next."""
    below = [i for i, (_, found) in enumerate(by_lot) if found < accuracy]
    if not below:
        return by_lot[0][0]
    if below[-1] == len(by_lot) - 1:
        return by_lot[-1][0]
    (n, low), (m, high) = by_lot[below[-1]], by_lot[below[-1] + 1]
    return n + (m - n) * (accuracy - low) / (high - low)


def measure(seed: int, train: Sorted, test: Sorted, options: argparse.Namespace) -> dict[str, float]:
    queue = drawn(train, random.Random(seed))
    started = time.process_time()
    chosen = Reviewed(queue)
    for done in range(0, options.answers, options.batch):
        chosen.answer(chosen.first(min(options.batch, options.answers - done)))
        chosen.rank()
    seconds = time.process_time() - started
    lot = Reviewed(queue)
    most = min(options.most, len(queue.records))
    curve: list[tuple[int, float]] = []
    for done in range(0, most, options.batch):
        lot.answer(range(done, min(done + options.batch, most)))
        if done % options.answers >= options.answers // 2:
            curve.append((min(done + options.batch, most), lot.accuracy(test)))
    accuracy = chosen.accuracy(test)
    at = dict(curve)
    return {
        "seed": seed,
        "accuracy": accuracy,
        "by_lot": at.get(options.answers, float("nan")),
        "worth": worth(accuracy, curve),
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, nargs="?")
    parser.add_argument("test", type=Path, nargs="?")
    parser.add_argument("--text")
    parser.add_argument("--category")
    parser.add_argument("--answers", type=int, default=1_000)
    parser.add_argument("--most", type=int, default=3_000)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not (options.train and options.test and options.text and options.category):
        print("benchmarks.active_order needs sorted records of yours: TRAIN TEST --text COLUMN --category COLUMN")
        return
    options.context, options.amount = "", None
    embedder = OnnxEmbedder()
    train, test = (embedded(labelled_of(rows_of(path), options), embedder) for path in (options.train, options.test))
    found = []
    for seed in range(options.seeds):
        found.append(measure(seed, train, test, options))
        if not options.json:
            print(" ".join(f"{name} {value:,.4g}" for name, value in found[-1].items()), flush=True)
    mean = statistics.fmean(one["worth"] for one in found)
    if options.json:
        print(json.dumps({"answers": options.answers, "worth": mean, "seeds": found}))
    else:
        print(f"{options.answers:,} answers in order are worth {mean:,.0f} by lot")


if __name__ == "__main__":
    main()
