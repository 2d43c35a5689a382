"""A JSON API, asked as a declaration says: stream by stream, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.domain.nesting import MAX_NESTING, too_deep
from plugins.json_lines import check_characters, decoded, may_spell_unstorable
from plugins.rest.declaration import Stream, streams_of
from plugins.rest.pages import At
from plugins.rest.place import Place, digest
from sortation import (
    Batch,
    ConfigInvalid,
    Connector,
    Context,
    Draft,
    PermissionDenied,
    ReadRequest,
    Refusal,
    SchemaChanged,
    StreamCheck,
    StreamInfo,
)

_NO_LONGER = (400, 404, 410, 422)
"""How sources answer to a cursor that they have forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    items: Sequence[Any]
    following: At
    suspicious: bool
    """Whether an object may have characters that can't be stored."""


class Rest(Connector):
    """The connector of all manifests of this plugin: they differ in how the host identifies itself."""

    def check(self, ctx: Context) -> Sequence[StreamCheck]:
        return [_checked(ctx, stream) for stream in streams_of(ctx.config).values()]

    def discover(self, ctx: Context) -> Sequence[StreamInfo]:
        return [StreamInfo(name=s.name, kind=s.fields.kind) for s in streams_of(ctx.config).values()]

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        """A round asks for all that is new since the last one's highest mark, less the overlap. A read ends with its
        round, or after `max_pages`: the next one goes on there."""
        stream = streams_of(ctx.config).get(request.stream)
        if stream is None:
            raise ConfigInvalid(f"there is no stream {request.stream!r} in the configuration")
        return _Reading(ctx, stream, request).batches()


@dataclass(slots=True)
class _Reading:
    ctx: Context
    stream: Stream
    request: ReadRequest
    read: int = 0
    """How many objects were read, to say where one stood."""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def batches(self) -> Iterator[Batch]:
        stream = self.stream
        place = Place.of(self.request.cursor, stream.identity)
        resumed = place.at is not None
        if resumed and stream.pagination.counts:
            yield from self._once_more(place)
        for _ in range(stream.max_pages):
            page = _page(self.ctx, stream, place, lenient=resumed)
            if page is None:
                self.ctx.log.warning("%s: the source has forgotten its page: read anew from its beginning", stream.name)
                place = place.anew()
                page = _page(self.ctx, stream, place)
                assert page is not None  # noqa: S101 - it is strict
            resumed = False
            yield from self._of_page(page, place)
            place = place.onward(page.following, self._highest(place.seen, page.items))
            if page.following is None:
                return
        self.ctx.log.info("%s: %d pages are read; the next read goes on", stream.name, stream.max_pages)

    def _of_page(self, page: Page, place: Place) -> Iterator[Batch]:
        items, size = page.items, self.request.batch_size
        done = place.skip if place.skip and digest(items[: place.skip]) == place.digest else 0
        seen = self._highest(place.seen, items[:done])
        while len(items) - done > size:
            part, done = items[done : done + size], done + size
            seen = self._highest(seen, part)
            yield self._batch(part, page, place.within(items, done, seen))
        yield self._batch(items[done:], page, place.onward(page.following, self._highest(seen, items[done:])))

    def _once_more(self, place: Place) -> Iterator[Batch]:
        """The page before, since objects of this one may have moved there while nobody read: something before them was
        deleted, or changed and went to the end."""
        page = _page(self.ctx, self.stream, replace(place, at=place.before))
        assert page is not None  # noqa: S101 - it is strict
        seen = place.seen
        for start in range(place.back, len(page.items), self.request.batch_size):
            part = page.items[start : start + self.request.batch_size]
            seen = self._highest(seen, part)
            yield self._batch(part, page, replace(place, back=start + len(part), seen=seen))

    def _highest(self, seen: Decimal | None, items: Sequence[Any]) -> Decimal | None:
        if self.stream.incremental is None:
            return None
        marks = [mark for item in items if (mark := self.stream.incremental.mark(item)) is not None]
        return self.stream.incremental.highest([*marks, *([] if seen is None else [seen])], self.now)

    def _batch(self, items: Sequence[Any], page: Page, safe: Place) -> Batch:
        drafts, refusals = _sorted_out(self.ctx, self.stream, items, page.suspicious, self.read)
        self.read += len(items)
        return Batch(drafts=tuple(drafts), refusals=tuple(refusals), cursor=safe.cursor())


