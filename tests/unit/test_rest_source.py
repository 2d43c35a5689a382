"""The REST poller over real HTTP: pages, what is asked again, and that no crash, tie or order loses a row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import Invalid
from plugins.rest.connector import Rest
from sortation import (
    ConfigInvalid,
    CursorInvalid,
    PermissionDenied,
    RateLimited,
    ReadRequest,
    ReauthRequired,
    SchemaChanged,
    Transient,
)
from tests.stubs.source_server import Reply, Request, SourceServer, a_context
from tests.unit.rest_support import FIELDS, MANAGER, ROW, config, drafts, ids, read, rows


@pytest.fixture(scope="module")
def running() -> Iterator[SourceServer]:
    with SourceServer(lambda _: Reply(status=500)) as server:
        yield server


@pytest.fixture
def source(running: SourceServer) -> SourceServer:
    running.requests.clear()
    return running


# Pages


def page_of(items: Sequence[Any], start: int, size: int) -> Sequence[Any]:
    return items[start : start + size]


def by_cursor(items: Sequence[Any], request: Request) -> Reply:
    start = int(request.query.get("after", "0"))
    following = str(start + 2) if start + 2 < len(items) else None
    return Reply(body={"data": page_of(items, start, 2), "next": following})


def by_last_id(items: Sequence[Any], request: Request) -> Reply:
    last = request.query.get("starting_after")
    start = 0 if last is None else 1 + [str(item["id"]) for item in items].index(last)
    return Reply(body={"data": page_of(items, start, 2), "has_more": start + 2 < len(items)})


def by_number(items: Sequence[Any], request: Request) -> Reply:
    return Reply(body={"data": page_of(items, (int(request.query["page"]) - 1) * 2, 2)})


def by_offset(items: Sequence[Any], request: Request) -> Reply:
    return Reply(body={"data": page_of(items, int(request.query.get("skip", "0")), 2)})


def by_link(items: Sequence[Any], request: Request) -> Reply:
    start = int(request.query.get("from", "0"))
    since = "".join(f"&{name}={value}" for name, value in request.pairs if name == "since")
    link = f'</rows?from=0>; rel="first", </rows?from={start + 2}{since}>; title="a, b"; rel="next"'
    headers = {"Link": link} if start + 2 < len(items) else {}
    return Reply(body={"data": page_of(items, start, 2)}, headers=headers)


def by_next_url(items: Sequence[Any], request: Request) -> Reply:
    start = int(request.query.get("from", "0"))
    since = "".join(f"&{name}={value}" for name, value in request.pairs if name == "since")
    following = f"http://{request.headers['host']}/rows?from={start + 2}{since}"
    return Reply(body={"data": page_of(items, start, 2), "next": following if start + 2 < len(items) else None})


PAGINATIONS: dict[str, tuple[dict[str, Any], Callable[[Sequence[Any], Request], Reply]]] = {
    "cursor": ({"type": "cursor", "param": "after", "path": "$.next"}, by_cursor),
    "last id": (
        {"type": "cursor", "param": "starting_after", "path": "$.data[-1].id", "more": "$.has_more"},
        by_last_id,
    ),
    "page": ({"type": "page"}, by_number),
    "offset": ({"type": "offset", "param": "skip"}, by_offset),
    "link": ({"type": "link"}, by_link),
    "next_url": ({"type": "next_url", "path": "$.next"}, by_next_url),
}


@pytest.mark.parametrize("name", PAGINATIONS)
@pytest.mark.parametrize("count", [0, 1, 4, 5])
def test_every_page_is_read_once(source: SourceServer, name: str, count: int) -> None:
    pagination, answering = PAGINATIONS[name]
    source.answering = lambda request: answering(rows(*range(count)), request)
    batches = read(config(source, records="$.data", pagination=pagination, params={"limit": "2"}))
    assert ids(batches) == [str(number) for number in range(count)]
    assert len({(r.path, r.pairs) for r in source.requests}) == len(source.requests) <= (count + 1) // 2 + 1


def test_an_empty_page_is_not_the_end(source: SourceServer) -> None:
    pages = {None: ([1], "a"), "a": ([], "b"), "b": ([2], "c"), "c": ([], "c")}

    def answering(request: Request) -> Reply:
        numbers, following = pages[request.query.get("after")]
        return Reply(body={"data": rows(*numbers), "next": following})

    source.answering = answering
    batches = read(config(source, records="$.data", pagination=PAGINATIONS["cursor"][0]))
    assert ids(batches) == ["1", "2"]
    assert len(source.requests) == 4, "a cursor that stays is the end"


def test_a_read_ends_after_so_many_pages_and_the_next_goes_on(source: SourceServer) -> None:
    source.answering = lambda request: by_cursor(rows(*range(7)), request)
    said = config(source, records="$.data", pagination=PAGINATIONS["cursor"][0], max_pages=2)
    first = read(said)
    assert ids(first) == ["0", "1", "2", "3"]
    second = read(said, first[-1].cursor)
    assert ids(second) == ["4", "5", "6"]
    assert ids(read(said, second[-1].cursor)) == ["0", "1", "2", "3"], "without a mark all is read anew"


@pytest.mark.parametrize("elsewhere", ["http://evil.example/rows", "//evil.example/rows", "http://127.0.0.1:9/rows"])
def test_no_other_host_is_asked(source: SourceServer, elsewhere: str) -> None:
    source.answering = lambda _: Reply(body={"data": [ROW], "next": elsewhere})
    with pytest.raises(SchemaChanged, match="another host"):
        read(config(source, records="$.data", pagination=PAGINATIONS["next_url"][0]))
    assert len(source.requests) == 1


def test_a_source_that_has_forgotten_its_page_is_read_anew(source: SourceServer) -> None:
    source.answering = lambda request: by_cursor(rows(*range(5)), request)
    said = config(source, records="$.data", pagination=PAGINATIONS["cursor"][0])
    cursor = read(said)[0].cursor

    def forgetful(request: Request) -> Reply:
        return Reply(status=410) if request.query.get("after") == "2" else by_cursor(rows(*range(2)), request)

    source.answering = forgetful
    assert ids(read(said, cursor)) == ["0", "1"]
    source.answering = lambda _: Reply(status=410)
    with pytest.raises(ConfigInvalid):
        read(said, cursor)


# What is asked for

MARKED = {"path": "$.upd", "param": "since"}
START = datetime(2026, 1, 1, tzinfo=UTC)


def asked(source: SourceServer, marks: Sequence[Any], **incremental: Any) -> str:
    """What the second read asks for, after rows with these marks."""
    source.answering = lambda _: Reply(body=[ROW | {"id": i, "upd": mark} for i, mark in enumerate(marks)])
    said = config(source, incremental=MARKED | incremental)
    batches = read(said)
    source.requests.clear()
    read(said, batches[-1].cursor)
    return source.requests[0].query.get("since", "")


@pytest.mark.parametrize(
    ("marks", "said", "meant"),
    [
        (["2026-03-01T10:00:00Z", "2026-03-01T09:00:00Z"], {}, "2026-03-01T09:00:00Z"),
        (["2026-03-01T10:00:00.9Z"], {"overlap": 1}, "2026-03-01T09:59:59Z"),
        (["2026-03-01T10:00:00Z"], {"overlap": 86_400, "param_format": "date"}, "2026-02-28"),
        (["2026-03-01"], {"format": "date", "zone": "Europe/Berlin", "overlap": 1}, "2026-02-28"),
        ([1772359200], {"format": "unix", "overlap": 10}, "1772359190"),
        ([1772359200], {"format": "unix", "overlap": 10, "param_format": "unix_ms"}, "1772359190000"),
        ([7, 9, 8, None], {"type": "number"}, "8"),
        (["2999-01-01T00:00:00Z"], {"overlap": 1}, "now"),
        ([None, "soon"], {}, ""),
    ],
)
def test_what_is_new_is_asked_for_with_an_overlap(
    source: SourceServer, marks: list[Any], said: dict[str, Any], meant: str
) -> None:
    found = asked(source, marks, **said)
    if meant == "now":
        assert timedelta(0) < datetime.now(UTC) - datetime.fromisoformat(found) < timedelta(minutes=1)
    else:
        assert found == meant


def test_the_first_read_may_begin_later(source: SourceServer) -> None:
    source.answering = lambda _: Reply(body=[])
    said = config(source, incremental=MARKED | {"start": "2026-01-01", "zone": "Europe/Berlin"})
    (batch,) = read(said)
    assert read(said, batch.cursor)[-1].cursor == batch.cursor
    assert [r.query["since"] for r in source.requests] == ["2025-12-31T23:00:00Z"] * 2


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_order_tie_or_crash_loses_a_row(source: SourceServer, data: st.DataObject) -> None:
    """Rows in any order, many with equal marks; the source answers what is newer than `since` alone; reads end after
    any batch and go on from its cursor; between the reads come new rows, some as late as the overlap allows."""
    name = data.draw(st.sampled_from(sorted(PAGINATIONS)))
    pagination, answering = PAGINATIONS[name]
    size = data.draw(st.integers(1, 3), label="batch size")
    said = config(source, records="$.data", pagination=pagination, incremental=MARKED | {"overlap": 10})
    stored: list[dict[str, Any]] = []

    def add(seconds: list[int]) -> None:
        for second in seconds:
            moment = (START + timedelta(seconds=second)).isoformat()
            stored.insert(
                data.draw(st.integers(0, len(stored))), ROW | {"id": len(stored), "upd": moment, "second": second}
            )

    def answer(request: Request) -> Reply:
        since = request.query.get("since")
        newer = [row for row in stored if since is None or row["upd"] > since.replace("Z", "+00:00")]
        return answering(newer, request)

    source.answering = answer
    add(data.draw(st.lists(st.integers(100, 104), max_size=9), label="marks"))
    found: set[str] = set()
    cursor: dict[str, Any] | None = None
    for _ in range(3):
        for _ in range(100):
            batches = Rest().read(a_context(said), ReadRequest(stream="rows", cursor=cursor, batch_size=size))
            crash_after = data.draw(st.integers(1, 4), label="crash after")
            for batch in islice(batches, crash_after):
                assert len(batch.drafts) <= size
                found |= {draft.external_id or "" for draft in batch.drafts}
                cursor = json.loads(json.dumps(batch.cursor))
            assert cursor is not None
            if not cursor.keys() & {"at", "skip"}:
                break
        else:
            pytest.fail("it never comes to an end")
        assert found == {str(row["id"]) for row in stored}
        highest = max((row["second"] for row in stored), default=100)
        add([highest + later for later in data.draw(st.lists(st.integers(-9, 5), max_size=4), label="later")])


def test_rows_that_moved_a_page_back_while_nobody_read_are_found(source: SourceServer) -> None:
    stored = rows(*range(6))
    source.answering = lambda request: by_number(stored, request)
    said = config(source, records="$.data", pagination={"type": "page"})
    cursor = read(said)[1].cursor
    del stored[0]  # row 4 is now on the second page, which was read
    assert ids(read(said, cursor)) == ["3", "4", "5"]


def test_a_page_that_changed_is_read_whole(source: SourceServer) -> None:
    source.answering = lambda _: Reply(body=rows(1, 2, 3))
    said = config(source)
    first = read(said, size=2)
    assert [ids([batch]) for batch in first] == [["1", "2"], ["3"]]
    assert ids(read(said, first[0].cursor, size=2)) == ["3"]
    source.answering = lambda _: Reply(body=rows(9, 1, 2, 3))
    assert ids(read(said, first[0].cursor, size=2)) == ["9", "1", "2", "3"]


# What can be wrong


def test_a_cursor_of_another_question_is_refused(source: SourceServer) -> None:
    source.answering = lambda _: Reply(body=[ROW])
    cursor = read(config(source))[-1].cursor
    for changed in ({"path": "/others"}, {"params": {"status": "open"}}):
        with pytest.raises(CursorInvalid):
            read(config(source, **changed), cursor)
    assert ids(read(config(source, max_pages=3), cursor)) == ["1"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=401), ReauthRequired),
        (Reply(status=403), PermissionDenied),
        (Reply(status=429, headers={"Retry-After": "7"}), RateLimited),
        (Reply(status=503), Transient),
        (Reply(status=404), ConfigInvalid),
        (Reply(body=b"<html>Maintenance</html>"), SchemaChanged),
        (Reply(body={"items": []}), SchemaChanged),
        (Reply(body=b"\xff"), SchemaChanged),
        (Reply(body=b'{"data": [], "more": ' + b"[" * 100 + b"]" * 100 + b"}"), SchemaChanged),
        (Reply(body=b"[" * 100_000), SchemaChanged),
    ],
)
def test_what_the_source_says_is_told_by_its_kind(source: SourceServer, reply: Reply, error: type[Exception]) -> None:
    source.answering = lambda _: reply
    with pytest.raises(error):
        read(config(source, records="$.data"))


def test_an_answer_without_content_is_an_empty_page(source: SourceServer) -> None:
    source.answering = lambda _: Reply(status=204, body=b"")
    assert drafts(read(config(source, records="$.data"))) == []
    source.answering = lambda _: Reply(body={"data": None})
    assert drafts(read(config(source, records="$.data"))) == []
    source.answering = lambda _: Reply(body={"count": 0})
    assert drafts(read(config(source, records="$.data[*]"))) == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"records": "$.data["}, "config.streams.0.records"),
        ({"fields": FIELDS | {"text": "$..["}}, "config.streams.0.fields.text"),
        ({"fields": FIELDS | {"occurred_at": {"path": "$.at", "zone": "Mars"}}}, "occurred_at.zone"),
        ({"incremental": MARKED | {"start": "soon"}}, "config.streams.0.incremental.start"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_by_its_place(
    source: SourceServer, changes: dict[str, Any], place: str
) -> None:
    said = config(source, **changes)
    for asking in (Rest().check, Rest().discover):
        with pytest.raises(ConfigInvalid, match=place.replace(".", r"\.")):
            asking(a_context(said))
    twice = {**said, "streams": config(source)["streams"] * 2}
    with pytest.raises(ConfigInvalid, match="two streams 'rows'"):
        Rest().discover(a_context(twice))


def test_streams_are_named_with_the_kind_of_their_records(source: SourceServer) -> None:
    said = config(source, fields=FIELDS | {"kind": "invoice"})
    (stream,) = Rest().discover(a_context(said))
    assert (stream.name, stream.kind) == ("rows", "invoice")


def test_a_check_reads_a_little_of_each_stream(source: SourceServer) -> None:
    answers = {
        "/good": Reply(body=[ROW]),
        "/empty": Reply(body=[]),
        "/denied": Reply(status=403),
        "/other": Reply(body={"rows": []}),
        "/bad": Reply(body=[ROW | {"at": "?"}]),
        "/half": Reply(body=[ROW, ROW | {"id": None}]),
    }
    source.answering = lambda request: answers[request.path]
    said = config(source)
    said["streams"] = [said["streams"][0] | {"name": path[1:], "path": path} for path in answers]
    said["streams"][3]["records"] = "$.data"
    said["streams"].append(said["streams"][0] | {"name": "unmarked", "incremental": MARKED})
    found = {check.stream: (check.ok, check.reason) for check in Rest().check(a_context(said))}
    assert [name for name, (ok, _) in found.items() if ok] == ["good", "empty", "half"]
    assert found["good"][1] == ""
    assert found["empty"][1] == "there is nothing to read yet"
    assert "no $.data in the source's answer: it has rows" in found["other"][1]
    assert "1 of the first 1 objects can't become records: the time '?'" in found["bad"][1]
    assert "incremental field" in found["unmarked"][1]
    source.answering = lambda _: Reply(status=401)
    with pytest.raises(ReauthRequired):
        Rest().check(a_context(said))


# The manifests


def test_a_manifest_for_each_way_to_identify_oneself() -> None:
    manifests = {key: m for key, m in MANAGER.connectors().items() if key.startswith("rest")}
    assert all(m.declared for m in manifests.values())
    assert {key: (m.auth.kind.value, sorted(m.secret_fields())) for key, m in manifests.items()} == {
        "rest": ("none", []),
        "rest-key": ("api_key", ["api_key"]),
        "rest-oauth2": ("oauth2", ["client_secret"]),
        "rest-client": ("client_credentials", ["client_secret"]),
    }


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"pagination": {"type": "cursor", "param": "after"}}, ".pagination: 'path' is a required property"),
        ({"pagination": {"type": "link", "param": "page"}}, ".pagination: .*'param' was unexpected"),
        ({"pagination": {"type": "links"}}, ".pagination.type: 'links' is not one of"),
        ({"pagination": {}}, ".pagination: 'type' is a required property"),
        ({"fields": FIELDS | {"colour": "$.colour"}}, ".fields: .*'colour' was unexpected"),
        ({"fields": {"external_id": "$.id", "text": "$.text"}}, ".fields: 'occurred_at' is a required property"),
        ({"incremental": MARKED | {"overlap": 0}}, ".incremental.overlap: 0 is less than the minimum of 1"),
        ({"records": "data"}, ".records: 'data' does not match"),
    ],
)
def test_the_schema_is_strict_and_names_the_place(source: SourceServer, changes: dict[str, Any], fault: str) -> None:
    MANAGER.check_config("rest", config(source))
    with pytest.raises(Invalid, match=rf"^config\.streams\.0{fault}"):
        MANAGER.check_config("rest", config(source, **changes))
