"""Learning rules from what people decided: which patterns are worth a proposal, and how often each will be right.

How pure a pattern is on the records that it was found on says too much of it: of many patterns the luckiest look pure,
and the world moves on. So what to expect is learned by going through the same records once more in time order: at
several moments the patterns are judged on what came before, and then met with what came next.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import NamedTuple
from uuid import UUID

from core.domain.conditions import ATTRIBUTES, Condition, Leaf
from core.domain.proposals import Evidence, proposal_key
from core.domain.records import Sortable, normalise
from core.domain.rule_patterns import Pattern, find_patterns
from core.domain.rules import MAX_NAME

MIN_SUPPORT = 5
"""Records that must meet a pattern. Where all of fewer agree, the score of a text alone is nine in ten at best."""
MIN_NEW = 3
"""Records that a suggestion must settle which none before it settles: for less nobody need read one more."""
MAX_SUGGESTIONS = 300
"""More than anybody reads through."""
MAX_EXAMPLES = 5
MAX_SAID = 40
"""Characters of a value, or of a field, in a name."""
MOMENTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the records after which the patterns are judged; each time the next tenth tells whether they were right."""
EXCESS = 2
"""A single suggestion may err at most this many times as often as was promised for all of them together."""
LATEST = 5
"""Of so many latest records of a pattern only one may disagree: a pattern that is steadily right nine times in ten
breaks this in 8 of 100 cases, one that has turned does so with its second record."""
RIDGE = 1.0
"""How firmly the calibration holds on to the scores as they are, where there is nothing to learn from: as much as some
four records with a score of one half."""

