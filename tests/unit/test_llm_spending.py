from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from adapters.openai.metering import Meter, Prices, estimate
from adapters.openai.prompt import build_prompt
from core.domain.llm import LlmCategory, LlmRecord, LlmRequest
from core.domain.llm_spending import month_of, months_before, spend_of
from core.domain.tenants import TenantSettings, check_settings, settings_from
from core.errors import Invalid

PRICES = Prices(input=Decimal("0.15"), output=Decimal("0.6"))


def test_a_month_is_one_of_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert month_of(datetime(2026, 3, 1, 8, 59, tzinfo=tokyo)) == date(2026, 2, 1)
    assert month_of(datetime(2026, 3, 1, 9, 0, tzinfo=tokyo)) == date(2026, 3, 1)
    assert month_of(datetime(2026, 12, 31, 23, 59, tzinfo=UTC)) == date(2026, 12, 1)


@pytest.mark.parametrize(
    ("back", "month"),
    [(0, date(2026, 2, 1)), (1, date(2026, 1, 1)), (2, date(2025, 12, 1)), (26, date(2023, 12, 1))],
)
def test_months_are_counted_back_over_years(back: int, month: date) -> None:
    assert months_before(date(2026, 2, 1), back) == month


def test_a_meter_adds_up_what_was_counted_and_what_was_lost() -> None:
    meter = Meter()
    meter.answered(1000, 100, "not looked at", "nor this")
    meter.lost("three words here", read=True)
    meter.lost("never sent", read=False)
    meter.answered(0, 0, "three words here", "an answer")
    usage = meter.usage("m", PRICES, 1.5)
    assert (usage.calls, usage.failed, usage.estimated) == (4, 2, 2)
    assert (usage.prompt_tokens, usage.completion_tokens) == (1000 + 3 + 3, 100 + 2)
    assert usage.cost == (Decimal(1006) * PRICES.input + Decimal(102) * PRICES.output) / 1_000_000
    assert meter.usage("m", None, 1.5).cost is None


def test_unpriced_calls_are_counted_as_such() -> None:
    meter = Meter()
    meter.answered(10, 1, "", "")
    assert (spend_of(meter.usage("m", None, 0), 5).unpriced, spend_of(meter.usage("m", PRICES, 0), 5).unpriced) == (
        1,
        0,
    )
    assert spend_of(meter.usage("m", None, 0), 5).cost == 0


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("the cat", 2),
        ("understanding", 3),
        ("REWE MARKT", 4),
        ("1234567", 3),
        ("a-b", 3),
        ("电气料金", 5),
        ("٣٤", 2),
    ],
)
def test_tokens_are_estimated_piece_by_piece(text: str, tokens: int) -> None:
    meter = Meter()
    meter.lost(text, read=True)
    assert meter.prompt_tokens == tokens


def test_an_estimate_has_room_for_a_repair_at_most() -> None:
    records = tuple(LlmRecord(id=str(n), text=f"zqx groceries {n}") for n in range(20))
    request = LlmRequest(records=records, categories=(LlmCategory(key="k", path="Food"),))
    prompt = build_prompt(request)
    told = estimate(prompt, 20, PRICES)
    assert told.cost is not None
    assert told.at_most is not None
    assert told.cost == PRICES.cost(told.prompt_tokens, told.completion_tokens)
    assert told.at_most > 2 * told.cost
    unpriced = estimate(prompt, 20, None)
    assert (unpriced.prompt_tokens, unpriced.cost, unpriced.at_most) == (told.prompt_tokens, None, None)


def test_a_cap_is_kept_as_text_and_read_as_a_number() -> None:
    capped = check_settings(TenantSettings(llm_monthly_cap=Decimal("1E+1")))
    assert str(capped.llm_monthly_cap) == "10"
    assert settings_from({"llm_monthly_cap": "12.50"}).llm_monthly_cap == Decimal("12.50")
    assert settings_from({}).llm_monthly_cap is None
    for cap in ("-0.01", "1E+9", "NaN", "Infinity", "1E-9"):
        with pytest.raises(Invalid, match="llm_monthly_cap"):
            check_settings(TenantSettings(llm_monthly_cap=Decimal(cap)))
