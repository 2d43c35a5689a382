"""The clues of many conditions in one Aho-Corasick automaton, run over the joined texts of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
from ahocorasick_rs import BytesAhoCorasick, Implementation

from adapters.matching.batch import Batch, Probe
from adapters.matching.clues import COUNTERPARTY, END, START, TEXT, Clues
from adapters.matching.parts import Part
from adapters.matching.texts import Ints, Joined

_RARE = 6
"""Bytes from which on a literal is rare, whatever it says; each that it lacks makes it four times as frequent."""
_SURE, _OPEN, _PROBE = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Pairs of a record's place in the batch and a part's slot, some of them twice: the part says yes (`sure`), or is
    to be asked (`open`)."""

    sure: tuple[Ints, Ints]
    open: tuple[Ints, Ints]


class Index:
    """Parts by slot, ready to be looked for. Never changed, so threads and rule sets share it.

    `used` tells how many of the conditions around it have a literal; by default these are the `parts`.
    """

    def __init__(self, parts: Sequence[Part], used: Mapping[bytes, int] | None = None) -> None:
        self.slots = {part: slot for slot, part in enumerate(parts)}
        self.used = Counter(_literals(parts)) if used is None else used
        burden = partial(_burden, self.used)
        self._probes: list[Probe] = []
        self._literals: dict[bytes, int] = {}
        rows: list[tuple[int, int, int, bool, int, int]] = []
        for slot, part in enumerate(parts):
            choices = part.choices
            if choices.options:
                best = choices.options[0] if len(choices.options) == 1 else min(choices.options, key=burden)
                self._add(rows, best, _SURE if choices.exact else _OPEN, slot)
            for probe in part.probes:
                self._add(rows, probe.clues, _PROBE, len(self._probes))
                self._probes.append(probe)
        table = np.array(rows, dtype=np.int64).reshape(-1, 6)
        table = table[np.argsort(table[:, 0], kind="stable")].T
        self._need, self._fields, self._exact, self._kind, self._target = (column.copy() for column in table[1:])
        self._pointers = np.append(0, np.cumsum(np.bincount(table[0], minlength=len(self._literals))))
        self._fields_asked = int(np.bitwise_or.reduce(self._fields)) if rows else 0
        long = [literal for literal in self._literals if len(literal) > 1]
        self._long = np.array([self._literals[literal] for literal in long], dtype=np.int64)
        self._single = [(literal[0], number) for literal, number in self._literals.items() if len(literal) == 1]
        self._empty = self._literals.get(b"")
        # Faster than a DFA from 300 rules on, since more of it stays in the processor's cache, and a tenth of its size.
        self._automaton = BytesAhoCorasick(long, implementation=Implementation.ContiguousNFA)

    def _add(self, rows: list[tuple[int, int, int, bool, int, int]], clues: Clues, kind: int, target: int) -> None:
        for clue in clues:
            literal = self._literals.setdefault(clue.literal, len(self._literals))
            rows.append((literal, clue.need, clue.fields, clue.exact, kind, target))

    def find(self, batch: Batch) -> Found:
        """The pairs; what the probes of the parts found goes into `batch.probed`."""
        found: list[tuple[Ints, Ints]] = []
        if self._fields_asked & TEXT:
            found.append(self._clues_in(batch.texts, TEXT))
        if self._fields_asked & COUNTERPARTY:
            joined, codes = batch.counterparties
            owners, clues = self._clues_in(joined, COUNTERPARTY)
            pointers = np.append(0, np.cumsum(np.bincount(owners, minlength=len(joined.owner))))
            places, at = _spread(pointers, codes)
            found.append((places, clues[np.argsort(owners, kind="stable")][at]))
        places, clues = (np.concatenate(column) for column in zip(*found, strict=True)) if found else _NOTHING
        kind, target = self._kind[clues], self._target[clues]
        if self._probes:
            probing = kind == _PROBE
            if probing.any():
                self._keep(batch, places[probing], target[probing])
        sure, open_ = kind == _SURE, kind == _OPEN
        return Found(sure=(places[sure], target[sure]), open=(places[open_], target[open_]))

    def _keep(self, batch: Batch, places: Ints, probes: Ints) -> None:
        order = np.argsort(probes, kind="stable")
        distinct, firsts = np.unique(probes[order], return_index=True)
        for probe, some in zip(distinct.tolist(), np.split(places[order], firsts[1:]), strict=True):
            batch.probed.setdefault(self._probes[probe], []).append(some)

    def _clues_in(self, joined: Joined, field: int) -> tuple[Ints, Ints]:
        """Which clues are in which of the texts: (owner of the text, clue), some pairs twice."""
        literal, start, end = self._literals_in(joined)
        segment = np.searchsorted(joined.starts, start, side="right") - 1
        last = joined.ends[segment]
        where = START * (start == joined.starts[segment]) + END * (end == last)
        rows, clues = _spread(self._pointers, literal)
        fits = (self._need[clues] & ~where[rows] == 0) & (self._fields[clues] & field != 0)
        fits &= (end <= last)[rows]  # a literal with the separator is found across texts, too
        segment = segment[rows]
        if joined.plain < len(joined.owner):
            fits &= (self._exact[clues] == 0) | (segment < joined.plain)
        return joined.owner[segment[fits]], clues[fits]

    def _literals_in(self, joined: Joined) -> tuple[Ints, Ints, Ints]:
        """All occurrences: (literal, first byte, byte after the last)."""
        found = self._automaton.find_matches_as_indexes(joined.data, overlapping=True)
        numbers = np.fromiter(chain.from_iterable(found), dtype=np.int64, count=3 * len(found)).reshape(-1, 3)
        found_at = [(self._long[numbers[:, 0]], numbers[:, 1], numbers[:, 2])]
        data = np.frombuffer(joined.data, dtype=np.uint8)
        for byte, literal in self._single:
            at = np.flatnonzero(data == byte)
            found_at.append((np.full(len(at), literal), at, at + 1))
        if self._empty is not None:
            at = joined.starts[joined.starts == joined.ends]
            found_at.append((np.full(len(at), self._empty), at, at))
        if len(found_at) == 1:
            return found_at[0]
        literals, starts, ends = (np.concatenate(column) for column in zip(*found_at, strict=True))
        return literals, starts, ends


def _literals(parts: Sequence[Part]) -> Iterator[bytes]:
    return (clue.literal for part in parts for clues in part.choices.options for clue in clues)


def _burden(used: Mapping[bytes, int], clues: Clues) -> int:
    """How often the clues will be found in vain, roughly: what many rules look for, and what is short, is frequent."""
    return sum(used.get(clue.literal, 1) << 2 * max(0, _RARE - len(clue.literal)) for clue in clues)


_NOTHING = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)


def _spread(pointers: Ints, groups: Ints) -> tuple[Ints, Ints]:
    """For each group, the numbers from its pointer up to the next: (place in `groups`, number)."""
    first = pointers[groups]
    counts = pointers[groups + 1] - first
    rows = np.repeat(np.arange(len(groups)), counts)
    return rows, np.arange(len(rows)) + np.repeat(first - np.cumsum(counts) + counts, counts)
