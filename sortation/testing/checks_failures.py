"""Checks of what a connector makes of a source that fails: the health of its connection depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from itertools import product, zip_longest

from core.domain.plugins import AuthKind, Batch
from core.errors import (
    ConfigInvalid,
    CursorInvalid,
    PermissionDenied,
    RateLimited,
    ReauthRequired,
    SchemaChanged,
    SortationError,
    Transient,
    UnreadableFile,
)
from ports.connectors import ReadRequest
from sortation.testing.accounting import Place, expect_accounted, expect_all, places_of
from sortation.testing.connections import (
    SMALL,
    ConnectorSuite,
    Play,
    at_request,
    expect_contract,
    from_request,
    last_cursor,
    read,
    tried,
)
from sortation.testing.samples import odd_values, odd_within
from sortation.testing.scripted_http import Answer
from sortation.testing.suite import expect, fail, skip

_FORGOTTEN = (404, 410, 400)
_GARBAGE = {
    "HTML": Answer(content=b"<!doctype html><title>Sign in</title>", headers={"Content-Type": "text/html"}),
    "half of its JSON": Answer(content=b'{"items": [{"id": "x', headers={"Content-Type": "application/json"}),
    "JSON of another shape": Answer(json={"unexpected": True}),
}


class FailureChecks(ConnectorSuite):
    def test_401_needs_reauthorisation(self) -> None:
        """Where the source no longer takes the credentials: `ReauthRequired`, at the first request or later."""
        self._expect_mapped(Answer(status=401), ReauthRequired)

    def test_403_is_permission_denied(self) -> None:
        """Where the source refuses this to these credentials: `PermissionDenied`."""
        self._expect_mapped(Answer(status=403), PermissionDenied)

    def test_429_is_rate_limited(self) -> None:
        """Where the source asks to wait: `RateLimited`, with the seconds that `Retry-After` says."""
        answer = Answer(status=429, headers={"Retry-After": "7"})
        for when, error in self._errors(answer):
            expect(isinstance(error, RateLimited), f"{when} answered 429, and it raised {error!r}")
            assert isinstance(error, RateLimited)  # noqa: S101 - it is
            wait = error.details.get("retry_after")
            expect(wait == 7, f"{when}: Retry-After was 7, the error says {wait}")

    def test_5xx_is_transient(self) -> None:
        """Where the source is out of order: `Transient`."""
        for status in (500, 503):
            self._expect_mapped(Answer(status=status), Transient)

    def test_time_out_is_transient(self) -> None:
        """Where the source does not answer, or hangs up: `Transient`."""
        self._expect_mapped(Answer(fault="drop"), Transient)
        if not self.manifest.sockets:
            self._expect_mapped(Answer(fault="hang"), Transient)

    def test_leaves_trying_again_to_the_host(self) -> None:
        """Where the source is out of order or asks to wait, it does not ask again by itself: the host has waited and
        tried again already, and knows how often."""
        self._pulls()
        if self.manifest.sockets:
            skip("the connector sends its requests itself")
        for status in (429, 503):
            with self.play() as play:
                for stream in play.source.streams:
                    play.server.requests.clear()
                    play.meddle = from_request(0, Answer(status=status, headers={"Retry-After": "0"}))
                    tried(partial(read, self.make(), play, stream))
                    asked = len(play.server.requests)
                    expect(asked <= 2, f"{stream}: answered {status}, it asked {asked} times")

    def test_404_is_bad_configuration(self) -> None:
        """Where the source has nothing at the configured address: `ConfigInvalid` at the first request, and an error of
        the contract later."""
        for when, error in self._errors(Answer(status=404)):
            kinds = (ConfigInvalid,) if when.startswith("its first") else (ConfigInvalid, CursorInvalid, SchemaChanged)
            expect(isinstance(error, kinds), f"{when} answered 404, and it raised {error!r}")

    def test_forgotten_place_is_told(self) -> None:
        """Where the source has forgotten the page or place that a cursor names, and answers 404, 410 or 400 to the
        first request from there: an error of the contract, or all is read; never an end like any other."""
        self._pulls()
        with self.play() as play:
            for stream in play.source.streams:
                play.meddle = None
                whole = list(read(self.make(), play, stream))
                play.source.add(stream, at=play.source.newest(stream).at + timedelta(hours=1))
                for count, status in product(range(1, len(whole) + 1), _FORGOTTEN):
                    play.server.requests.clear()
                    play.meddle = at_request(0, Answer(status=status))
                    before = whole[:count]
                    after, error = tried(partial(read, self.make(), play, stream, last_cursor(before)))
                    if not play.server.requests:
                        skip("the source is not asked over HTTP")
                    told = f"{stream}, its first request from the cursor of batch {count} on answered {status}"
                    expect_contract(error, told)
                    if error is None:
                        expect_all(self, play.source.items(stream), [*before, *after], told)

    def test_garbage_is_schema_changed(self) -> None:
        """Where the source answers what nobody understands: `SchemaChanged` (or `Transient`), and no empty success."""
        for what, answer in _GARBAGE.items():
            for when, error in self._errors(answer):
                fits = isinstance(error, SchemaChanged | Transient) and not isinstance(error, RateLimited)
                expect(fits, f"{when} answered {what}, and it raised {error!r}")

    def test_odd_values_are_refused(self) -> None:
        """Of an answer with an odd value somewhere it refuses a part, or the whole by an error of the contract: it
        never breaks down, and leaves no item out without a word, but by the fields that `of_interest_by` names."""
        self._pulls()
        with self.play() as play:
            for number, stream in enumerate(play.source.streams):
                play.server.requests.clear()
                play.answers.clear()
                play.meddle = None
                list(read(self.make(), play, stream))
                for asked, answer, places in self._told_of_items(play, stream):
                    for odd in odd_within(answer.json, (places or [()])[0]) if number else odd_values(answer.json):
                        play.server.requests.clear()
                        play.meddle = at_request(asked, Answer(json=odd.document, headers=answer.headers))
                        batches, error = tried(partial(read, self.make(), play, stream))
                        told = f"{stream}, an answer with {odd}"
                        expect_contract(error, told)
                        expect(not isinstance(error, UnreadableFile), f"{told} is no file: {error}")
                        within = [place for place in places if place == odd.place[: len(place)]]
                        if error is None and within and not odd.usual and self.of_interest_by.isdisjoint(odd.place):
                            expect_accounted(self, play.source.items(stream), batches, told)

    def _told_of_items(self, play: Play, stream: str) -> list[tuple[int, Answer, list[Place]]]:
        """The first answer in JSON, and the first that tells of items, each with its request's number and the places of
        its items."""
        found = [
            (asked, answer, places_of(self, play.source.items(stream), answer.json))
            for asked, answer in play.answers.items()
            if answer.json is not None
        ]
        if not found:
            skip("the source does not answer JSON")
        first = next((one for one in found if one[2]), found[0])
        return [first] if first is found[0] else [found[0], first]

    def test_bad_configuration(self) -> None:
        """A configuration that the schema allows and the source can't serve gives `ConfigInvalid`, from `check` and
        `read` alike."""
        self._pulls()
        if not self.bad_configs:
            skip("the suite has no `bad_configs`")
        for config in self.bad_configs:
            with self.play() as play:
                streams = play.source.streams
            for name in ("check", "read"):
                try:
                    with self.play(config=config) as play:
                        if name == "check":
                            well = [check.stream for check in self.make().check(play.ctx) if check.ok]
                            expect(not well, f"{config}: check says that {well} can be read")
                            continue
                        list(read(self.make(), play, streams[0]))
                except ConfigInvalid:
                    continue
                except SortationError as error:
                    raise AssertionError(f"{config}: {name} raises {error!r} where ConfigInvalid is meant") from error
                fail(f"{config} is read as if nothing were wrong with it")

    def test_token_expires_meanwhile(self) -> None:
        """Where the access token expires between two pages, the host renews it and reading goes on: a connector keeps
        no credentials of its own and leaves 401 to the host."""
        self._pulls()
        if self.manifest.auth.kind not in (AuthKind.OAUTH2, AuthKind.CLIENT_CREDENTIALS):
            skip("the connector uses no tokens that expire")
        with self.play() as play:
            for stream in play.source.streams:
                play.server.requests.clear()
                play.meddle = lambda number, _: play.expire() if number in (1, 3) else None
                found = list(read(self.make(), play, stream))
                expect_all(self, play.source.items(stream), found, f"{stream}, its token expiring between pages")

    def test_two_processes_renew_once(self) -> None:
        """Two processes that read a connection at once, its access token expiring again and again, come to the end, and
        the token is renewed once each time, by the host: a connector asks for none itself."""
        self._pulls()
        if self.manifest.auth.kind not in (AuthKind.OAUTH2, AuthKind.CLIENT_CREDENTIALS):
            skip("the connector uses no tokens that expire")
        with self.play() as play:
            contexts = (play.ctx, play.beside())
            for stream in play.source.streams:
                play.server.requests.clear()
                request = ReadRequest(stream=stream, batch_size=SMALL)
                readings = [iter(self.make_isolated().read(ctx, request)) for ctx in contexts]
                found: tuple[list[Batch], list[Batch]] = ([], [])
                for pair in zip_longest(*readings):
                    for batches, batch in zip(found, pair, strict=True):
                        batches.extend([batch] if batch is not None else [])
                    play.expire()
                for batches in found:
                    expect_all(self, play.source.items(stream), batches, f"{stream}, read by two at once")
            expect(not play.token_requests, "the connector asks for tokens itself")
            expired = len(play.expired)
            expect(
                play.exchanges <= expired, f"a token that expired {expired} times was renewed {play.exchanges} times"
            )

    def _expect_mapped(self, answer: Answer, kind: type[SortationError]) -> None:
        for when, error in self._errors(answer):
            fits = isinstance(error, kind) and (kind is not Transient or not isinstance(error, RateLimited))
            said = answer.fault or answer.status
            expect(fits, f"{when} answered {said}, and it raised {error!r} where {kind.__name__} is meant")

    def _errors(self, answer: Answer) -> Iterator[tuple[str, Exception | None]]:
        """What it raises where all its requests, and where those from the second on are answered so; and which those
        were."""
        self._pulls()
        with self.play() as play:
            for stream in play.source.streams:
                for first in (0, 1):
                    play.server.requests.clear()
                    play.meddle = from_request(first, answer)
                    _, error = tried(partial(read, self.make(), play, stream))
                    asked = len(play.server.requests)
                    if asked > first:
                        yield f"{'its first' if not first else 'a later'} request for {stream}", error

    def _pulls(self) -> None:
        if not self.manifest.pulls:
            skip("the connector does not pull")
