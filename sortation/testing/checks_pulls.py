"""Checks of connectors that ask a source: that nothing is lost, whatever happens in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from core.domain.plugins import Batch
from core.domain.records import Draft
from core.errors import CursorInvalid
from ports.connectors import Connector
from sortation.testing.accounting import drafts_of, expect_all, expect_found, ids_of, refused, some
from sortation.testing.connections import (
    ConnectorSuite,
    Play,
    at_request,
    error_of,
    expect_contract,
    from_request,
    last_cursor,
    read,
    tried,
)
from sortation.testing.scripted_http import Answer
from sortation.testing.suite import expect, fail, skip


class PullChecks(ConnectorSuite):
    def test_check_tells_of_each_stream(self) -> None:
        """`discover` names streams, each once, and `check` says of each of them, and of no others, that it can be
        read; the kit's source is in order."""
        with self._pulling() as play:
            streams = play.source.streams
            expect(streams and len(set(streams)) == len(streams), f"discover names {streams}: each once, and some")
            expect(all(streams), "a stream has no name")
            checks = list(self.make().check(play.ctx))
            told = [check.stream for check in checks]
            expect(sorted(told) == sorted(streams), f"check tells of {told}, discover of {streams}")
            for check in checks:
                expect(check.ok, f"check says that {check.stream} can't be read, and it can: {check.reason}")

    def test_check_fails_where_reading_fails(self) -> None:
        """A source that refuses everything, or answers what nobody understands, or a folder that has gone, does not
        pass `check`: it reads."""
        refusals = {"refuses it (403)": Answer(status=403), "answers garbage": Answer(json={"unexpected": True})}
        if self.manifest.folder:
            refusals = {"has gone": Answer()}
        for what, answer in refusals.items():
            with self._pulling() as play:
                play.meddle = from_request(0, answer)
                if play.folder is not None:
                    play.folder.path.rmdir()
                checks, error = tried(partial(self.make().check, play.ctx))
                expect_contract(error, f"check, where the source {what}")
                if error is None:
                    well = [check.stream for check in checks if check.ok]
                    expect(checks and not well, f"the source {what}, and check says that {well} can be read")
                    expect(all(check.reason for check in checks), "check gives no reason")

    def test_reads_everything(self) -> None:
        """Everything that the source has is read, with the fields that it has there: ids, amounts (signed), moments."""
        with self._pulling() as play:
            for stream in play.source.streams:
                batches = list(read(self.make(), play, stream))
                items = play.source.items(stream)
                expect_all(self, items, batches, stream)
                by_id = {draft.external_id: draft for draft in drafts_of(batches)}
                for item in items:
                    wanted = self.expected(item)
                    _expect_fields(by_id[wanted["external_id"]], wanted)

    def test_reads_lazily(self) -> None:
        """It does not ask for everything before it yields its first batch: a source may have millions of records."""
        with self._pulling(page_size=1) as play:
            for stream in play.source.streams:
                play.server.requests.clear()
                list(read(self.make(), play, stream))
                whole = len(play.server.requests)
                next(read(self.make(), play, stream), None)
                asked = len(play.server.requests) - whole
                if whole < 3:
                    skip("the source is read by one request")
                expect(asked < whole, f"{stream}: it made all {whole} requests before it yielded anything")

    def test_cursors_are_small_and_json(self) -> None:
        """Each batch has a cursor, of JSON's own types alone, and a small one: it is stored with each batch. It names
        no secret."""
        with self._pulling() as play:
            for stream in play.source.streams:
                batches = list(read(self.make(), play, stream))
                expect(batches, f"{stream}: nothing is read")
                for batch in batches:
                    cursor = batch.cursor
                    if not isinstance(cursor, Mapping):
                        fail(f"{stream}: a batch has the cursor {cursor!r}, so the next sync begins anew")
                    try:
                        written = json.dumps(dict(cursor), allow_nan=False)
                    except (TypeError, ValueError) as error:
                        fail(f"{stream}: the cursor {cursor!r} is not JSON: {error}")
                    expect(json.loads(written) == cursor, f"{stream}: {cursor!r} changes when it is stored as JSON")
                    expect(len(written) <= self.max_cursor_bytes, f"{stream}: a cursor of {len(written)} bytes")
                    for secret in filter(None, play.known()):
                        expect(secret not in written, f"{stream}: a secret is in the cursor")

    def test_resumes_after_every_batch(self) -> None:
        """Killed after any batch, it goes on from that batch's cursor, and nothing is lost; with the first stream it
        goes on in another process."""
        with self._pulling() as play:
            for number, stream in enumerate(play.source.streams):
                make = self.make if number else self.make_isolated
                self._expect_resuming(play, stream, make, "killed")

    def test_resumes_after_a_failure(self) -> None:
        """Where the source fails at any request, what was yielded stays, the error is told, and from the last cursor on
        nothing is lost."""
        with self._pulling() as play:
            for stream in play.source.streams:
                play.server.requests.clear()
                list(read(self.make(), play, stream))
                whole = len(play.server.requests)
                for failing in range(whole):
                    play.server.requests.clear()
                    play.meddle = at_request(failing, Answer(status=503))
                    before, error = tried(partial(read, self.make(), play, stream))
                    expect(error is not None, f"{stream}: request {failing + 1} fails, and nobody is told")
                    play.meddle = None
                    after = list(read(self.make(), play, stream, last_cursor(before)))
                    expect_all(
                        self,
                        play.source.items(stream),
                        [*before, *after],
                        f"{stream}, resumed after request {failing + 1} failed",
                    )

    def test_ties_at_the_cursor(self) -> None:
        """An item that came, happened and changed at the very instant where the last sync ended is found by the next,
        and a sync that finds nothing new ends and keeps its place."""
        with self._pulling() as play:
            for stream in play.source.streams:
                batches = list(read(self.make(), play, stream))
                cursor = last_cursor(batches)
                quiet = list(read(self.make(), play, stream, cursor))
                cursor = last_cursor(quiet, cursor)
                newest = play.source.newest(stream)
                tie = play.source.add(stream, at=newest.at, changed_at=newest.changed_at)
                found = list(read(self.make(), play, stream, cursor))
                expect_found(self, tie, found, f"{stream}: an item of the same instant as the last one read")

    def test_late_records(self) -> None:
        """An item that happened long ago, or comes up as late as the source may be, is found by the next sync."""
        with self._pulling() as play:
            for stream in play.source.streams:
                cursor = last_cursor(list(read(self.make(), play, stream)))
                newest = play.source.newest(stream)
                long_ago = newest.at - (self.late if self.incremental == "at" else timedelta(days=40))
                item = play.source.add(stream, at=long_ago, changed_at=newest.changed_at - self.late)
                found = list(read(self.make(), play, stream, cursor))
                expect_found(self, item, found, f"{stream}: an item that came late")

    def test_unsorted_pages(self) -> None:
        """Where the source hands out items in no order, nothing is lost, wherever reading is interrupted."""
        if self.orders_pages:
            skip("the source promises an order")
        with self._pulling(shuffled=True) as play:
            for stream in play.source.streams:
                self._expect_resuming(play, stream, self.make, "unsorted pages")

    def test_empty_pages(self) -> None:
        """A page without items does not end a stream where others follow."""
        if not self.has_empty_pages:
            skip("the source has no empty pages before its last one")
        with self._pulling(empty_pages=True) as play:
            for stream in play.source.streams:
                self._expect_resuming(play, stream, self.make, "an empty page")

    def test_deleted_records(self) -> None:
        """Where the item that was read last has gone since, what is new is found: from the cursor, or from the
        beginning after `CursorInvalid`."""
        with self._pulling() as play:
            for stream in play.source.streams:
                cursor = last_cursor(list(read(self.make(), play, stream)))
                newest = play.source.newest(stream)
                play.source.remove(newest)
                new = play.source.add(stream, at=newest.at + timedelta(hours=1))
                found = self._found(play, stream, cursor)
                expect_found(self, new, found, f"{stream}: an item that came after a deletion")

    def test_deleted_meanwhile(self) -> None:
        """Where an item that was read goes while reading is interrupted, and others move to the pages before theirs,
        none of these is lost."""
        if self.pages_move:
            skip("the suite says that the source counts its pages, and that nobody can tell when they move")
        with self._pulling() as play:
            for stream in play.source.streams:
                for killed in range(1, len(list(read(self.make(), play, stream))) + 1):
                    gone = play.source.items(stream)[0]
                    before = list(islice(read(self.make(), play, stream), killed))
                    play.source.remove(gone)
                    cursor = last_cursor(before)
                    found = [*before, *self._found(play, stream, cursor)]
                    missing = {str(self.expected(i)["external_id"]) for i in play.source.items(stream)} - ids_of(found)
                    expect(
                        not missing,
                        f"{stream}, {gone.id} deleted after batch {killed}: "
                        f"lost {len(missing)}{refused(found)}: {some(sorted(missing))}",
                    )
                    play.source.restore(gone, stream)

    def test_unknown_cursor(self) -> None:
        """A cursor that it does not know, as another version may have left, is `CursorInvalid`, or all is read."""
        with self._pulling() as play:
            for stream in play.source.streams:
                for cursor in ({"of-another-version": [1]}, {}):
                    found = self._found(play, stream, cursor)
                    expect_all(self, play.source.items(stream), found, f"{stream}, from the cursor {cursor}")

    def test_old_state_migrates(self) -> None:
        """A cursor of an earlier version becomes one that is read from, and loses nothing, or None; one that nobody
        knows becomes None. The suite has one of each earlier version."""
        with self._pulling() as play:
            versions = {version for version, _ in self.old_cursors}
            missing = set(range(1, self.manifest.state_version)) - versions
            expect(not missing, f"the suite has no `old_cursors` of the versions {sorted(missing)}")
            for version, cursor in (*self.old_cursors, (max(versions, default=1), {"of-nobody": True})):
                error = error_of(partial(self.make().migrate_state, cursor, version))
                expect(error is None, f"the cursor {cursor} of version {version}: {error!r}")
                migrated = self.make().migrate_state(cursor, version)
                whose = f"the version {version}" if (version, cursor) in self.old_cursors else "nobody's"
                for stream in play.source.streams:
                    found = list(read(self.make(), play, stream, migrated))
                    expect_all(self, play.source.items(stream), found, f"{stream}, from {whose} cursor")

    def _found(self, play: Play, stream: str, cursor: Mapping[str, Any] | None) -> list[Batch]:
        """What the host comes by that reads from the cursor, and from the beginning where that is not known."""
        try:
            return list(read(self.make(), play, stream, cursor))
        except CursorInvalid:
            return list(read(self.make(), play, stream))

    def _expect_resuming(self, play: Play, stream: str, make: Callable[[], Connector], when: str) -> None:
        """That reading may end after any batch, or after all of them, and go on from there by what `make` makes:
        nothing is lost, nor is what comes meanwhile."""
        whole = list(read(self.make(), play, stream))
        expect_all(self, play.source.items(stream), whole, f"{stream}, {when}: read at once")
        for killed in range(1, len(whole) + 1):
            before = list(islice(read(self.make(), play, stream), killed))
            newest = play.source.newest(stream)
            new = play.source.add(stream, at=newest.at + timedelta(hours=1))
            cursor = last_cursor(before)
            after = list(read(make(), play, stream, cursor))
            next_sync = list(read(self.make(), play, stream, last_cursor(after, cursor)))
            expect_all(
                self,
                play.source.items(stream),
                [*before, *after, *next_sync],
                f"{stream}, {when}: interrupted after batch {killed} of {len(whole)}",
            )
            play.source.remove(new)

    def _pulling(self, **options: Any) -> AbstractContextManager[Play]:
        if not self.manifest.pulls:
            skip("the connector does not pull")
        return self.play(**options)


def _expect_fields(draft: Draft, wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        got = getattr(draft, name)
        if isinstance(value, datetime) and isinstance(got, date) and not isinstance(got, datetime):
            value = value.date()
        expect(got == value, f"{draft.external_id}: {name} is {got!r}, and in the source {value!r}")
