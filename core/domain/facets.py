"""Facets: by what the records in a list differ, and how many there are of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

MAX_VALUES = 50
"""Of a facet, the commonest: nobody reads more."""
LOOKED_AT = 100_000
"""Records, the newest, that are looked at where there are more: their counts tell what the rest is like."""


class Facet(StrEnum):
    STATUS = "status"
    CATEGORY = "category"
    STAGE = "stage"
    CONNECTION = "connection"
    CURRENCY = "currency"
    KIND = "kind"
    MONTH = "month"


FILTERED_BY: Mapping[Facet, tuple[str, ...]] = MappingProxyType(
    {
        Facet.STATUS: ("statuses",),
        Facet.CATEGORY: ("category_id",),
        Facet.STAGE: ("stage",),
        Facet.CONNECTION: ("connection_id",),
        Facet.CURRENCY: ("currency",),
        Facet.KIND: ("kind",),
        Facet.MONTH: ("since", "until"),
    }
)
"""The parts of `ports.storage.RecordFilter` by which each is filtered."""
Value = str | UUID | None
"""A month is written `2026-03`; None are the records that have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """How many records of each value there are, the commonest first, at most so many as were asked for; `others` are
    those of all further values. `seen` records were looked at, and no more: where there are older ones, `approximate`.
    """

    counts: Mapping[Facet, Mapping[Value, int]]
    others: Mapping[Facet, int]
    seen: int
    approximate: bool


def commonest(counts: Mapping[Facet, Mapping[Value, int]], values: int, *, seen: int, approximate: bool) -> Facets:
    """The facets with their `values` commonest values each; equally common ones by what they are."""
    ranked = {
        facet: sorted(of.items(), key=lambda pair: (-pair[1], pair[0] is None, str(pair[0])))
        for facet, of in counts.items()
    }
    return Facets(
        counts={facet: dict(pairs[:values]) for facet, pairs in ranked.items()},
        others={facet: sum(n for _, n in pairs[values:]) for facet, pairs in ranked.items()},
        seen=seen,
        approximate=approximate,
    )
