"""Cells of files that spreadsheets open."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.domain.spreadsheets import cell


@pytest.mark.parametrize(
    "text", ["=1", "+x", "-x", "@x", "\tx", "\rx", "-1-1", "-1e5\n", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x"]
)
def test_cells_that_would_be_formulas_are_quoted(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-1.50", "+7", "plain", "", Decimal("-0.5"), -3])
def test_plain_cells_stay(value: Any) -> None:
    assert cell(value) == str(value)


def test_nothing_is_an_empty_cell() -> None:
    assert cell(None) == ""
