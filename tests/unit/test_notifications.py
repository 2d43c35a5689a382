"""What is told of events: ids, states and counts alone; and when digests are due."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from adapters.memory.clock import START
from core.domain.endpoint_checks import WHSEC, check_endpoint_name, check_topics, check_url, new_secret
from core.domain.events import Event, EventType
from core.domain.jobs import Stream
from core.domain.notifications import (
    MOST_LISTED,
    TOLD,
    TOLD_STREAMS,
    Digest,
    Notification,
    NotificationStatus,
    Topic,
    digest_data,
    digest_due,
    message_type,
    told_of,
)
from core.errors import Invalid
from core.usecases.shared.notification_words import subject_of

TENANT, SUBJECT = UUID(int=1), UUID(int=2)
PERSONAL = "Ada Lovelace of 12 St James's Square, ada@example.org, DE02120300000000202051"
OF_ANOTHER_RELEASE = {"REPORT_GENERATED"}
"""Types that are told as soon as there is anything that they tell."""


def event(type: str, **payload: Any) -> Event:
    return Event(
        tenant_id=TENANT,
        seq=7,
        type=type,
        occurred_at=START,
        source_agent="balance",
        actor=PERSONAL,
        subject_id=SUBJECT,
        request_id=PERSONAL,
        actor_id=UUID(int=3),
        address="192.0.2.7",
        user_agent=PERSONAL,
        payload=payload,
    )


def data_of(type: str, **payload: Any) -> Any:
    told = told_of(event(type, **payload))
    return None if told is None else dict(told[1])


@pytest.mark.parametrize("type", sorted(TOLD))
def test_what_is_told_has_no_personal_data(type: str) -> None:
    free = dict.fromkeys(("error", "reason", "message", "text", "name", "email", "actor", "address", "url"), PERSONAL)
    data = data_of(type, **free, stream=Stream.PROCESS.value)
    written = json.dumps(data)
    assert not [part for part in (*PERSONAL.split(), "192.0.2.7", str(UUID(int=3))) if part in written]
    assert data["tenant_id"] == str(TENANT)
    assert data["seq"] == 7


def test_each_tells_what_it_is_about_in_ids_codes_and_counts() -> None:
    base = {"tenant_id": str(TENANT), "seq": 7}
    assert data_of("IMPORT_FAILED", reason=PERSONAL) == base | {"import_id": str(SUBJECT)}
    assert data_of("WEBHOOK_FAILED", reason=PERSONAL) == base | {"delivery_id": str(SUBJECT)}
    assert data_of("JOB_DEAD", stream="records:llm", error=PERSONAL) == base | {
        "job_id": str(SUBJECT),
        "stream": "records:llm",
    }
    assert data_of("CONNECTION_REAUTH", code="reauth_required", was="healthy", message=PERSONAL) == base | {
        "connection_id": str(SUBJECT),
        "code": "reauth_required",
        "was": "healthy",
    }
    assert data_of("QUEUE_OVER_LIMIT", open=12, limit=10) == base | {"open": 12, "limit": 10}
    assert data_of("USAGE_NOTICED", meter="records", percent=80, month="2026-01-01", limit="10") == base | {
        "meter": "records",
        "percent": 80,
        "month": "2026-01-01",
        "limit": "10",
    }
    assert data_of("REPORT_GENERATED", name=PERSONAL) == base | {"report_id": str(SUBJECT)}


def test_what_is_told_is_told_by_events_that_there_are_and_every_topic_has_some() -> None:
    assert set(TOLD) - OF_ANOTHER_RELEASE <= {type.value for type in EventType}
    assert {told.topic for told in TOLD.values()} == set(Topic)
    for type in TOLD:
        assert subject_of(message_type(type)) != message_type(type), f"{type} has no words for mails"


@pytest.mark.parametrize("stream", list(Stream))
def test_of_dead_jobs_those_that_ingest_and_sort_are_told_and_never_those_that_tell(stream: Stream) -> None:
    assert (data_of("JOB_DEAD", stream=stream.value) is not None) == (stream in TOLD_STREAMS)
    assert {Stream.SEND, Stream.MAIL}.isdisjoint(TOLD_STREAMS)


def test_other_events_are_not_told() -> None:
    assert [type for type in EventType if type.value not in TOLD and data_of(type.value) is not None] == []


@pytest.mark.parametrize(
    ("event_type", "written"),
    [
        ("CONNECTION_REAUTH", "connection.reauth"),
        ("PROMISE_AT_RISK", "promise.at_risk"),
        ("QUEUE_OVER_LIMIT", "queue.over_limit"),
    ],
)
def test_types_are_written_as_standard_webhooks_write_them(event_type: str, written: str) -> None:
    assert message_type(event_type) == written


@pytest.mark.parametrize(
    ("digest", "hour", "zone", "now", "due"),
    [
        (Digest.HOURLY, 8, "UTC", "2026-01-05T09:00:00+00:00", "2026-01-05T10:00:00+00:00"),
        (Digest.HOURLY, 8, "UTC", "2026-01-05T23:59:59+00:00", "2026-01-06T00:00:00+00:00"),
        (Digest.DAILY, 8, "Europe/Berlin", "2026-01-05T06:59:00+00:00", "2026-01-05T07:00:00+00:00"),
        (Digest.DAILY, 8, "Europe/Berlin", "2026-01-05T07:00:00+00:00", "2026-01-06T07:00:00+00:00"),
        (Digest.DAILY, 0, "Pacific/Kiritimati", "2026-01-05T09:59:00+00:00", "2026-01-05T10:00:00+00:00"),
        # The clocks go forward from 2 to 3, and back from 3 to 2.
        (Digest.DAILY, 2, "Europe/Berlin", "2026-03-28T12:00:00+00:00", "2026-03-29T01:00:00+00:00"),
        (Digest.DAILY, 2, "Europe/Berlin", "2026-03-29T01:00:00+00:00", "2026-03-30T00:00:00+00:00"),
        (Digest.DAILY, 2, "Europe/Berlin", "2026-10-24T12:00:00+00:00", "2026-10-25T00:00:00+00:00"),
        (Digest.DAILY, 2, "Europe/Berlin", "2026-10-25T00:00:00+00:00", "2026-10-26T01:00:00+00:00"),
    ],
)
def test_a_digest_is_due_at_its_hour_where_the_tenant_is(
    digest: Digest, hour: int, zone: str, now: str, due: str
) -> None:
    found = digest_due(digest, hour, ZoneInfo(zone), datetime.fromisoformat(now))
    assert found == datetime.fromisoformat(due)
    assert found.tzinfo == UTC


def test_a_digest_lists_so_many_and_counts_all() -> None:
    one = Notification(
        id=UUID(int=5),
        tenant_id=TENANT,
        endpoint_id=UUID(int=6),
        seq=7,
        type="import.failed",
        data={"seq": 7},
        occurred_at=START,
        status=NotificationStatus.PENDING,
        created_at=START,
    )
    data = digest_data(TENANT, 1_000, [one] * (MOST_LISTED + 1))
    assert (data["count"], len(data["events"])) == (1_000, MOST_LISTED)
    assert data["events"][0] == {"type": "import.failed", "timestamp": START.isoformat(), "data": {"seq": 7}}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example/in",
        "ftp://hooks.example/in",
        "https://",
        "https:///in",
        "https://user@hooks.example/in",
        "https://:word@hooks.example/in",
        "https://hooks.example/in#part",
        "https://hooks.example/a b",
        "https://hooks.example/\n",
        "https://h\u00f6cks.example/in",
        "https://[::1/in",
        "https://hooks.example:0/in",
        "https://hooks.example:99999/in",
        "https://hooks.example/" + "x" * 2_000,
    ],
)
def test_what_no_webhook_can_be_sent_to_is_no_url_of_one(url: str) -> None:
    with pytest.raises(Invalid):
        check_url(url)


@pytest.mark.parametrize("url", ["https://hooks.example", "http://10.1.2.3:8080/in?key=1", "https://[2001:db8::1]/x"])
def test_where_webhooks_can_be_sent(url: str) -> None:
    assert check_url(url) == url


def test_names_are_one_line_and_topics_each_once() -> None:
    assert check_endpoint_name(" Pager\r\nBcc: eve ") == "Pager Bcc: eve"
    for name in ("", " \n ", "x" * 201):
        with pytest.raises(Invalid):
            check_endpoint_name(name)
    assert check_topics([Topic.REPORTS, Topic.FAILURES, Topic.REPORTS]) == (Topic.FAILURES, Topic.REPORTS)
    with pytest.raises(Invalid):
        check_topics([])


def test_a_secret_has_the_form_of_standard_webhooks() -> None:
    made = new_secret(bytes(32))
    assert made == WHSEC + "A" * 43 + "="
