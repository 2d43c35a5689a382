"""What becomes of texts in files that people open in a spreadsheet."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

RECORD_COLUMNS = (
    "id",
    "occurred_at",
    "kind",
    "account",
    "external_id",
    "text",
    "counterparty",
    "amount",
    "currency",
    "status",
    "category",
    "category_id",
    "stage",
    "confidence",
    "tags",
    "attributes",
    "failure",
)
"""Of records in files."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""With the full-width forms, which some spreadsheets take for the plain ones."""
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")


def cell(value: Any) -> str:
    """The text of a cell, which no spreadsheet takes for a formula; plain numbers stay as they are."""
    if value is None:
        return ""
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    return f"'{text}" if text.startswith(FORMULA) and not _NUMBER.fullmatch(text) else text
