"""Conditions put together from masks, one truth value per record of a batch, where no clue says whom to ask."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from adapters.matching.batch import Batch, Key, Probe, key_of
from adapters.matching.clues import choices_of
from adapters.matching.texts import Bools
from core.domain.conditions import AllOf, AnyOf, Condition, Leaf, Not
from core.domain.rule_leaves import Regex, Test, leaf_test
from core.errors import SortationError

Bounds = tuple[Bools, Bools]
"""Which records the condition says yes to for sure, and which it may say anything but no to."""
Mask = Callable[[Batch], Bounds]


def mask_of(condition: Condition, regex: Regex, probes: list[Probe]) -> Mask:
    """The mask; what it wants looked for in texts is added to `probes`."""
    match condition:
        case AllOf(children=children) | AnyOf(children=children):
            masks = [mask_of(child, regex, probes) for child in children]
            return _joined(masks, np.logical_and if isinstance(condition, AllOf) else np.logical_or)
        case Not(child=child):
            return _not(mask_of(child, regex, probes))
        case Leaf():
            return _leaf(condition, regex, probes)
        case _:
            return _open


def _leaf(leaf: Leaf, regex: Regex, probes: list[Probe]) -> Mask:
    choices = choices_of(leaf, regex)
    if choices.exact:
        probe = Probe(choices.options[0])
        probes.append(probe)
        return lambda batch: _probed(batch, probe)
    try:
        test = leaf_test(leaf, regex)
    except SortationError:
        return _open
    if leaf.field == "amount":
        return lambda batch: (said := batch.amount(leaf, test), said)
    key = key_of(leaf)
    return _open if key is None else _column(leaf, key, test)


def _column(leaf: Leaf, key: Key, test: Test) -> Mask:
    return lambda batch: (said := batch.leaf(leaf, key, test), said)


def _probed(batch: Batch, probe: Probe) -> Bounds:
    said = np.zeros(len(batch.records), dtype=np.bool_)
    for places in batch.probed.get(probe, ()):
        said[places] = True
    return said, said


def _open(batch: Batch) -> Bounds:
    """Nothing is sure: each record is to be asked about."""
    count = len(batch.records)
    return np.zeros(count, dtype=np.bool_), np.ones(count, dtype=np.bool_)


def _not(mask: Mask) -> Mask:
    def negation(batch: Batch) -> Bounds:
        sure, possible = mask(batch)
        if sure is possible:
            negated = ~sure
            return negated, negated
        return ~possible, ~sure

    return negation


def _joined(masks: list[Mask], join: np.ufunc) -> Mask:
    def joined(batch: Batch) -> Bounds:
        each = [mask(batch) for mask in masks]
        sure = reduce(join, [bounds[0] for bounds in each])
        if all(sure_one is possible for sure_one, possible in each):
            return sure, sure
        return sure, reduce(join, [bounds[1] for bounds in each])

    return joined