_Expect = Callable[[Pattern, float], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A rule worth proposing: records that meet `when` belong to `category_id`. `name` says the condition in short."""

    name: str
    when: Condition
    category_id: UUID
    evidence: Evidence


class _Judged(NamedTuple):
    """A pattern as it stands at a moment: its commonest category (by number), of how many records and how many of
    these agree, and the score: the share expected to agree, before it is calibrated."""

    pattern: Pattern
    category: int
    support: int
    agreeing: int
    score: float


def propose(
    labelled: Sequence[tuple[Sortable, UUID]], *, promise: float, known: Container[str] = ()
) -> list[Suggestion]:
    """Rules that together are expected to be right in the share `promise` (0 to 1) of what they will settle.

    `labelled` are records with the categories that people gave or confirmed, in time order, the oldest first. `known`
    holds the keys (`proposals.proposal_key`) of what was proposed before: it is not suggested again, nor is anything
    that settles hardly more than it does. At most `MAX_SUGGESTIONS`, those first that settle the most. The same input
    gives the same answer.
    """
    categories = sorted({category for _, category in labelled})
    numbers = {category: number for number, category in enumerate(categories)}
    records = [record for record, _ in labelled]
    labels = [numbers[category] for _, category in labelled]
    patterns = find_patterns(records, labels, MIN_SUPPORT)
    expect, least = _learn(patterns, labels, promise)
    settled: dict[int, set[int]] = defaultdict(set)
    worthy: list[tuple[float, _Judged]] = []
    for judged in _judge(patterns, labels, len(labels)):
        expected = expect(judged.pattern, judged.score)
        if proposal_key(judged.pattern.condition, categories[judged.category]) in known:
            settled[judged.category].update(judged.pattern.places)
        elif expected >= least:
            worthy.append((expected, judged))
    return [
        _suggestion(judged, expected, categories[judged.category], records, labels)
        for expected, judged in islice(_useful(worthy, settled), MAX_SUGGESTIONS)
    ]


def _judge(patterns: Sequence[Pattern], labels: Sequence[int], end: int) -> list[_Judged]:
    """The patterns as the records before `end` show them, without those that say nothing or have turned.

    The score is (agreeing + prior) / (support + 1). The prior of a pattern on the texts alone is one half: the estimate
    of Krichevsky and Trofimov. That of a more special pattern is what its parent scores for the same category.
    """
    judged: list[_Judged] = []
    counts: list[Counter[int]] = []
    for pattern in patterns:
        met = [labels[place] for place in pattern.places[: bisect_left(pattern.places, end)]]
        count = Counter(met)
        counts.append(count)
        if len(met) < MIN_SUPPORT:
            continue
        category, agreeing = min(count.items(), key=lambda item: (-item[1], item[0]))
        if 2 * agreeing <= len(met) or _turned(met[-LATEST:], category):
            continue
        prior = 0.5
        if pattern.parent is not None:
            general = counts[pattern.parent]
            prior = (general[category] + 0.5) / (general.total() + 1)
        judged.append(_Judged(pattern, category, len(met), agreeing, (agreeing + prior) / (len(met) + 1)))
    return judged


def _turned(latest: Sequence[int], category: int) -> bool:
    return latest.count(category) < len(latest) - 1


def _learn(patterns: Sequence[Pattern], labels: Sequence[int], promise: float) -> tuple[_Expect, float]:
    """What to expect of a pattern with a score, and the least expectation with which the promise is kept."""
    bounds = [int(len(labels) * share) for share in MOMENTS] + [len(labels)]
    tests = [(_judge(patterns, labels, start), start, end) for start, end in pairwise(bounds)]
    tried: Counter[tuple[tuple[float, ...], bool]] = Counter()
    for judged, start, end in tests:
        for place, one in _winners(judged, start, end, lambda _, score: score).items():
            tried[_features(one.pattern, one.score), one.category == labels[place]] += 1
    weights = _fit(tried)

    def expect(pattern: Pattern, score: float) -> float:
        return _probability(weights, _features(pattern, score))

    expected = sorted(
        (
            expect(one.pattern, one.score)
            for judged, start, end in tests
            for one in _winners(judged, start, end, expect).values()
        ),
        reverse=True,
    )
    # What reaches the promise by itself can't spoil it; below that, as far as the mean of all keeps it.
    least, total = promise, 0.0
    for number, probability in enumerate(expected, start=1):
        total += probability
        if total >= promise * number:
            least = min(least, probability)
    return expect, max(least, 1 - EXCESS * (1 - promise))


def _winners(judged: Sequence[_Judged], start: int, end: int, value: _Expect) -> dict[int, _Judged]:
    """For the records from `start` to before `end` that meet a pattern: the one with the highest value."""
    won: dict[int, _Judged] = {}
    for one in sorted(judged, key=lambda one: -value(one.pattern, one.score)):
        places = one.pattern.places
        for place in places[bisect_left(places, start) : bisect_left(places, end)]:
            won.setdefault(place, one)
    return won


def _features(pattern: Pattern, score: float) -> tuple[float, ...]:
    """What the calibration looks at: the score as log odds, and the pattern's shape, since a phrase that may stand
    anywhere, and a context that was picked out of many, keep less of their purity than a whole text does."""
    # Rounded, so that the thousands of trials fall into a few hundred cells.
    odds = round(math.log(score / (1 - score)), 1)
    leaves = len(pattern.leaves)
    return 1.0, odds, float(pattern.leaves[0].op == "contains"), float(leaves == 2), float(leaves == 3)


def _probability(weights: Sequence[float], features: Sequence[float]) -> float:
    odds = sum(weight * feature for weight, feature in zip(weights, features, strict=True))
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))


def _fit(tried: Counter[tuple[tuple[float, ...], bool]]) -> list[float]:
    """Logistic regression by Newton's method, drawn to "the score is the probability"."""
    start = [0.0, 1.0, 0.0, 0.0, 0.0]
    weights, size = list(start), len(start)
    for _ in range(50):
        gradient = [RIDGE * (begin - weight) for begin, weight in zip(start, weights, strict=True)]
        curvature = [[RIDGE * (row == column) for column in range(size)] for row in range(size)]
        for (features, right), count in tried.items():
            probability = _probability(weights, features)
            slope, bend = count * (right - probability), count * probability * (1 - probability)
            for row in range(size):
                gradient[row] += slope * features[row]
                for column in range(size):
                    curvature[row][column] += bend * features[row] * features[column]
        step = _solve(curvature, gradient)
        longest = max(map(abs, step))
        shorter = min(1.0, 1.0 / longest) if longest else 1.0  # far from the summit a whole step may overshoot
        weights = [weight + shorter * change for weight, change in zip(weights, step, strict=True)]
        if longest < 1e-6:
            break
    return weights


def _solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """Gaussian elimination; a positive definite matrix needs no pivoting."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for at, pivot in enumerate(rows):
        for below in rows[at + 1 :]:
            factor = below[at] / pivot[at]
            for column in range(at, size + 1):
                below[column] -= factor * pivot[column]
    found = [0.0] * size
    for at in reversed(range(size)):
        rest = sum(rows[at][column] * found[column] for column in range(at + 1, size))
        found[at] = (rows[at][size] - rest) / rows[at][at]
    return found


def _useful(worthy: Sequence[tuple[float, _Judged]], settled: dict[int, set[int]]) -> Iterator[tuple[float, _Judged]]:
    """Those that settle records which none before them settles in the same way: the most first, so that the general
    stands before the special and makes it superfluous. `settled` are the records that are settled, by category.

    The gain of one can only shrink while others are kept, so it is counted anew only when it comes first.
    """
    queue = [(-one.support * expected, number) for number, (expected, one) in enumerate(worthy)]
    heapq.heapify(queue)
    while queue:
        _, number = heapq.heappop(queue)
        expected, one = worthy[number]
        done = settled[one.category]
        new = sum(place not in done for place in one.pattern.places)
        if new < MIN_NEW:
            continue
        entry = (-new * expected, number)
        if queue and entry > queue[0]:
            heapq.heappush(queue, entry)
            continue
        done.update(one.pattern.places)
        yield expected, one


def _suggestion(
    judged: _Judged, expected: float, category_id: UUID, records: Sequence[Sortable], labels: Sequence[int]
) -> Suggestion:
    latest = judged.pattern.places[::-1]
    agreeing = [records[place].id for place in latest if labels[place] == judged.category]
    others = [records[place].id for place in latest if labels[place] != judged.category]
    return Suggestion(
        name=name_of(judged.pattern.leaves, records[latest[0]]),
        when=judged.pattern.condition,
        category_id=category_id,
        evidence=Evidence(
            support=judged.support,
            agreeing=judged.agreeing,
            expected=expected,
            examples=tuple(agreeing[:MAX_EXAMPLES]),
            counter_examples=tuple(others[:MAX_EXAMPLES]),
        ),
    )


def name_of(leaves: Sequence[Leaf], record: Sortable) -> str:
    """A name for a rule whose leaves must hold together; `record` is one that meets them."""
    return ", ".join(_say(leaf, record) for leaf in leaves)[:MAX_NAME]


def _say(leaf: Leaf, record: Sortable) -> str:
    """The leaf in a few words, texts in the letters that `record`, which meets it, has."""
    value = leaf.values[0]
    if leaf.field == "amount" and leaf.op != "equals":
        return "money out" if leaf.op == "lt" else "money in"
    field = leaf.field.removeprefix(ATTRIBUTES)
    if not isinstance(value, str):
        return f"{field} {value:f}"
    on_text = leaf.field in ("anywhere", "text", "counterparty")
    for stored in (record.text, record.counterparty) if on_text else (record.attributes.get(field),):
        text = stored if isinstance(stored, str) else ""
        at = text.casefold().find(value)
        if at >= 0 and normalise(text[at : at + len(value)]) == value:
            value = text[at : at + len(value)]
            break
    said = value if len(value) <= MAX_SAID else f"{value[: MAX_SAID - 1]}…"
    return f"“{said}”" if on_text else f"{field[-MAX_SAID:]} {said}"
