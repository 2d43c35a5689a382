"""What goes between host and child: a draft comes out as it went in, and nothing that is none comes out."""

from __future__ import annotations

import socket
import time
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.domain.plugins import Batch
from core.domain.records import Draft
from plugins.isolation import wire

FULL = Draft(
    text="Büro",
    occurred_at=datetime(2026, 3, 2, 1, 30, 0, 7, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    kind="ticket",
    account="main",
    external_id="e-1",
    counterparty="Ada",
    amount=Decimal("-12.500"),
    currency="EUR",
    attributes={"tags": ["a", {"b": None}], "n": 2**70},
    raw={"x": 1.5},
    pending=True,
    pending_external_id="p-1",
    category="rent",
)
LEAST = Draft(text="", occurred_at=date(2026, 3, 2))


def through(*drafts: Draft) -> tuple[Draft, ...]:
    host, child = socket.socketpair()
    with host, child:
        wire.send(child, wire.packed(Batch(drafts=drafts)))
        some = wire.from_child(host, time.monotonic() + 5)
    assert isinstance(some, wire.Some)
    return wire.unpacked(some).drafts


def test_a_draft_comes_out_as_it_went_in() -> None:
    stored = replace(FULL, attributes={**FULL.attributes, "n": str(2**70)})  # which msgpack has not
    full, least = through(FULL, LEAST)
    assert (full, least) == (stored, LEAST)
    for field in fields(Draft):
        value = getattr(full, field.name)
        assert value != getattr(LEAST, field.name), field.name
        assert type(value) is type(getattr(FULL, field.name))
    assert isinstance(full.occurred_at, datetime)
    assert full.occurred_at.utcoffset() == timedelta(hours=5, minutes=45)
    assert str(full.amount) == "-12.500"
    assert replace(full, text="x") == replace(stored, text="x")


def received(encoded: bytes) -> Batch:
    host, child = socket.socketpair()
    with host, child:
        child.sendall(len(encoded).to_bytes(4, "big") + encoded)
        some = wire.from_child(host, time.monotonic() + 5)
    assert isinstance(some, wire.Some)
    return wire.unpacked(some)


@pytest.mark.parametrize(
    "change",
    [{"amount": 12.5}, {"amount": "12.50"}, {"occurred_at": "2026-03-02"}, {"raw": None}, {"occurred_at": None}],
)
def test_what_is_no_draft_is_not_sent(change: dict[str, Any]) -> None:
    with pytest.raises(wire.Garbled, match="no draft"):
        wire.packed(Batch(drafts=(replace(LEAST, **change),)))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, None),
        (0, 7),
        (1, "2026-02-30"),
        (1, None),
        (3, None),
        (7, "twelve"),
        (7, [1]),
        (9, "no object"),
        (10, {1: 2}),
        (11, "yes"),
        (12, 5),
    ],
)
def test_what_a_child_forges_is_no_draft(place: int, value: Any) -> None:
    (draft,) = msgspec.to_builtins(wire.packed(Batch(drafts=(LEAST,))), builtin_types=(bytes,))["drafts"]
    draft[place] = value
    frame = {"type": "Some", "drafts": [draft], "refusals": [], "cursor": None}
    with pytest.raises(wire.Garbled):
        received(msgspec.msgpack.encode(frame))


def test_a_moment_that_is_none_is_no_draft() -> None:
    some = wire.packed(Batch(drafts=(replace(LEAST, occurred_at=datetime(2026, 3, 2, tzinfo=UTC)),)))
    forged = msgspec.structs.replace(some.drafts[0], moment="soon")
    with pytest.raises(wire.Garbled):
        wire.unpacked(wire.Some(drafts=[forged], refusals=[], cursor=None))
