"""What events say in words."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.events import EventType
from core.domain.jobs import JobStatus, Stream
from entrypoints.console.events.sentences import has_words, sentence
from entrypoints.console.jobs.words import STATUSES, STREAMS, progress_of

ODD: list[Any] = [None, "", "<b>", 0, -1, 1.5, True, [], ["a"] * 99, {}, {"a": None}]
FIELDS = (
    *(
        "changed",
        "secrets",
        "scopes",
        "role",
        "before",
        "now",
        "overlap_seconds",
        "minutes",
        "reason",
        "sessions",
        "via",
    ),
    *("left", "until", "failures", "key", "stage", "status", "confidence", "change", "precision", "promise", "checked"),
    *(
        "support",
        "agreeing",
        "proposal_id",
        "seen",
        "skipped",
        "restored",
        "kept",
        "records",
        "plan",
        "percent",
        "meter",
    ),
    *("limit", "total", "currency", "removed", "bytes", "inserted", "known", "refused", "held", "error", "stream"),
    *("verdict", "code", "values", "what", "by", "connector"),
)


@pytest.mark.parametrize("type", list(EventType))
def test_every_event_has_words_whatever_its_payload(type: EventType) -> None:
    assert has_words(type)
    for payload in ({}, *(dict.fromkeys(FIELDS, odd) for odd in ODD)):
        said = sentence(type.value, payload)
        assert said.endswith(".")
        assert said[0].isupper() or said[0].isdigit()
        assert type.value not in said
        assert "None" not in said


def test_an_unknown_event_is_told_by_its_type() -> None:
    assert sentence("PIGEON_ARRIVED", {"from": "afar"}) == "Pigeon arrived."


@pytest.mark.parametrize(
    ("type", "payload", "said"),
    [
        (
            "IMPORT_DONE",
            {"inserted": 1200, "known": 0, "refused": 3},
            "An import is done: 1,200 new, 0 known already, 3 refused.",
        ),
        (
            "CONNECTION_CHANGED",
            {"changed": ["config"], "secrets": ["api_key"]},
            "A connection was changed: config; secrets entered or removed: api key.",
        ),
        (
            "CONNECTION_CHANGED",
            {"changed": ["webhook_secret"], "overlap_seconds": 86400.0},
            "A connection's webhook secret was changed; the former one serves on for 1 day.",
        ),
        ("CONNECTION_CHANGED", {"changed": ["sign_in"]}, "Somebody signed in at the source of a connection."),
        (
            "CONNECTION_DEGRADED",
            {"code": "rate_limited", "was": "healthy"},
            "A connection has trouble, and is tried again (rate limited).",
        ),
        ("MEMBER_CHANGED", {"before": "viewer", "role": "admin"}, "A member's role was changed from viewer to admin."),
        (
            "PROCESSED",
            {"stage": "rules", "status": "processed", "confidence": 0.987},
            "A record was decided by a rule, confidence 98.7 %.",
        ),
        ("PROCESSED", {"stage": "llm", "status": "needs_review"}, "A record was sent to review."),
        (
            "JOB_DEAD",
            {"stream": "records:ingest", "error": "no such file."},
            "A job is dead in records:ingest: no such file.",
        ),
        (
            "OPERATOR_ENTERED",
            {"role": "viewer", "minutes": 15, "reason": "Ticket 4711"},
            "The operator came in to help as viewer for 15 minutes: Ticket 4711.",
        ),
        ("SIGNED_IN", {"via": "local"}, "Somebody signed in by password."),
        (
            "PAYMENT_NOTED",
            {"total": "12.00", "currency": "EUR", "until": "2027-01-01"},
            "A payment was noted: 12.00 EUR, paid until 2027-01-01.",
        ),
        (
            "CATEGORY_MERGED",
            {"key": "food", "into": "x", "records": 2, "rules": 1},
            "A category was merged into another: food, with 2 records, 1 rule.",
        ),
    ],
)
def test_sentences(type: str, payload: dict[str, Any], said: str) -> None:
    assert sentence(type, payload) == said


def test_every_stream_and_status_has_words() -> None:
    assert set(STREAMS) == set(Stream)
    assert set(STATUSES) == set(JobStatus)


def test_progress_is_told_wherever_it_stands() -> None:
    assert progress_of({"counts": {"items": 1200, "inserted": 3, "refusals": []}}) == "1,200 items, 3 inserted"
    assert progress_of({"items": 5, "held": 0}) == "5 items"
    assert progress_of({"before": "x", "counts": 7}) == ""
