"""Vectors live where searching them is quick: tenants with many get a home of their own, and give it up with few."""

from __future__ import annotations

from collections.abc import Sequence

from core.domain.vector_homes import OWN_ABOVE, SHARED_BELOW, Moved, VectorHome, to_move
from ports.vector_homes import VectorHomes


def tend_vectors(
    *, own_above: int = OWN_ABOVE, shared_below: int = SHARED_BELOW, homes: VectorHomes | None
) -> Sequence[Moved]:
    """Moves what lives in the wrong place, indexes what another model made, and drops what earlier moves left; says
    what moved. Does nothing without `homes`, or while somebody else does this. Raises `Transient`."""
    if homes is None:
        return []
    with homes.alone() as alone:
        if not alone:
            return []
        moved = [
            homes.move(home.tenant_id, own=not home.own)
            for home in to_move(homes.list(), own_above=own_above, shared_below=shared_below)
        ]
        for home in homes.list():
            if home.own:
                homes.index(home.tenant_id, least=shared_below)
        homes.clean()
        return moved


def list_vector_homes(*, homes: VectorHomes) -> Sequence[VectorHome]:
    return homes.list()
