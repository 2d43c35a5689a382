"""A batch of records while rules are asked: their texts joined, and leaves answered once per distinct value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property, lru_cache
from itertools import count
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from adapters.matching.clues import Clues
from adapters.matching.texts import Bools, Ints, Joined, join
from core.domain.conditions import ATTRIBUTES, DaysFromRecord, Leaf
from core.domain.records import Sortable, normalise, occurred_on
from core.domain.rule_leaves import Facts, Test

Key = Callable[[Sortable, ZoneInfo], Hashable]
_Hashable = TypeVar("_Hashable", bound=Hashable)
_fold = lru_cache(maxsize=4_096)(normalise)


class Probe:
    """A leaf whose clues are exact, within a condition that has to be put together from masks."""

    __slots__ = ("clues",)

    def __init__(self, clues: Clues) -> None:
        self.clues = clues


class Batch:
    """`first` is the place of `records[0]` in the whole that is asked about, `verdicts` what the facts of it share."""

    def __init__(self, records: Sequence[Sortable], first: int, zone: ZoneInfo, verdicts: dict[object, Any]) -> None:
        self.records = records
        self.probed: dict[Probe, list[Ints]] = {}
        self.first = first
        self.zone = zone
        self.verdicts = verdicts
        self._facts: dict[int, Facts] = {}
        self._columns: dict[Hashable, tuple[Ints, list[int]]] = {}
        self._leaves: dict[Leaf, Bools] = {}

    @cached_property
    def texts(self) -> Joined:
        return join([record.text for record in self.records])

    @cached_property
    def counterparties(self) -> tuple[Joined, Ints]:
        """The distinct ones, and for each record which of them it has."""
        distinct, codes = _distinct([record.counterparty for record in self.records])
        return join(distinct), codes

    @cached_property
    def amounts(self) -> npt.NDArray[np.float64]:
        """Nearest floats, NaN for none: unequal ones compare as the Decimals do."""
        none = float("nan")
        return np.array([none if (a := record.amount) is None else float(a) for record in self.records])

    @cached_property
    def _bounds(self) -> tuple[list[int], list[int]]:
        """Where each record's normalised text begins and ends in the joined ones."""
        texts = self.texts
        order = np.empty(texts.plain, dtype=np.int64)
        order[texts.owner[: texts.plain]] = np.arange(texts.plain)
        return texts.starts[order].tolist(), texts.ends[order].tolist()

    def facts(self, place: int) -> Facts:
        facts = self._facts.get(place)
        if facts is None:
            facts = self._facts[place] = _LazyFacts(self, place)
        return facts

    def each(self, places: Iterable[int]) -> Iterator[Facts]:
        """The facts of one record after the other, in one object that moves on: making one each costs more than
        asking most leaves."""
        facts = _LazyFacts(self, 0)
        records, first = self.records, self.first
        for place in places:
            facts.record = records[place]
            facts.position = first + place
            facts.place = place
            yield facts

    def normal_text(self, place: int) -> str:
        starts, ends = self._bounds
        return self.texts.data[starts[place] : ends[place]].decode("utf-8", "surrogatepass")

    def leaf(self, leaf: Leaf, key: Key, test: Test) -> Bools:
        """What the leaf says of each record; `test` is asked once for all records with the same `key`."""
        known = self._leaves.get(leaf)
        if known is None:
            relative = any(isinstance(value, DaysFromRecord) for value in leaf.values)
            codes, firsts = self._column((leaf.field, relative), key)
            said = np.array([test(self.facts(place)) for place in firsts], dtype=np.bool_)
            known = self._leaves[leaf] = said[codes]
        return known

    def _column(self, name: Hashable, key: Key) -> tuple[Ints, list[int]]:
        column = self._columns.get(name)
        if column is None:
            distinct, codes = _distinct([key(record, self.zone) for record in self.records])
            firsts = np.empty(len(distinct), dtype=np.int64)
            firsts[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
            column = self._columns[name] = codes, firsts.tolist()
        return column

    def amount(self, leaf: Leaf, test: Test) -> Bools:
        """As `leaf`, by floats; only where one equals a bound `test` decides."""
        known = self._leaves.get(leaf)
        if known is None:
            amounts = self.amounts
            bounds = [float(value) for value in leaf.values if isinstance(value, Decimal)]
            match leaf.op:
                case "lt" | "lte":
                    known = amounts < bounds[0]
                case "gt" | "gte":
                    known = amounts > bounds[0]
                case "between":
                    known = (amounts > bounds[0]) & (amounts < bounds[1])
                case _:
                    known = np.zeros(len(amounts), dtype=np.bool_)
            for place in np.flatnonzero(np.isin(amounts, bounds)).tolist():
                known[place] = test(self.facts(place))
            self._leaves[leaf] = known
        return known


class _LazyFacts(Facts):
    """Facts that normalise a text when it is asked for."""

    __slots__ = ("_batch", "place")

    def __init__(self, batch: Batch, place: int) -> None:
        self.record = batch.records[place]
        self.position = batch.first + place
        self.verdicts = batch.verdicts
        self.zone = batch.zone
        self._batch = batch
        self.place = place

    @property
    def text(self) -> str:  # type: ignore[override]
        return self._batch.normal_text(self.place)

    @property
    def counterparty(self) -> str:  # type: ignore[override]
        return _fold(self.record.counterparty)


def key_of(leaf: Leaf) -> Key | None:
    """What a leaf sees of a record: it says the same of records with the same key. None where nothing short says it."""
    if leaf.field.startswith(ATTRIBUTES):
        steps = leaf.field.removeprefix(ATTRIBUTES).split(".")
        if any(isinstance(value, DaysFromRecord) for value in leaf.values):
            return lambda record, zone: (_item(record.attributes, steps), occurred_on(record.occurred_at, zone))
        return lambda record, _: _item(record.attributes, steps)
    return _KEYS.get(leaf.field, None if leaf.field in ("text", "anywhere", "amount") else _day)


def _day(record: Sortable, zone: ZoneInfo) -> Hashable:
    return occurred_on(record.occurred_at, zone)


_KEYS: Mapping[str, Key | None] = {
    "counterparty": lambda record, _: record.counterparty,
    "currency": lambda record, _: record.currency,
    "account": lambda record, _: record.account,
    "kind": lambda record, _: record.kind,
    "connection": lambda record, _: record.connection_id.int,
}


def _item(attributes: Any, steps: Sequence[str]) -> Hashable:
    """The attribute, told apart from all that is equal to it but reads differently (1, True, 1.0)."""
    value = attributes
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    if value is None or isinstance(value, str):
        return value
    return (type(value), value) if isinstance(value, bool | int) else (type(value), id(value))


def _distinct(keys: Sequence[_Hashable]) -> tuple[list[_Hashable], Ints]:
    """The distinct keys, and for each key which of these it is."""
    numbers: dict[_Hashable, int] = defaultdict(count().__next__)
    codes = np.fromiter(map(numbers.__getitem__, keys), dtype=np.int64, count=len(keys))
    return list(numbers), codes
