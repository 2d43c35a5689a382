"""The signed webhook: one record or several, ids of deliveries, and one reason per refused record."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from plugins.json_lines import JsonLines
from plugins.webhook import MAX_RECORDS, SignedWebhook
from sortation import Batch, Context, ReadRequest, WebhookMessage

ROW = {"text": "Coffee", "occurred_at": "2026-03-01", "amount": -3.1, "external_id": "e1", "attributes": {"n": 1.5}}
ANONYMOUS = {name: value for name, value in ROW.items() if name != "external_id"}


def told(body: Any, id: str = "msg_1") -> Batch:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    message = WebhookMessage(id=id, body=content, headers={}, received_at=datetime(2026, 3, 1, tzinfo=UTC))
    return SignedWebhook().parse_webhook(Context(default_currency="CHF"), message)


def test_a_record_is_what_it_would_be_in_a_file() -> None:
    file = io.BytesIO(json.dumps(ROW).encode())
    (of_file,) = JsonLines().read(Context(default_currency="CHF"), ReadRequest(file=file))
    assert told(ROW).drafts == told({"records": [ROW]}).drafts == of_file.drafts
    assert (of_file.drafts[0].amount, of_file.drafts[0].currency) == (Decimal("-3.1"), "CHF")


def test_a_record_without_an_id_has_its_deliverys() -> None:
    first, second = told({"records": [ANONYMOUS, ANONYMOUS]}).drafts
    assert (first.external_id, second.external_id) == ("msg_1:1", "msg_1:2")
    assert told(ANONYMOUS, "msg_2").drafts == (replace(first, external_id="msg_2:1"),)
    assert told(ROW, "msg_2") == told(ROW)


def test_a_bad_record_is_refused_alone() -> None:
    batch = told({"records": [ROW, 7, ROW | {"text": "a\0b"}, ANONYMOUS | {"colour": "red"}, ANONYMOUS]})
    assert [d.external_id for d in batch.drafts] == ["e1", "msg_1:5"]
    assert [(r.position, r.reason) for r in batch.refusals] == [
        (2, "not a JSON object"),
        (3, "a NUL character"),
        (4, "unknown fields: colour"),
    ]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        ([ROW], "it is no JSON object"),
        ({"records": ROW}, "beside records"),
        ({"records": [ROW], "text": "x"}, "beside records"),
        ({"records": [ROW] * (MAX_RECORDS + 1)}, "at most 5000"),
    ],
)
def test_a_body_that_is_no_delivery_is_refused_whole(body: Any, reason: str) -> None:
    batch = told(body)
    assert (batch.drafts, len(batch.refusals)) == ((), 1)
    assert reason in batch.refusals[0].reason


def test_no_records_are_none() -> None:
    assert told({"records": []}) == Batch()
