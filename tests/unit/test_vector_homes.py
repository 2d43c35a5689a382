from __future__ import annotations

from uuid import UUID

from core.domain.vector_homes import VectorHome, to_move


def test_between_the_limits_each_stays_where_it_is() -> None:
    homes = [
        VectorHome(tenant_id=UUID(int=n), own=own, vectors=vectors)
        for n, (own, vectors) in enumerate(
            [
                (False, 0),
                (False, 20),
                (False, 21),
                (False, 500),
                (True, 500),
                (True, 20),
                (True, 10),
                (True, 9),
                (True, 0),
            ]
        )
    ]
    moving = to_move(homes, own_above=20, shared_below=10)
    assert [home.tenant_id.int for home in moving] == [2, 3, 7, 8]
