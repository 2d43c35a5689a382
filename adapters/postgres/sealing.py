"""The sealer: gives events their place after their commit, and chains digests, so that tampering shows.

A batch's digest is the SHA-256 of the one before it, of its head and of its contents (the digests of its events, one
after the other). Whoever changes, removes or inserts an event has to make every later digest anew, and then the last
one differs from what somebody noted down elsewhere.

The head is three digests: of what no erasure takes, of the actor's name, and of from where they acted. What the last
two were made of may be missing from an erased batch; what stands there instead is what erasing writes, and nothing
else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, text

from adapters.postgres.work_tables import event_batches
from core.domain.events import Verification
from core.domain.names import ERASED, FORGOTTEN, is_reserved

SEAL_AT_ONCE = 500
_VERIFY_AT_ONCE = 1_000
_SEAL_LOCK = 0x5074_1072
"""Key of the advisory lock that makes the sealer one: arbitrary, only distinct."""
_DIGEST_BYTES = 32

# JSON keeps values apart, and numbers and instants have one form whatever the session's settings.
_LASTS = """sha256(convert_to(jsonb_build_array(
    b.id, extract(epoch FROM b.created_at), b.size, b.actor_id, b.source_agent, b.request_id)::text, 'UTF8'))"""
_ACTOR = """sha256(convert_to(jsonb_build_array(b.id, encode(substr(b.salt, 1, 16), 'hex'), b.actor)::text, 'UTF8'))"""
_WHERE = """sha256(convert_to(jsonb_build_array(
    b.id, encode(substr(b.salt, 17), 'hex'), b.address, b.user_agent)::text, 'UTF8'))"""
_HEAD = f"{_LASTS} || {_ACTOR} || {_WHERE}"
# As heads were made before they were parts: none of it can be told from the rest.
_WHOLE = """sha256(convert_to(jsonb_build_array(
    b.id, extract(epoch FROM b.created_at), b.size, b.actor, b.actor_id, b.source_agent, b.request_id, b.address,
    b.user_agent)::text, 'UTF8'))"""
_CONTENTS = """coalesce((
    SELECT string_agg(sha256(convert_to(
        jsonb_build_array(e.ordinal, e.type, e.subject_id, e.payload)::text, 'UTF8')), '' ORDER BY e.ordinal)
    FROM events e WHERE e.tenant_id = b.tenant_id AND e.batch_id = b.id), '')"""
# As batches were digested up to release 0.3: nothing of it is kept.
_FORMERLY = """convert_to(concat_ws('|', b.id, b.created_at, b.actor, b.source_agent, b.request_id), 'UTF8') ||
    coalesce((SELECT string_agg(sha256(convert_to(
        concat_ws('|', e.ordinal, e.type, e.subject_id, e.payload), 'UTF8')), '' ORDER BY e.ordinal)
    FROM events e WHERE e.tenant_id = b.tenant_id AND e.batch_id = b.id), '')"""
_MADE = text(f"""
    SELECT {_HEAD} AS head, {_CONTENTS} AS contents FROM event_batches b WHERE b.tenant_id = :tenant AND b.id = :batch
""")  # noqa: S608 - of constants
_PAGE = text(f"""
    SELECT b.id, b.last_seq, b.size, b.digest, b.head, b.contents, b.erased, b.actor,
        coalesce(b.address, b.user_agent) IS NULL AS nowhere,
        CASE WHEN length(b.head) = {_DIGEST_BYTES} THEN {_WHOLE} ELSE {_HEAD} END AS made_head,
        {_CONTENTS} AS made_contents, CASE WHEN b.head IS NULL THEN {_FORMERLY} END AS formerly
    FROM event_batches b WHERE b.tenant_id = :tenant AND b.last_seq > :after ORDER BY b.last_seq LIMIT :limit
