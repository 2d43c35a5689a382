"""What members are written: the same as webhooks tell, and no name but their tenant's."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from adapters.memory.clock import START
from core.domain.notifications import (
    DIGEST,
    DisabledReason,
    Notification,
    NotificationStatus,
    digest_data,
)
from core.usecases.shared.notification_words import given_up_words, notification_mail

TENANT = UUID(int=1)
URL = "https://sort.example"


def told(type: str, **data: Any) -> Notification:
    return Notification(
        id=UUID(int=5),
        tenant_id=TENANT,
        endpoint_id=UUID(int=6),
        seq=7,
        type=type,
        data={"tenant_id": str(TENANT), "seq": 7, **data},
        occurred_at=START,
        status=NotificationStatus.PENDING,
        created_at=START,
    )


def test_one_is_told_with_its_details_and_a_link() -> None:
    mail = notification_mail(told("queue.over_limit", open=12, limit=10), "ada@example.org", "Harbour\nBooks", URL)
    assert (mail.to, mail.subject) == ("ada@example.org", "The review queue is over its limit: Harbour Books")
    assert mail.text == (
        "The review queue is over its limit.\n\nAt 2026-01-05 09:00 UTC.\nopen: 12\nlimit: 10\n\n"
        "What is behind it: https://sort.example/\n"
    )


def test_a_report_that_is_ready_is_told_with_the_link_to_it() -> None:
    mail = notification_mail(told("report.generated", report_id="r1"), "ada@example.org", "Harbour Books", URL)
    assert mail.text.endswith("report_id: r1\n\nWhat is behind it: https://sort.example/reports/r1\n")
    items = [told("report.generated", report_id="r1"), told("job.dead", job_id="j1")]
    digest = told(DIGEST, **digest_data(TENANT, 2, items))
    lines = notification_mail(digest, "ada@example.org", "Harbour Books", URL).text.splitlines()
    assert [line for line in lines if "https" in line] == [
        "https://sort.example/reports/r1",
        "What is behind it: https://sort.example/",
    ]


def test_a_digest_counts_by_kind_and_lists_what_it_has() -> None:
    items = [
        told("import.failed", import_id="i1"),
        told("job.dead", job_id="j1"),
        told("import.failed", import_id="i2"),
    ]
    digest = told(DIGEST, **digest_data(TENANT, 5, items))
    mail = notification_mail(digest, "ada@example.org", "Harbour Books", URL)
    assert mail.subject == "5 notifications: Harbour Books"
    assert mail.text.startswith("2 × An import failed\n1 × A job failed for good\nand 2 more\n\n")
    assert "2026-01-05 09:00 UTC: An import failed\nimport_id: i2\n" in mail.text
    assert str(TENANT) not in mail.text


def test_owners_read_why_an_endpoint_is_given_up_on_and_which_in_quotes_on_one_line() -> None:
    for reason in (DisabledReason.GONE, DisabledReason.FAILING):
        subject, text = given_up_words(reason.value, "Pager\nSign in at https://evil.example", URL)
        assert subject == "An endpoint for notifications was disabled"
        assert text.endswith("> Pager Sign in at https://evil.example\n")
