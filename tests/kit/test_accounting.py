"""Where the kit finds the items of an answer, which it makes odd one by one."""

from __future__ import annotations

from typing import Any

import pytest

from sortation.testing import Source
from sortation.testing.accounting import places_of
from tests.kit.good_suites import Ledger, rendered

ITEMS = Source().items()[:2]
ONE, TWO = (rendered(item) for item in ITEMS)


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ({"data": [ONE, TWO], "next": {"after": TWO["id"]}}, [("data", 0), ("data", 1)]),
        ({"data": [ONE], "paging": {"after": ONE["id"]}, "more": False}, [("data", 0)]),
        ([{"node": ONE}, {"node": TWO}], [(0,), (1,)]),
        ({"data": {"1": ONE, "2": TWO}}, [("data", "1"), ("data", "2")]),
        ({"rows": [list(ONE.values()), list(TWO.values())]}, [("rows", 0), ("rows", 1)]),
        ({"data": [{"id": "inv-1", "lines": [ONE, TWO]}]}, [("data", 0, "lines", 0), ("data", 0, "lines", 1)]),
        (
            {"data": [ONE, TWO], "included": [{"of": ONE["id"]}, {"of": TWO["id"]}]},
            [("data", 0), ("data", 1)],
        ),
        ({"data": [], "more": False}, []),
        ({"ids": [ONE["id"], TWO["id"]]}, []),
        (None, []),
    ],
)
def test_an_item_stands_where_it_alone_is_told_of(document: Any, places: list[Any]) -> None:
    assert sorted(places_of(Ledger(), ITEMS, document)) == places