""")  # noqa: S608 - of constants


def seal(connection: Connection) -> int:
    """Seals up to `SEAL_AT_ONCE` batches, of all tenants; returns how many. Nothing where another does it."""
    if not connection.execute(select(func.pg_try_advisory_xact_lock(_SEAL_LOCK))).scalar():
        return 0
    batches = connection.execute(
        select(event_batches.c.tenant_id, event_batches.c.id, event_batches.c.size)
        .where(event_batches.c.last_seq.is_(None))
        .order_by(event_batches.c.id)
        .limit(SEAL_AT_ONCE)
    ).all()
    ends: dict[UUID, tuple[int, bytes]] = {}
    for batch in batches:
        last_seq, digest = ends.get(batch.tenant_id) or _end(connection, batch.tenant_id)
        made = connection.execute(_MADE, {"tenant": batch.tenant_id, "batch": batch.id}).one()
        last_seq, digest = last_seq + batch.size, _chained(digest, made.head, made.contents)
        ends[batch.tenant_id] = (last_seq, digest)
        connection.execute(
            event_batches.update()
            .where(event_batches.c.tenant_id == batch.tenant_id, event_batches.c.id == batch.id)
            .values(last_seq=last_seq, digest=digest, head=made.head, contents=made.contents)
        )
    return len(batches)


def verify(connection: Connection, tenant_id: UUID) -> Verification:
    """Goes through the tenant's sealed events from the first one on."""
    seq, digest = 0, b""
    for batch in _sealed(connection, tenant_id):
        fault = _fault(batch, seq, digest)
        if fault is not None:
            return Verification(events=seq, digest=digest.hex(), fault=fault)
        seq, digest = batch.last_seq, bytes(batch.digest)
    return Verification(events=seq, digest=digest.hex(), fault=None)


def _sealed(connection: Connection, tenant_id: UUID) -> Iterator[Any]:
    after = 0
    while True:
        asked = {"tenant": tenant_id, "after": after, "limit": _VERIFY_AT_ONCE}
        page = connection.execute(_PAGE, asked).all()
        yield from page
        if len(page) < _VERIFY_AT_ONCE:
            return
        after = page[-1].last_seq


def _fault(batch: Any, seq: int, digest: bytes) -> str | None:
    """What is wrong with the batch that comes after `seq`; None where it is as it was sealed."""
    first = batch.last_seq - batch.size + 1
    place = f"events {first} to {batch.last_seq}" if batch.size > 1 else f"event {first}"
    if first != seq + 1:
        return f"{place}: the events from {seq + 1} on are missing" if first > seq else f"{place}: it is there twice"
    if batch.head is None:
        made = hashlib.sha256(digest + bytes(batch.formerly)).digest()
        return None if made == batch.digest else f"{place}: changed since, or what was before"
    if _chained(digest, batch.head, batch.contents) != batch.digest:
        return f"{place}: the digest does not follow from the one before"
    if not _head_holds(batch):
        return f"{place}: who acted, when or from where was changed"
    kept, made_contents = bytes(batch.contents), bytes(batch.made_contents)
    if len(kept) != batch.size * _DIGEST_BYTES:
        return f"{place}: how many they are was changed"
    if made_contents != kept:
        pairs = range(0, max(len(kept), len(made_contents)), _DIGEST_BYTES)
        wrong = next(n for n in pairs if kept[n : n + _DIGEST_BYTES] != made_contents[n : n + _DIGEST_BYTES])
        return f"event {first + wrong // _DIGEST_BYTES}: changed or removed"
    return None


def _head_holds(batch: Any) -> bool:
    """Whether who acted, when and from where is as it was sealed, but for what erasing took."""
    kept, made = bytes(batch.head), bytes(batch.made_head)
    if kept == made:
        return not batch.erased or batch.nowhere
    if not batch.erased or not batch.nowhere:
        return False
    if len(kept) == _DIGEST_BYTES:  # only what stands there can be looked at
        return is_reserved(batch.actor)
    lasts, actor = slice(_DIGEST_BYTES), slice(_DIGEST_BYTES, 2 * _DIGEST_BYTES)
    return kept[lasts] == made[lasts] and (batch.actor in (ERASED, FORGOTTEN) or kept[actor] == made[actor])


def _end(connection: Connection, tenant_id: UUID) -> tuple[int, bytes]:
    """The last place that is taken, and its digest."""
    end = connection.execute(
        select(event_batches.c.last_seq, event_batches.c.digest)
        .where(event_batches.c.tenant_id == tenant_id, event_batches.c.last_seq.is_not(None))
        .order_by(event_batches.c.last_seq.desc())
        .limit(1)
    ).first()
    return (end.last_seq, bytes(end.digest)) if end else (0, b"")


def _chained(digest: bytes, head: bytes, contents: bytes) -> bytes:
    return hashlib.sha256(digest + bytes(head) + bytes(contents)).digest()
