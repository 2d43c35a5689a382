"""The QIF connector: accounts, notations decided over the whole file, splits, categories, investments, refusals."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.qif_file import QifFile
from sortation import Context, Draft, ReadRequest, Refusal, UnreadableFile

DATA = Path(__file__).parent.parent / "data"


def read(
    content: str | bytes, currency: str = "EUR", config: Mapping[str, Any] | None = None, size: int = 5_000
) -> tuple[list[Draft], list[Refusal]]:
    data = content.encode() if isinstance(content, str) else content
    request = ReadRequest(file=io.BytesIO(data), batch_size=size)
    batches = list(QifFile().read(Context(config=config or {}, default_currency=currency), request))
    return [d for b in batches for d in b.drafts], [r for b in batches for r in b.refusals]


def bank(*entries: str) -> str:
    return "!Type:Bank\n" + "".join(f"{entry}\n^\n" for entry in entries)


def days(*cells: str, currency: str = "EUR") -> list[object]:
    drafts, refusals = read(bank(*(f"D{cell}\nT1.00\nPx" for cell in cells)), currency)
    assert not refusals
    return [d.occurred_at for d in drafts]


def amounts(*cells: str) -> list[Decimal | None]:
    drafts, refusals = read(bank(*(f"D2026-03-0{i}\nT{cell}\nPx" for i, cell in enumerate(cells, start=1))))
    assert not refusals
    return [d.amount for d in drafts]


def test_a_quicken_export_of_two_accounts() -> None:
    drafts, refusals = read((DATA / "quicken.qif").read_bytes(), "USD")
    assert [(r.position, r.reason) for r in refusals] == [(38, "'soon' is not a date")]
    shop, bread, visa, shoes = drafts
    assert shop == Draft(
        text="Corner Shop milk",
        occurred_at=date(2006, 1, 15),
        account="Checking",
        counterparty="Corner Shop",
        amount=Decimal("-1234.56"),
        currency="USD",
        attributes={"number": "101", "address": "1 Some Street Sometown", "class": "home"},
        raw=shop.raw,
        category="Food > Groceries",
    )
    assert shop.raw["L"] == "Food:Groceries/home"
    assert (bread.text, bread.amount, bread.category) == ("Mart Bread", Decimal("-10.00"), "Food")
    assert (visa.amount, visa.category, visa.attributes["transfer_account"]) == (Decimal("-20.00"), None, "Visa")
    assert (bread.attributes["split"], visa.attributes["split_of"]) == ("1/2", "-30.00")
    assert (shoes.account, shoes.amount) == ("Visa", Decimal(-5))


@pytest.mark.parametrize("kind", ["Bank", "CCard", "Cash", "Oth A", "Oth L", "bank ", "BANK"])
def test_every_kind_of_account_is_read(kind: str) -> None:
    drafts, _ = read(f"!Type:{kind}\r\nD3/25/26\r\nT-5\r\nPx\r\n^\r\nD3/26/26\r\nT6\r\nPy")
    assert [(d.occurred_at, d.amount, d.account) for d in drafts] == [
        (date(2026, 3, 25), Decimal(-5), ""),
        (date(2026, 3, 26), Decimal(6), ""),
    ]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["3/25'26", "1/ 2' 6"], [date(2026, 3, 25), date(2006, 1, 2)]),
        (["25/3/2026", "2/1/2026"], [date(2026, 3, 25), date(2026, 1, 2)]),
        (["25.03.26"], [date(2026, 3, 25)]),
        (["12/31/1999"], [date(1999, 12, 31)]),
        (["2026-03-25"], [date(2026, 3, 25)]),
        (["25-03-2026"], [date(2026, 3, 25)]),
        (["25 March 2026"], [date(2026, 3, 25)]),
    ],
)
def test_dates_in_any_notation(cells: list[str], expected: list[date]) -> None:
    assert days(*cells) == expected


def test_the_order_of_day_and_month_is_decided_over_the_whole_file() -> None:
    assert days("1/2/26", "3/25/26")[0] == date(2026, 1, 2)
    assert days("1/2/26", "25/3/26")[0] == date(2026, 2, 1)
    assert days("1/2'26") == [date(2026, 2, 1)]
    assert days("1/2'26", currency="USD") == [date(2026, 1, 2)]
    with pytest.raises(UnreadableFile, match="contradict"):
        days("13/1/26", "1/14/26")
    drafts, _ = read(bank("D01/02/2026\nT1\nPx"), config={"date_format": "%m/%d/%Y"})
    assert drafts[0].occurred_at == date(2026, 1, 2)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1,234.56", "-5.00"], ["1234.56", "-5.00"]),
        (["1.234,56", "-5,00"], ["1234.56", "-5.00"]),
        (["-1,234,567.8"], ["-1234567.8"]),
        (["1,234", "17.50"], ["1234", "17.50"]),
    ],
)
def test_amounts_with_thousands_separators(cells: list[str], expected: list[str]) -> None:
    assert amounts(*cells) == [Decimal(value) for value in expected]


def test_splits_that_do_not_make_up_the_amount_stay_one_draft() -> None:
    def split(*parts: str) -> list[tuple[Decimal | None, str | None]]:
        drafts, _ = read(bank("D2026-03-01\nT-30\nPx\nLFood\n" + "\n".join(f"SFood\n${part}" for part in parts)))
        return [(d.amount, d.category) for d in drafts]

    assert split("-10", "-20") == [(Decimal(-10), "Food"), (Decimal(-20), "Food")]
    assert split("-10", "-10") == [(Decimal(-30), "Food")]
    assert split("-30") == [(Decimal(-30), "Food")]
    assert split("-10", "lots") == [(Decimal(-30), "Food")]


def test_the_account_and_the_currency_may_be_configured() -> None:
    drafts, _ = read(bank("D2026-03-01\nT1\nPx"), config={"account": "giro", "currency": "CHF", "decimal": "."})
    assert (drafts[0].account, drafts[0].currency) == ("giro", "CHF")
    drafts, _ = read("!Account\nNSavings\n^\n" + bank("D2026-03-01\nT1\nPx"), config={"account": "giro"})
    assert drafts[0].account == "Savings"


def test_investments_have_the_sign_of_their_action() -> None:
    entries = ["NBuy\nYACME\nI10\nQ2\nT20.00", "NDiv\nYACME\nT3.00", "NShrsIn\nYACME\nQ5", "NSell\nYACME\nT7.00"]
    drafts, _ = read("!Type:Invst\n" + "".join(f"D2026-03-01\n{entry}\n^\n" for entry in entries))
    assert [(d.text, d.amount) for d in drafts] == [
        ("Buy ACME", Decimal("-20.00")),
        ("Div ACME", Decimal("3.00")),
        ("ShrsIn ACME", None),
        ("Sell ACME", Decimal("7.00")),
    ]
    assert {d.kind for d in drafts} == {"investment"}
    assert drafts[0].attributes == {"type": "Buy", "security": "ACME", "units": "2", "unit_price": "10"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no QIF file"),
        ("Date,Text,Amount\n", "no QIF file"),
        ("!Type:Cat\nNFood\n^\n", "no account's transactions, only: cat"),
        (bank("Dsoon\nT1\nPx"), "none of its 1 transactions can be read; the first: 'soon' is not a date"),
        (bank("D2026-03-01\nTlots\nPx"), "'lots' is not an amount"),
        (bank("D2026-03-01\nPx"), "the amount is empty"),
        ("!Type:Bank\n" + "x" * (17 << 20), "larger than 16 MiB"),
    ],
)
def test_a_broken_file_is_one_clear_line(content: str, message: str) -> None:
    with pytest.raises(UnreadableFile, match=message) as caught:
        read(content)
    assert "\n" not in str(caught.value)


_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp", "Cn")), min_size=1)


@settings(max_examples=100)
@given(
    rows=st.lists(
        st.tuples(
            st.dates(date(1970, 1, 1), date(2069, 12, 31)),
            _WORDS.filter(lambda word: word.casefold() != "opening balance"),
            st.decimals(Decimal("-9999999.99"), Decimal("9999999.99"), places=2),
        ),
        min_size=1,
        max_size=30,
    ),
    comma=st.booleans(),
    date_format=st.sampled_from(["%Y-%m-%d", "%d.%m.%Y"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_written_is_read_back_exactly(
    rows: list[tuple[date, str, Decimal]], comma: bool, date_format: str, encoding: str, line_end: str
) -> None:
    def written(value: Decimal) -> str:
        return f"{value:,.2f}".translate(str.maketrans(",.", ".,") if comma else {})

    content = bank(*(f"D{day.strftime(date_format)}\nT{written(value)}\nP{text}" for day, text, value in rows))
    drafts, refusals = read(content.replace("\n", line_end).encode(encoding), size=7)
    assert refusals == []
    assert [(d.occurred_at, d.counterparty, d.amount) for d in drafts] == rows
