"""Where a tenant's vectors live: among others', where a search compares with all, or with an index of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

OWN_ABOVE = 20_000
"""Examples above which comparing a text with each of them costs more than an index of the tenant's own."""
SHARED_BELOW = 10_000
"""Far enough below that no tenant moves to and fro."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorHome:
    """`vectors` are those of the model that has most; `own` says whether they live alone."""

    tenant_id: UUID
    own: bool
    vectors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A tenant's vectors moved to a home of their `own` or back, in so many seconds in all; what wrote to them waited
    for `held_seconds` at most, and what searched them for nothing."""

    tenant_id: UUID
    own: bool
    vectors: int
    seconds: float
    held_seconds: float


def to_move(homes: Sequence[VectorHome], *, own_above: int, shared_below: int) -> Sequence[VectorHome]:
    """Those that live in the wrong place; between the two limits each stays where it is."""
    return [h for h in homes if (h.own and h.vectors < shared_below) or (not h.own and h.vectors > own_above)]