def _sorted_out(
    ctx: Context, stream: Stream, items: Sequence[Any], suspicious: bool, read: int
) -> tuple[list[Draft], list[Refusal]]:
    drafts: list[Draft] = []
    refusals: list[Refusal] = []
    for position, item in enumerate(items, start=read + 1):
        try:
            if stream.deleted is not None and stream.deleted.holds(item):
                continue
            if suspicious:
                check_characters(item)
            drafts.append(stream.fields.draft(item, ctx.default_currency))
        except (ValueError, ArithmeticError) as error:
            refusals.append(Refusal(position=position, reason=str(error)))
    return drafts, refusals


def _page(ctx: Context, stream: Stream, place: Place, *, lenient: bool = False) -> Page | None:
    """Asks for the page. None where the source says that it knows no such page, and `lenient`."""
    pagination = stream.pagination
    address = pagination.address(place.at)
    params = None if address else {**stream.params, **_since(stream, place), **pagination.params(place.at)}
    answer = ctx.http.request(
        "GET",
        address or stream.url,
        params=params or None,
        headers={"Accept": "application/json", **stream.headers},
        accept=_NO_LONGER if lenient else (),
    )
    if answer.status in _NO_LONGER:
        return None
    body: Any = None
    if answer.content.strip():
        try:
            body = decoded(answer.content)
        except ValueError as error:
            raise SchemaChanged(f"{stream.name}: the source's answer is {error}") from error
        if too_deep(body):
            raise SchemaChanged(f"{stream.name}: the source's answer is nested deeper than {MAX_NESTING}")
    items = _items(stream, body)
    return Page(
        items=items,
        following=pagination.next(place.at, address or stream.url, answer, body, len(items)),
        suspicious=may_spell_unstorable(answer.content),
    )


def _since(stream: Stream, place: Place) -> dict[str, str]:
    incremental = stream.incremental
    if incremental is None:
        return {}
    since = incremental.first() if place.since is None else incremental.since(place.since)
    return {} if since is None else {incremental.param: since}


def _items(stream: Stream, body: Any) -> Sequence[Any]:
    if body is None:
        return ()
    found = stream.records.all(body)
    if not found and stream.records.singular:
        has = f"it has {', '.join(sorted(map(str, body))[:20]) or 'no fields'}" if isinstance(body, dict) else "a list"
        raise SchemaChanged(f"{stream.name}: there is no {stream.records.text} in the source's answer: {has}")
    if len(found) == 1 and stream.records.singular:
        return found[0] if isinstance(found[0], list) else [] if found[0] is None else found
    return found


def _checked(ctx: Context, stream: Stream) -> StreamCheck:
    """By the first page as the first read has it."""
    try:
        page = _page(ctx, stream, Place(identity=stream.identity))
    except (ConfigInvalid, PermissionDenied, SchemaChanged) as error:
        return StreamCheck(stream=stream.name, ok=False, reason=str(error))
    assert page is not None  # noqa: S101 - it is strict
    drafts, refusals = _sorted_out(ctx, stream, page.items, page.suspicious, 0)
    if refusals:
        count = f"{len(refusals)} of the first {len(page.items)} objects can't become records"
        return StreamCheck(stream=stream.name, ok=bool(drafts), reason=f"{count}: {refusals[0].reason}")
    if stream.incremental and page.items and all(stream.incremental.mark(item) is None for item in page.items):
        reason = "no object has the incremental field as it is declared: each read would take everything"
        return StreamCheck(stream=stream.name, ok=False, reason=reason)
    return StreamCheck(stream=stream.name, ok=True, reason="" if page.items else "there is nothing to read yet")
