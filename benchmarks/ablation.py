"""What each member of the ensemble brings: taught with one file, asked about another, with and without it.

`python -m benchmarks.ablation TRAIN.csv TEST.csv --text COL --category COL [--context COL,COL] [--amount COL]
[--date COL] [--json]`. Of each ensemble, and of what remembers the majority per text (and per text and one field of the
context, falling back to the text): the share of TEST that is right, and how much of it would be decided alone at 90, 95
and 98 % right with a perfect threshold, one that knows the answers; thresholds of a gate reach less. Without `--date`,
TRAIN is learned in a random order.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy is imported

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from adapters.learning.ensemble import LearnedEnsemble
from adapters.learning.features import DIMENSIONS
from adapters.learning.lessons import Pool
from adapters.learning.memory import LabelMemory
from adapters.learning.scoring import Members
from adapters.learning.softmax import Softmax
from benchmarks._rows import Past, Reader, Rows, of_text, parser_of, with_context
from core.usecases.refit import SESSION
from entrypoints.evaluating.rows import Row

PRECISIONS = (0.90, 0.95, 0.98)
Answer = tuple[UUID | None, float]
"""A category, and how sure it is."""


class WithoutMemory(LearnedEnsemble):
    def _members(self) -> Members:
        return replace(super()._members(), memory=LabelMemory())


class WithoutGrams(LearnedEnsemble):
    def _members(self) -> Members:
        return replace(super()._members(), grams=Softmax(DIMENSIONS, len(self.categories)))


class WithoutMeaning(LearnedEnsemble):
    def _members(self) -> Members:
        return replace(super()._members(), meaning=None)


class WithoutStacker(LearnedEnsemble):
    def _stack(self, pool: Pool) -> None:
        """Never."""


ENSEMBLES = {
    "ensemble": LearnedEnsemble,
    "without the memory": WithoutMemory,
    "without n-grams": WithoutGrams,
    "without embeddings": WithoutMeaning,
    "without the stacker": WithoutStacker,
}


def by_ensemble(ensemble: LearnedEnsemble, train: Rows, test: Rows) -> Iterator[Answer]:
    past = Past(0)
    for start in range(0, len(train.rows), SESSION):
        end = min(start + SESSION, len(train.rows))
        lessons = [train.lesson(place, 1.0) for place in range(start, end)]
        arrivals = ensemble.learn(lessons, past.earlier, arrived=0)
        past.lessons += [replace(one, arrival=arrivals[one.record.id]) for one in lessons]
    for scored in ensemble.score(test.records, test.vectors):
        yield (scored.candidates[0].category_id if scored.candidates else None), scored.score


def by_majority(keys: Sequence[Callable[[Row], tuple[str, ...]]], train: Rows, test: Rows) -> Iterator[Answer]:
    """Of the first key that was seen; the more often it was and the clearer, the surer."""
    seen: dict[tuple[str, ...], Counter[UUID]] = defaultdict(Counter)
    for row, category in zip(train.rows, train.categories, strict=True):
        for key in keys:
            seen[key(row)][category] += 1
    for row in test.rows:
        found = next((seen[key(row)] for key in keys if key(row) in seen), Counter[UUID]())
        category, count = next(iter(found.most_common(1)), (None, 0))
        yield category, count / (found.total() + 1)


def judged(answers: Sequence[Answer], truth: Sequence[UUID]) -> dict[str, Any]:
    right = [category == true for (category, _), true in zip(answers, truth, strict=True)]
    surest = sorted(range(len(right)), key=lambda place: -answers[place][1])
    coverage = dict.fromkeys(PRECISIONS, 0)
    correct = 0
    for count, place in enumerate(surest, 1):
        correct += right[place]
        if count < len(surest) and answers[surest[count]][1] == answers[place][1]:
            continue  # no threshold tells them apart
        for precision in PRECISIONS:
            if correct >= precision * count:
                coverage[precision] = count
    return {
        "accuracy": round(sum(right) / len(right), 4),
        "coverage": {str(precision): round(count / len(right), 4) for precision, count in coverage.items()},
    }


def measured(train: Rows, test: Rows, context: Sequence[str]) -> Iterator[dict[str, Any]]:
    for name, kind in ENSEMBLES.items():
        started = time.process_time()
        answers = list(by_ensemble(kind(), train, test))
        seconds = round(time.process_time() - started, 1)
        yield {"by": name, **judged(answers, test.categories), "cpu_seconds": seconds}
    yield {"by": "majority per text", **judged(list(by_majority([of_text], train, test)), test.categories)}
    for field in context:
        answers = list(by_majority([with_context(field), of_text], train, test))
        yield {"by": f"majority per text and {field}", **judged(answers, test.categories)}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    options = parser.parse_args()
    reader = Reader(options)
    train, test = reader.read(options.train, shuffled=True), reader.read(options.test)
    if not options.json:
        print(f"{len(train.rows):,} rows teach, {len(test.rows):,} ask; decided alone at most, at so many right")
        print(f"{'':<34} accuracy " + "".join(f"{precision:>9.0%}" for precision in PRECISIONS))
    found = []
    for one in measured(train, test, reader.columns.context):
        found.append(one)
        if not options.json:
            covered = "".join(f"{share:>9.1%}" for share in one["coverage"].values())
            print(f"{one['by']:<34} {one['accuracy']:>8.2%} {covered}", flush=True)
    if options.json:
        print(json.dumps({"train": len(train.rows), "test": len(test.rows), "rows": found}))


if __name__ == "__main__":
    main()
