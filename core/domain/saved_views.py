"""Saved views: filters of the list of records, kept by a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from core.domain.records import clean_text
from core.errors import Invalid

MAX_VIEWS = 200
"""Of a person, and as many that are everybody's: more than anybody finds their way in."""
MAX_NAME = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedView:
    """`query` is what `GET /records` takes, as JSON: it may name what is gone by now. Without a `user_id` the view is
    everybody's. `version` rises with every change."""

    id: UUID
    tenant_id: UUID
    user_id: UUID | None
    name: str
    query: Mapping[str, Any]
    created_at: datetime
    version: int


def check_view_name(name: str) -> str:
    """The name with its whitespace collapsed; raises `Invalid` when nothing is left or it is too long."""
    name = clean_text(name)
    if not 0 < len(name) <= MAX_NAME:
        raise Invalid(f"a view's name has 1 to {MAX_NAME} characters", fields={"name": ["Too short or too long."]})
    return name
