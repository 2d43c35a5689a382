"""The JSON connector: lines and arrays, exact numbers, and one reason per refused object."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from plugins.json_lines import MAX_LINE, JsonLines
from sortation import Context, Draft, ReadRequest, Refusal, UnreadableFile

ROW = {"text": "Coffee", "occurred_at": "2026-03-01"}


def read(content: str | bytes, currency: str = "EUR", size: int = 100) -> tuple[list[Draft], list[Refusal]]:
    data = content.encode() if isinstance(content, str) else content
    request = ReadRequest(file=io.BytesIO(data), filename="x.json", batch_size=size)
    batches = list(JsonLines().read(Context(default_currency=currency), request))
    return [d for b in batches for d in b.drafts], [r for b in batches for r in b.refusals]


def refused(**changes: Any) -> str:
    drafts, refusals = read(json.dumps(ROW | changes))
    assert (drafts, len(refusals)) == ([], 1)
    return refusals[0].reason


def test_every_field_of_a_record_is_read() -> None:
    drafts, refusals = read(
        json.dumps(
            {
                "text": "Coffee",
                "occurred_at": "2026-03-01T10:00:00+02:00",
                "kind": "receipt",
                "account": "main",
                "external_id": "e1",
                "counterparty": "Bar",
                "amount": "-3.10",
                "currency": "CHF",
                "attributes": {"tags": ["a", 1.5], "tax": 0.19},
                "raw": {"any": None},
                "pending": True,
                "pending_external_id": "p1",
                "category": "food.cafes",
            }
        )
    )
    assert refusals == []
    assert drafts == [
        Draft(
            text="Coffee",
            occurred_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
            kind="receipt",
            account="main",
            external_id="e1",
            counterparty="Bar",
            amount=Decimal("-3.10"),
            currency="CHF",
            attributes={"tags": ["a", 1.5], "tax": 0.19},
            raw={"any": None},
            pending=True,
            pending_external_id="p1",
            category="food.cafes",
        )
    ]
    assert json.dumps(drafts[0].attributes)


def test_lines_and_array_give_the_same() -> None:
    rows = [ROW | {"text": f"row {i}"} for i in range(5)]
    lines, _ = read("\n\n".join(map(json.dumps, rows)) + "\r\n")
    array, _ = read("\ufeff" + json.dumps(rows, indent=2))
    assert lines == array
    assert len(lines) == 5
    assert read("[]") == ([], [])


def test_amounts_are_exact_and_take_the_default_currency() -> None:
    drafts, _ = read('{"text":"a","occurred_at":"2026-03-01","amount":0.1000000000000000055}', currency="GBP")
    assert (drafts[0].amount, drafts[0].currency) == (Decimal("0.1000000000000000055"), "GBP")
    assert read(json.dumps(ROW | {"amount": 12}))[0][0].amount == Decimal(12)
    without, _ = read(json.dumps(ROW | {"amount": None, "currency": "EUR"}))
    assert (without[0].amount, without[0].currency, without[0].occurred_at) == (None, None, date(2026, 3, 1))


def test_a_bad_object_is_refused_with_its_reason_at_its_place() -> None:
    assert refused(colour="red", size=1) == "unknown fields: colour, size"
    assert "amount" in refused(amount="three")
    assert "amount" in refused(amount=True)
    assert "amount" in refused(amount="Infinity")
    assert "no time zone" in refused(occurred_at="2026-03-01T10:00:00")
    assert "ISO 8601" in refused(occurred_at="01.03.2026")
    assert "occurred_at" in refused(occurred_at=None)
    assert refused(text=5) == "text must be text"
    assert "object" in refused(attributes=[1])
    assert "pending" in refused(pending="yes")
    assert "NUL" in refused(text="a\0b")
    assert "surrogate" in refused(raw={"x": "\ud800"})
    good = json.dumps(ROW)
    drafts, refusals = read(f'{good}\nnot json\n\n{good}\n7\n{{"text":"x","occurred_at":"2026-03-01","amount":NaN}}\n')
    assert len(drafts) == 2
    assert [r.position for r in refusals] == [2, 5, 6]
    assert [r.position for r in read(f"[{good}, 7, {good}]")[1]] == [2]


def test_hostile_lines_are_refused_and_the_rest_goes_on() -> None:
    good = json.dumps(ROW)
    deep = '{"text":' + "[" * 100_000
    drafts, refusals = read(f"{good}\n{deep}\n{'x' * (2 * MAX_LINE + 5)}\n{good}\n".encode() + b'{"text":"\xff"}\n')
    assert len(drafts) == 2
    assert [r.position for r in refusals] == [2, 3, 5]
    assert "longer" in refusals[1].reason
    assert "UTF-8" in refusals[2].reason


@pytest.mark.parametrize("content", ["", "  \n", "text", "[{]", '{\n "text": "a"\n}', "[" * 100_000])
def test_what_is_no_json_of_records_is_one_clear_line(content: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_batches_are_no_larger_than_asked() -> None:
    content = io.BytesIO("\n".join([json.dumps(ROW), "bad"] * 5).encode())
    batches = list(JsonLines().read(Context(), ReadRequest(file=content, batch_size=4)))
    assert [len(b.drafts) + len(b.refusals) for b in batches] == [4, 4, 2]


def test_detection() -> None:
    detect = JsonLines().detect
    assert detect(json.dumps(ROW).encode(), "x") > 0.9
    assert detect(b"\xef\xbb\xbf [\n" + json.dumps(ROW).encode(), "x") > 0.9
    assert detect(b'{"a": 1}', "x.json") >= 0.3
    assert detect(b'{"a": 1}', "x") < 0.3
    assert detect(b"Date,Text\n", "x.json") == 0
