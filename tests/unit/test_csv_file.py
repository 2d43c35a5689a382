"""The CSV connector: what it detects, what it refuses, and that nothing is changed on the way."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from plugins.csv_file.read import CsvFile
from sortation import Context, Draft, ReadRequest, Refusal, UnreadableFile

DATA = Path(__file__).parent.parent / "data"


def read(
    content: str | bytes, config: Mapping[str, Any] | None = None, currency: str = "EUR", size: int = 5_000
) -> tuple[list[Draft], list[Refusal]]:
    data = content.encode() if isinstance(content, str) else content
    request = ReadRequest(file=io.BytesIO(data), filename="x.csv", batch_size=size)
    batches = list(CsvFile().read(Context(config=config or {}, default_currency=currency), request))
    return [d for b in batches for d in b.drafts], [r for b in batches for r in b.refusals]


def amounts(content: str, **options: Any) -> list[Decimal | None]:
    drafts, refusals = read(content, **options)
    assert not refusals
    return [draft.amount for draft in drafts]


def dates(*cells: str, **options: Any) -> list[object]:
    rows = "".join(f'"{cell}",something,1.00\n' for cell in cells)
    drafts, refusals = read(f"Date,Description,Amount\n{rows}", **options)
    assert not refusals
    return [draft.occurred_at for draft in drafts]


def test_a_plain_file_becomes_drafts_with_all_their_fields() -> None:
    drafts, refusals = read(
        "Date,Account,Description,Payee,Amount,Currency,Transaction ID,Category,Status,City\n"
        "2026-03-01,main,Card payment,Corner Shop,-12.50,GBP,T1,Food,pending,Leeds\n"
        "2026-03-02,main,Salary,,2000,gbp,T2,,booked,\n"
    )
    assert refusals == []
    assert drafts[0] == Draft(
        text="Card payment",
        occurred_at=date(2026, 3, 1),
        account="main",
        external_id="T1",
        counterparty="Corner Shop",
        amount=Decimal("-12.50"),
        currency="GBP",
        attributes={"status": "pending", "city": "Leeds"},
        raw=drafts[0].raw,
        pending=True,
        category="Food",
    )
    assert drafts[0].raw["Transaction ID"] == "T1"
    assert (drafts[1].pending, drafts[1].category, drafts[1].currency) == (False, None, "GBP")
    assert drafts[1].attributes == {"status": "booked"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters_are_detected(encoding: str, delimiter: str) -> None:
    rows = [
        ["Buchungstag", "Empfänger", "Verwendungszweck", "Betrag"],
        ["31.12.2025", "Bäckerei Süß", "Brötchen", "-3.20"],
    ]
    content = "\r\n".join(delimiter.join(row) for row in rows)
    drafts, _ = read(content.encode(encoding))
    assert (drafts[0].text, drafts[0].counterparty, drafts[0].amount) == ("Brötchen", "Bäckerei Süß", Decimal("-3.20"))


def test_an_encoding_is_judged_by_the_whole_file() -> None:
    rows = "".join(f"2026-01-01,plain text number {i},1.00\n" for i in range(9_000))
    drafts, _ = read(f"Date,Description,Amount\n{rows}2026-01-02,Café,2.00\n".encode("cp1252"))
    assert drafts[-1].text == "Café"


def test_a_german_bank_with_preamble_footer_and_two_parties() -> None:
    drafts, refusals = read((DATA / "german_bank.csv").read_bytes())
    assert [(d.counterparty, d.amount, d.currency) for d in drafts] == [
        ("REWE Markt GmbH", Decimal("-1234.56"), "EUR"),
        ("Nordlicht Software GmbH", Decimal("3000"), "EUR"),
        ("Stadtwerke", Decimal("-0.99"), "EUR"),
    ]
    assert [d.pending for d in drafts] == [False, False, True]
    assert drafts[0].occurred_at == date(2026, 3, 2)
    assert drafts[0].account == "DE00100000000000000000"
    assert drafts[0].attributes["wertstellung"] == "03.03.26"
    assert len(refusals) == 1
    assert "summary" in refusals[0].reason


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.234,56", "-5,00"], ["1234.56", "-5.00"]),
        (["1,234.56", "(12.00)"], ["1234.56", "-12.00"]),
        (["1 234,56", "7,5-"], ["1234.56", "-7.5"]),
        (["1\u202f234,56 €", "−3,00 €"], ["1234.56", "-3.00"]),
        (["1'234.56", "+1.00"], ["1234.56", "1.00"]),
        (["$1,234.56", "-$2.00"], ["1234.56", "-2.00"]),
        (["1,23,456.00", "0.50"], ["123456.00", "0.50"]),
        (["12.00 DR", "3.00 CR"], ["-12.00", "3.00"]),
        ([".50", "5."], ["0.50", "5"]),
        (["1.234", "1.234.567"], ["1234", "1234567"]),
        (["0.125", "2.500"], ["0.125", "2.500"]),
        (["1,234", "17"], ["1234", "17"]),
    ],
)
def test_amounts_in_any_notation(cells: list[str], expected: list[str]) -> None:
    rows = "".join(f'2026-01-0{i};x;"{cell}"\n' for i, cell in enumerate(cells, start=1))
    assert amounts(f"Date;Description;Amount\n{rows}") == [Decimal(value) for value in expected]


@pytest.mark.parametrize(
    "cell", ["1,23", "1,2345.00", "12.34.56", "--5.00", "5.00 EUR USD", "1_000.00", "NaN", "1e5", "٣.00", ""]
)
def test_an_amount_that_fits_no_grouping_is_refused_not_guessed(cell: str) -> None:
    drafts, refusals = read(
        f'Date;Description;Amount\n2026-01-01;a;1,000.50\n2026-01-02;b;"{cell}"\n2026-01-03;c;2.00\n'
    )
    assert [d.text for d in drafts] == ["a", "c"]
    assert refusals[0].position == 3
    assert "amount" in refusals[0].reason or "currency" in refusals[0].reason


def test_thousandths_of_a_dinar_stay_decimals() -> None:
    assert amounts("Date,Description,Amount,Currency\n2026-01-01,x,1.234,KWD\n") == [Decimal("1.234")]


def test_dots_and_commas_that_prove_nothing_and_differ_are_an_error() -> None:
    with pytest.raises(UnreadableFile, match="set decimal"):
        read('Date;Description;Amount\n2026-01-01;x;"1.234"\n2026-01-02;x;"1,234"\n')


def test_a_late_row_decides_how_the_first_amounts_are_read() -> None:
    rows = "".join('2026-01-01;x;"1.234"\n' for _ in range(700))
    assert amounts(f'Date;Description;Amount\n{rows}2026-01-02;x;"1.50"\n')[0] == Decimal("1.234")


def test_debit_and_credit_columns_give_one_signed_amount() -> None:
    content = (
        "Date,Details,Paid out,Paid in,Balance\n2026-01-01,a,5.00,,95\n2026-01-02,b,,7.00,102\n2026-01-03,c,,,102\n"
    )
    drafts, refusals = read(content)
    assert [d.amount for d in drafts] == [Decimal("-5.00"), Decimal("7.00")]
    assert drafts[0].attributes == {"balance": "95"}
    assert [r.position for r in refusals] == [4]
    negative = "Datum;Text;Soll;Haben\n01.01.2026;a;-5,00;\n02.01.2026;b;;7,00\n"
    assert amounts(negative) == [Decimal("-5.00"), Decimal("7.00")]


def test_an_indicator_column_gives_the_sign() -> None:
    drafts, refusals = read("Datum;Naam;Bedrag;Af Bij\n20260301;Albert Heijn;5,00;Af\n20260302;Loon;9,00;Bij\n")
    assert not refusals
    assert [(d.amount, d.occurred_at) for d in drafts] == [
        (Decimal("-5.00"), date(2026, 3, 1)),
        (Decimal("9.00"), date(2026, 3, 2)),
    ]
    rows = "".join("2026-01-01;x;1,50;S\n" for _ in range(600))
    _, refusals = read(f"Datum;Text;Betrag;Soll/Haben\n{rows}2026-01-02;x;1,50;?\n")
    assert [r.position for r in refusals] == [602]


def test_currencies_come_from_column_symbol_header_or_default() -> None:
    def currencies(content: str, **options: Any) -> list[str | None]:
        return [d.currency for d in read(content, **options)[0]]

    assert currencies("Date,Text,Amount,Currency\n2026-01-01,x,1,usd\n2026-01-01,x,1,\n2026-01-02,x,1,£\n") == [
        "USD",
        "EUR",
        "GBP",
    ]
    assert currencies("Date,Text,Amount\n2026-01-01,x,£1.00\n2026-01-01,x,CHF 2.00\n") == ["GBP", "CHF"]
    assert currencies("Date,Text,Amount\n2026-01-01,x,$1.00\n", currency="CAD") == ["CAD"]
    assert currencies("Date,Text,Amount (SEK)\n2026-01-01,x,1.00\n") == ["SEK"]
    assert currencies("Date,Text,Amount\n2026-01-01,x,1.00\n", config={"currency": "PLN"}) == ["PLN"]
    _, refusals = read("Date,Text,Amount,Currency\n2026-01-01,x,1,EUR\n2026-01-01,x,1,Taler\n2026-01-01,x,1,EUR\n")
    assert [(r.position, r.reason) for r in refusals] == [(3, "'Taler' is not a currency")]


def test_the_order_of_day_and_month_is_decided_over_all_rows() -> None:
    assert dates("03/04/2026", "13/04/2026")[0] == date(2026, 4, 3)
    assert dates("03/04/2026", "04/13/2026")[0] == date(2026, 3, 4)
    late = ["01/02/2026"] * 2_000 + ["12/31/2026"]
    assert dates(*late)[0] == date(2026, 1, 2)
    assert dates("01/02/2026", "02/01/2026", "03/01/2026")[1] == date(2026, 2, 1), "in time order month first"
    assert dates("01/02/2026", "05/02/2026", "02/03/2026")[1] == date(2026, 2, 5), "in time order day first"
    assert dates("01/02/2026", "03/01/2026", "02/03/2026", currency="USD")[0] == date(2026, 1, 2)
    assert dates("01/02/2026", "03/01/2026", "02/03/2026", currency="GBP")[0] == date(2026, 2, 1)


def test_dates_that_contradict_each_other_are_an_error_that_names_both() -> None:
    with pytest.raises(UnreadableFile, match=r"'13/01/2026'.*'01/14/2026'.*date_format"):
        dates("13/01/2026", "01/14/2026")
    drafts, refusals = read("Date,Text,Amount\n13/01/2026,a,1\n01/14/2026,b,2\n", config={"date_format": "%d/%m/%Y"})
    assert [d.occurred_at for d in drafts] == [date(2026, 1, 13)]
    assert [r.position for r in refusals] == [3]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2026-03-05", date(2026, 3, 5)),
        ("2026/3/5", date(2026, 3, 5)),
        ("20260305", date(2026, 3, 5)),
        ("05.03.26", date(2026, 3, 5)),
        ("5. 3. 2026", date(2026, 3, 5)),
        ("25-03-2026", date(2026, 3, 25)),
        ("5 Mar 2026", date(2026, 3, 5)),
        ("05-MAR-26", date(2026, 3, 5)),
        ("Mar 5, 2026", date(2026, 3, 5)),
        ("5. März 2026", date(2026, 3, 5)),
        ("5 août 2026", date(2026, 8, 5)),
        ("2026-03-05 23:59:10", date(2026, 3, 5)),
        ("05.03.2026 14:30", date(2026, 3, 5)),
        ("25/03/2026 02:30 PM", date(2026, 3, 25)),
        ("2026-03-05T23:30:00Z", datetime(2026, 3, 5, 23, 30, tzinfo=UTC)),
        ("2026-03-05T23:30:00.5+02:00", datetime(2026, 3, 5, 21, 30, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_dates_in_any_notation(cell: str, expected: object) -> None:
    assert dates(cell) == [expected]


def test_bad_rows_are_refused_with_their_line_and_the_rest_goes_on() -> None:
    drafts, refusals = read(
        "Date,Description,Amount\n"
        "2026-01-01,good,1.00\n"
        "2026-02-30,bad day,1.00\n"
        "\n"
        "2026-01-02,bad amount,lots\n"
        "2026-01-02,too few\n"
        "2026-01-02,too,many,1.00\n"
        "Date,Description,Amount\n"
        '2026-01-03,"two\nlines",1.00\n'
        "2026-01-04,nul\0byte,1.00\n"
        ",,\n"
        "2026-01-05,,1.00\n"
        "Total,,6.00\n"
        "2026-01-06,good again,1.00,,\n"
    )
    assert [d.text for d in drafts] == ["good", "two\nlines", "good again"]
    assert [r.position for r in refusals] == [3, 5, 6, 7, 8, 11, 13, 14]
    reasons = [r.reason for r in refusals]
    assert "2026-02-30" in reasons[0]
    assert "lots" in reasons[1]
    assert reasons[2] == "2 columns where the header has 3"
    assert reasons[4] == "the header again"
    assert "NUL" in reasons[5]
    assert reasons[7].startswith("a summary")


def test_rows_are_refused_where_a_file_has_hardly_a_good_one() -> None:
    drafts, refusals = read("Date,Description,Amount\n2026-01-01,a,lots\n2026-01-02,b,more\nsoon,c,2.00\n")
    assert (drafts, [r.position for r in refusals]) == ([], [2, 3, 4])
    assert read("Date,Description,Amount\n") == ([], [])


def test_a_quote_that_is_never_closed_is_refused_with_its_lines() -> None:
    rows = "".join(f"2026-01-0{i},row {i},1.00\n" for i in range(1, 8))
    drafts, refusals = read(f'Date,Description,Amount\n{rows}2026-01-08,"open,1.00\n{rows}')
    assert len(drafts) == 7
    assert len(refusals) == 1
    assert refusals[0].position == 9
    assert "lines 9 to" in refusals[0].reason
    huge = "x" * 200_000
    drafts, refusals = read(f'Date,Description,Amount\n{rows}2026-01-08,"{huge}",1.00\n2026-01-09,after,1.00\n')
    assert [len(drafts), len(refusals)] == [8, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"  \n\n", "empty"),
        (b"just a letter\nto somebody\n", "no table"),
        (b"Description,Amount\nfoo,1.00\n", "no table|no column is a date"),
        (b"Date,Amount\n2026-01-01,1.00\n", "no column says what happened"),
        (b"\x89PNG\r\n" + bytes(range(64)) + bytes(500), "binary"),
        (b"\xff\xfeD\x00a", "no table|not utf-16"),
        (b"x" * 400_000, "longer than"),
    ],
)
def test_what_is_no_table_is_one_clear_line(content: bytes, message: str) -> None:
    with pytest.raises(UnreadableFile, match=message) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_a_mapping_decides_before_any_guess() -> None:
    content = "# export\n# of today\nwhen!who!what!why!in!out!ours\n02#01#2026!Shop!Bread!hunger!!3.50!A1\n"
    config = {
        "mapping": {
            "date": "When",
            "text": ["what", "why"],
            "counterparty": "who",
            "debit": "out",
            "credit": "in",
            "account": "ours",
        },
        "delimiter": "!",
        "date_format": "%d#%m#%Y",
        "decimal": ".",
        "skip_rows": 2,
        "currency": "DKK",
    }
    drafts, refusals = read(content, config)
    assert refusals == []
    assert drafts[0].text == "Bread hunger"
    assert (drafts[0].amount, drafts[0].currency, drafts[0].account) == (Decimal("-3.50"), "DKK", "A1")
    assert drafts[0].occurred_at == date(2026, 1, 2)
    assert drafts[0].attributes == {}
    with pytest.raises(UnreadableFile, match=r"takes amount from 'sum'; there are only: Date, Text, Amount"):
        read("Date,Text,Amount\n2026-01-01,x,1\n", {"mapping": {"amount": "sum"}})
    with pytest.raises(UnreadableFile, match="the file is not ascii: the byte at offset"):
        read("Date,Text,Amount\n2026-01-01,é,1\n", {"encoding": "ascii"})
    with pytest.raises(UnreadableFile, match="encoding 'klingon' is unknown"):
        read("Date,Text,Amount\n2026-01-01,é,1\n", {"encoding": "klingon"})


def test_a_file_without_a_header_is_understood_by_its_shape() -> None:
    drafts, refusals = read("03/31/2026,-12.00,*,,PURCHASE CORNER SHOP\n03/30/2026,5.00,*,,REFUND CORNER SHOP\n")
    assert refusals == []
    assert [(d.text, d.amount) for d in drafts] == [
        ("PURCHASE CORNER SHOP", Decimal("-12.00")),
        ("REFUND CORNER SHOP", Decimal("5.00")),
    ]


def test_only_what_identifies_becomes_the_external_id() -> None:
    def ids(header: str, *values: str) -> list[str | None]:
        rows = "".join(f"2026-01-01,x,1.00,{value}\n" for value in values)
        return [d.external_id for d in read(f"Date,Text,Amount,{header}\n{rows}")[0]]

    assert ids("Transaction ID", "a7", "b2") == ["a7", "b2"]
    assert ids("Transaction ID", "a7", "a7") == [None, None]
    assert ids("Reference", "a7", "b2") == [None, None], "a mandate's reference comes again next month"
    assert ids("Id", "1", "2", "3") == [None, None, None], "row numbers start anew in each file"


def test_an_id_that_comes_twice_past_the_sample_is_refused() -> None:
    rows = "".join(f"2026-01-01,x,1.00,T{i}\n" for i in range(600))
    drafts, refusals = read(f"Date,Text,Amount,Transaction ID\n{rows}2026-01-02,y,2.00,T3\n")
    assert len(drafts) == 600
    assert [r.position for r in refusals] == [602]


def test_two_identical_purchases_stay_two() -> None:
    drafts, _ = read("Date,Text,Amount\n2026-01-01,ticket,-3.80\n2026-01-01,ticket,-3.80\n")
    assert len(drafts) == 2


def test_batches_are_no_larger_than_asked_and_the_file_stays_open() -> None:
    content = io.BytesIO(b"Date,Text,Amount\n" + b"2026-01-01,x,1.00\nbad,x,1.00\n" * 10)
    batches = list(CsvFile().read(Context(), ReadRequest(file=content, batch_size=6)))
    assert [len(b.drafts) + len(b.refusals) for b in batches] == [6, 6, 6, 2]
    assert not content.closed


def test_detection_bears_a_sample_that_ends_within_a_character() -> None:
    content = "Date,Description,Amount\n" + "2026-01-01,Käse,1.00\n" * 5_000
    for encoding in ("utf-8", "utf-16"):
        for cut in range(65_536, 65_540):
            assert CsvFile().detect(content.encode(encoding)[:cut], "x") >= 0.9


def test_detection_is_sure_of_statements_and_not_of_other_files() -> None:
    detect = CsvFile().detect
    assert detect(b"Date,Description,Amount\n2026-01-01,x,1.00\n", "upload") >= 0.9
    assert 0.3 <= detect(b"foo,bar\n1,2\n", "x.csv") < 0.5, "so that reading says what is missing"
    assert detect(b"foo,bar\n1,2\n", "x.bin") == 0
    for other in (b'{"text": "a"}', b"[1, 2]", b"<OFX></OFX>", b"%PDF-1.4\n\0\0\0", b""):
        assert detect(other, "x.bin") == 0


def statements_of(content: str, **options: Any) -> list[tuple[Decimal | None, Decimal | None, Decimal | None]]:
    request = ReadRequest(file=io.BytesIO(content.encode()), **options)
    batches = list(CsvFile().read(Context(), request))
    assert not any(batch.statements for batch in batches[:-1])
    return [(s.opening, s.closing, s.gap) for s in batches[-1].statements]


def test_a_running_balance_tells_where_rows_are_missing() -> None:
    rows = [f"2026-01-{day:02},row {day},-1.00,{100 - day}.00" for day in range(1, 23)]
    header = "Date,Text,Amount,Balance"
    whole = (Decimal("100.00"), Decimal("78.00"), Decimal(0))
    assert statements_of("\n".join([header, *rows])) == [whole]
    assert statements_of("\n".join([header, *reversed(rows)]), batch_size=5) == [whole]
    assert statements_of("\n".join([header, *rows[:9], *rows[10:]])) == [(*whole[:2], Decimal(-1))]
    with_pending = [*rows, "2026-01-31,to come,-5.00,"]
    pending = [f"{header},Status", *(f"{row},{'pending' if 'to come' in row else ''}" for row in with_pending)]
    assert statements_of("\n".join(pending)) == [whole]


@pytest.mark.parametrize(
    "rows",
    [
        ["2026-01-01,a,-1.00,5.00"],
        ["2026-01-01,a,-1.00,5.00", "2026-01-02,b,-1.00,", "2026-01-03,c,-1.00,3.00"],
        ["2026-01-01,a,-1.00,5.00", "2026-01-02,b,-1.00,77.00", "2026-01-03,c,-1.00,3.00"],
    ],
)
def test_a_balance_that_does_not_follow_the_rows_is_not_believed(rows: list[str]) -> None:
    assert statements_of("\n".join(["Date,Text,Amount,Balance", *rows])) == []


def test_a_counterparty_that_is_not_always_filled_is_taken_from_what_else_names_one() -> None:
    drafts, _ = read("Date,Text,Payee Name,Merchant,Sender,Amount\n2026-01-01,a,,Shop,,-1\n2026-01-02,b,,,Ada,2\n")
    assert [d.counterparty for d in drafts] == ["Shop", "Ada"]
