"""A tenant's rules, compiled: asked about thousands of records at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from adapters.matching.automaton import Index
from adapters.matching.batch import Batch
from adapters.matching.parts import Ask, Part
from adapters.matching.texts import Bools, Ints
from core.domain.records import Sortable
from core.domain.rule_evaluation import (
    UTC,
    RuleError,
    RuleOutcome,
    asked_about,
    outcome_of,
)
from core.domain.rule_history import History
from core.domain.rules import Rule

MAX_REMEMBERED = 10_000
"""Outcomes kept for equal sets of matches: most records share a few hundred."""
BATCH = 5_000
"""Records whose texts are joined: enough to spread NumPy's cost, few enough for the processor's cache."""
FEW = 64
"""Records below which asking each of them costs less than masks do."""

Pairs = tuple[Ints, Ints]
"""Places of records in a batch, and places of rules."""


class Entry(NamedTuple):
    """An enabled rule in its order (`key`), its part, and what is asked where the part leaves it open. A
    tuple, since thousands are made for each edit."""

    rule: Rule
    key: tuple[Any, ...]
    part: Part
    ask: Ask | None


class CompiledRuleSet:
    """`entries` in order; the part of each has a slot in one of the `indexes`."""

    def __init__(self, entries: Sequence[Entry], indexes: Sequence[Index]) -> None:
        self._rules = tuple(entry.rule for entry in entries)
        self.entries = {entry.rule.id: entry for entry in entries}
        self.indexes = tuple(indexes)
        self._asks = [entry.ask for entry in entries]
        self._masked = [(place, entry.part.mask) for place, entry in enumerate(entries) if entry.part.mask is not None]
        self._stop = self._flags(lambda rule: rule.stop)
        self._decides = self._flags(lambda rule: rule.then.decides)
        self._trusted = self._flags(lambda rule: rule.trusted)
        self._places = [np.full(len(index.slots), -1, dtype=np.int64) for index in indexes]
        for place, entry in enumerate(entries):
            for index, places in zip(indexes, self._places, strict=True):
                if (slot := index.slots.get(entry.part)) is not None:
                    places[slot] = place
                    break
        self._outcomes: dict[tuple[int, ...], RuleOutcome] = {}

    def _flags(self, flag: Callable[[Rule], bool]) -> Bools:
        return np.fromiter(map(flag, self._rules), dtype=np.bool_, count=len(self._rules))

    @property
    def rules(self) -> tuple[Rule, ...]:
        return self._rules

    def evaluate(
        self, records: Sequence[Sortable], zone: ZoneInfo = UTC, history: History | None = None
    ) -> Sequence[RuleOutcome]:
        outcomes: list[RuleOutcome] = []
        for batch in _batches(records, zone, history):
            outcomes += self._outcomes_of(batch)
        return outcomes

    def winners(
        self, records: Sequence[Sortable], zone: ZoneInfo = UTC, history: History | None = None
    ) -> Sequence[int]:
        places: list[int] = []
        for batch in _batches(records, zone, history):
            places += self._winners_of(batch).tolist()
        return places

    def _outcomes_of(self, batch: Batch) -> list[RuleOutcome]:
        count, last = len(batch.records), len(self._rules)
        sure, open_ = self._find(batch)
        stop = self._first(sure, self._stop, count)
        matched, errors = self._ask(batch, _those(open_, open_[1] < stop[open_[0]]), self._stop)
        pairs = _concatenated([sure, matched])
        stop = self._first(pairs, self._stop, count)
        owners, places = _those(pairs, pairs[1] <= stop[pairs[0]])
        owners, places = np.divmod(_distinct_keys(owners, places, last), max(last, 1))
        bounds = [0, *np.cumsum(np.bincount(owners, minlength=count)).tolist()]
        flat = places.tolist()
        outcomes = [self._outcome(tuple(flat[first:end])) for first, end in pairwise(bounds)]
        for owner, failed in errors.items():
            outcomes[owner] = outcome_of(self._rules, flat[bounds[owner] : bounds[owner + 1]], tuple(failed))
        return outcomes

    def _outcome(self, matched: tuple[int, ...]) -> RuleOutcome:
        outcome = self._outcomes.get(matched)
        if outcome is None:
            outcome = outcome_of(self._rules, matched, ())
            if len(self._outcomes) < MAX_REMEMBERED:
                self._outcomes[matched] = outcome
        return outcome

    def _winners_of(self, batch: Batch) -> Ints:
        count, none = len(batch.records), len(self._rules)
        sure, open_ = self._find(batch)
        stop, trusted, _ = self._leading(sure, count)
        # What comes after a trusted winner changes nothing, nor does what neither decides nor stops.
        matters = (open_[1] < np.minimum(stop, trusted)[open_[0]]) & (self._decides | self._stop)[open_[1]]
        if matters.any():
            matched, _ = self._ask(batch, _those(open_, matters), self._stop | (self._decides & self._trusted))
            sure = _concatenated([sure, matched])
        _, trusted, untrusted = self._leading(sure, count)
        winner = np.where(trusted < none, trusted, untrusted)
        winner[winner == none] = -1
        return winner

    def _leading(self, pairs: Pairs, count: int) -> tuple[Ints, Ints, Ints]:
        """For each record the first match with `stop`, and up to that the first that decides, trusted and not."""
        stop = self._first(pairs, self._stop, count)
        pairs = _those(pairs, pairs[1] <= stop[pairs[0]])
        return (
            stop,
            self._first(pairs, self._decides & self._trusted, count),
            self._first(pairs, self._decides & ~self._trusted, count),
        )

    def _first(self, pairs: Pairs, wanted: Bools, count: int) -> Ints:
        """For each of `count` records its first rule that is `wanted`; the number of rules where there is none."""
        first = np.full(count, len(self._rules), dtype=np.int64)
        if wanted.any():
            owners, places = _those(pairs, wanted[pairs[1]])
            np.minimum.at(first, owners, places)
        return first

    def _find(self, batch: Batch) -> tuple[Pairs, Pairs]:
        """Which rules match for sure, and which are to be asked. A rule is not in both for the same record."""
        sure: list[Pairs] = []
        open_: list[Pairs] = []
        for index, places in zip(self.indexes, self._places, strict=True):
            found = index.find(batch)
            for pairs, (owners, slots) in ((sure, found.sure), (open_, found.open)):
                at = places[slots]
                pairs.append(_those((owners, at), at >= 0))
        count = len(batch.records)
        for place, mask in self._masked:
            if count < FEW:
                open_.append((np.arange(count), np.full(count, place)))
                continue
            certain, possible = mask(batch)
            sure.append(_all_of(certain, place))
            if possible is not certain:
                open_.append(_all_of(possible & ~certain, place))
        return _concatenated(sure), _concatenated(open_)

    def _ask(self, batch: Batch, pairs: Pairs, closes: Bools) -> tuple[Pairs, dict[int, list[RuleError]]]:
        """The pairs whose rule says yes, and the faults by record. Of a record no rule is asked after one that
        `closes`. Each rule is asked about all of its records in a row, while its tables are in the cache."""
        count = len(batch.records)
        places, owners = np.divmod(_distinct_keys(pairs[1], pairs[0], count), count)
        closed = bytearray(count)
        matched: list[tuple[int, int]] = []
        errors: dict[int, list[RuleError]] = {}
        asked = owners.tolist()
        for first, end in pairwise([*np.flatnonzero(np.diff(places, prepend=-1)).tolist(), len(asked)]):
            place = int(places[first])
            ask, some = self._asks[place], [owner for owner in asked[first:end] if not closed[owner]]
            for owner, verdict in zip(some, ask(batch, some) if ask and some else (), strict=True):
                if verdict is True:
                    matched.append((owner, place))
                    closed[owner] = bool(closes[place])
                elif isinstance(verdict, str):
                    errors.setdefault(owner, []).append(RuleError(rule_id=self._rules[place].id, reason=verdict))
        found = np.array(matched, dtype=np.int64).reshape(-1, 2)
        return (found[:, 0], found[:, 1]), errors


def _batches(records: Sequence[Sortable], zone: ZoneInfo, history: History | None) -> Iterator[Batch]:
    verdicts = asked_about(records, zone, history)
    for first in range(0, len(records), BATCH):
        yield Batch(records[first : first + BATCH], first, zone, verdicts)


def _those(pairs: Pairs, wanted: Bools) -> Pairs:
    return pairs[0][wanted], pairs[1][wanted]


def _all_of(mask: Bools, place: int) -> Pairs:
    owners = np.flatnonzero(mask)
    return owners, np.full(len(owners), place)


def _concatenated(pairs: Sequence[Pairs]) -> Pairs:
    nothing = np.empty(0, dtype=np.int64)
    return np.concatenate([nothing, *(one for one, _ in pairs)]), np.concatenate([nothing, *(two for _, two in pairs)])


def _distinct_keys(major: Ints, minor: Ints, size: int) -> Ints:
    """The pairs as numbers, rising and each once; `minor` is below `size`."""
    keys: Ints = np.sort(major * size + minor)
    once: Bools = np.diff(keys, prepend=-1) != 0
    return keys[once]
