"""The table of the running tests of the promise."""

from __future__ import annotations

from sqlalchemy import ARRAY, Column, Double, Integer, Table

from adapters.postgres.columns import a_text, a_time, a_uuid, metadata, of_tenant

SUMS = ("weight", "wrong", "squares", "wrong_squares")

promise_watches = Table(
    "promise_watches",
    metadata,
    a_uuid("tenant_id", key=True),
    a_text("stage", key=True),
    Column("promise", Double, nullable=False),
    a_time("since", null=True),
    Column("strictness", Integer, nullable=False),
    Column("against", ARRAY(Double), nullable=False),
    Column("in_favour", Double, nullable=False),
    Column("checked", Integer, nullable=False),
    *(Column(name, Double, nullable=False) for name in SUMS),
    of_tenant(),
)
