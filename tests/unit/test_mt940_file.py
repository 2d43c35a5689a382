"""The MT940 connector: fields as banks write them, what they say of the other side, ids, balances, refusals."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.mt940_file.details import read_details
from plugins.mt940_file.read import Mt940File
from sortation import Batch, Context, Draft, ReadRequest, Refusal, UnreadableFile

DATA = Path(__file__).parent.parent / "data"


def batches(content: str | bytes, size: int = 5_000) -> list[Batch]:
    data = content.encode() if isinstance(content, str) else content
    return list(Mt940File().read(Context(default_currency="USD"), ReadRequest(file=io.BytesIO(data), batch_size=size)))


def read(content: str | bytes) -> tuple[list[Draft], list[Refusal]]:
    found = batches(content)
    return [d for b in found for d in b.drafts], [r for b in found for r in b.refusals]


def message(*fields: str, account: str = "ACC/1", opening: str = ":60F:C260301EUR100,00\n") -> str:
    return f":20:START\n:25:{account}\n:28C:1/1\n{opening}" + "".join(f"{field}\n" for field in fields) + "-\n"


def details(*lines: str) -> tuple[str, str, str]:
    found = read_details([lines])
    return found.text, found.counterparty, found.counterparty_account


def test_statements_become_drafts_with_all_their_fields() -> None:
    found = batches((DATA / "statement.sta").read_bytes())
    (batch,) = found
    first, second, reversal, card = batch.drafts
    assert first == Draft(
        text="Rechnung 815 Stromabschlag Maerz",
        occurred_at=date(2026, 3, 2),
        account="10020030/0123456789",
        external_id="B6C02AA1:2026-03-02:-45.9",
        counterparty="Stadtwerke Musterstadt GmbH und Co KG",
        amount=Decimal("-45.90"),
        currency="EUR",
        attributes={
            "type": "NDDT",
            "code": "105",
            "booking_text": "BASISLASTSCHRIFT",
            "value_date": "2026-03-02",
            "counterparty_account": "DE02100100100006820101",
            "end_to_end_id": "RG-2026-0815",
            "mandate_id": "M-00017",
            "creditor_id": "DE98ZZZ00000000001",
        },
        raw=first.raw,
    )
    assert first.raw["61"] == "2603020302DR45,90NDDTNONREF//B6C02AA1"
    assert (second.amount, second.counterparty) == (Decimal(3000), "Nordlicht Software GmbH")
    assert (reversal.amount, reversal.attributes["reversal"]) == (Decimal("-12.50"), "true")
    assert (reversal.occurred_at, reversal.attributes["value_date"]) == (date(2026, 3, 2), "2026-02-28")
    assert (reversal.text, reversal.external_id) == ("Storno einer Gutschrift", None)
    assert (card.text, card.attributes["supplement"]) == ("Kartenzahlung Baeckerei Suess", "KARTE 4711")
    assert [(s.opening, s.closing, s.gap) for s in batch.statements] == [
        (Decimal("1000.00"), Decimal("3941.60"), Decimal(0)),
        (Decimal("3941.60"), Decimal("3928.50"), Decimal("-3.10")),
    ]


def test_an_interim_report_between_swifts_own_blocks() -> None:
    (batch,) = batches((DATA / "statement.942").read_bytes())
    (draft,) = batch.drafts
    assert (draft.amount, draft.currency, draft.account) == (Decimal("-19.99"), "PLN", "PL61109010140000071219812874")
    assert (draft.text, draft.counterparty) == ("Faktura 12-2026", "JANINA TESTOWA")
    assert (draft.attributes["end_to_end_id"], batch.statements) == ("F12", ())


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["166?00GUTSCHRIFT?20SVWZ+Miete?21Maerz?31DE1?32Ada", "Muster"], ("Miete Maerz", "AdaMuster", "DE1")),
        (["000>100987>20 HUUR>21 KANTOOR>310390123456"], ("HUUR KANTOOR", "", "0390123456")),
        (["020~00Przelew~20Faktura 7~32HUTA SZKLA~33TOPIC~38PL61"], ("Faktura 7", "HUTA SZKLA TOPIC", "PL61")),
        (["166?00GUTSCHRIFT?32Ada"], ("GUTSCHRIFT", "Ada", "")),
        (["/TRTP/SEPA/IBAN/NL02ABNA0123456789/NAME/ADA/REMI/Huur 3/EREF/1"], ("Huur 3", "ADA", "NL02ABNA0123456789")),
        (["/CNTP/NL02/ABNANL2A/ADA///REMI/USTD//Huur/"], ("Huur", "ADA", "NL02")),
        (["FACTUUR 7", "REK: NL65INGB0123456789/NAAM: PICKER"], ("*", "PICKER", "NL65INGB0123456789")),
        (["911 X; Z RACH.: 5611; OD: JAN NOWAK  UL. 1; TYT.: Y"], ("*", "JAN NOWAK", "5611")),
        (["999PN5477SCHECK 16703074"], ("SCHECK 16703074", "", "")),
        (["a word is not", "split here"], ("a word is not split here", "", "")),
        (["x" * 65, "y"], ("x" * 65 + "y", "", "")),
        ([""], ("", "", "")),
    ],
)
def test_the_details_of_many_banks_give_text_and_counterparty(lines: list[str], expected: tuple[str, str, str]) -> None:
    text, *rest = details(*lines)
    assert rest == list(expected[1:])
    assert text == expected[0] or (expected[0] == "*" and text == " ".join(lines).replace("  ", " "))


def test_a_name_that_stands_in_the_line_itself_is_the_counterparty() -> None:
    drafts, _ = read(
        message(
            ":61:260302D000000000044,95N0600733959555      T-MOBILE NETHERLANDS BV",
            ":86:BETALINGSKENM. 123",
            ":86:FACTUUR 9",
            ":61:2603020302D20,00NIOB0987654321\nmarechal s",
            ":86:0987654321 marechal s\n   \ndit is een test",
        )
    )
    assert [(d.text, d.counterparty) for d in drafts] == [
        ("BETALINGSKENM. 123 FACTUUR 9", "T-MOBILE NETHERLANDS BV"),
        ("dit is een test", "marechal s"),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2603020303D1,5NMSC", (date(2026, 3, 3), Decimal("-1.5"))),
        ("260302C1000,NMSC", (date(2026, 3, 2), Decimal(1000))),
        ("260302RD1,00NMSC", (date(2026, 3, 2), Decimal(1))),
        ("260302CR0,01NMSC", (date(2026, 3, 2), Decimal("0.01"))),
        ("2601021231D7,NMSC", (date(2025, 12, 31), Decimal(-7))),
        ("2602300301D7,NMSC", (date(2026, 3, 1), Decimal(-7))),
        ("260302    D7,NMSC", (date(2026, 3, 2), Decimal(-7))),
    ],
)
def test_days_and_amounts_of_a_line(line: str, expected: tuple[date, Decimal]) -> None:
    drafts, _ = read(message(f":61:{line}", ":86:x"))
    assert [(d.occurred_at, d.amount) for d in drafts] == [expected]


def test_ids_are_the_banks_references_with_day_and_amount() -> None:
    def ids(*references: str) -> list[str | None]:
        lines = (f":61:2603020302D1,00NMSC{r}\n:86:text" for r in references)
        return [d.external_id for d in read(message(*lines))[0]]

    assert ids("NONREF//B1", "NONREF//B2") == ["B1:2026-03-02:-1", "B2:2026-03-02:-1"]
    assert ids("NONREF", "NONREF//NONREF", "1234567") == [None, None, None]
    assert ids("NONREF//B1", "NONREF//B1") == ["B1:2026-03-02:-1", "B1:2026-03-02:-1#2"]
    twice = message(":61:2603020302D1,00NMSCNONREF//B1", ":86:text") * 2
    assert [d.external_id for d in read(twice)[0]] == ["B1:2026-03-02:-1"] * 2


def test_the_currency_comes_from_balance_floor_account_or_default() -> None:
    def currency(account: str, opening: str) -> tuple[str | None, str]:
        drafts, _ = read(message(":61:260302D1,NMSC", ":86:x", account=account, opening=opening))
        return drafts[0].currency, drafts[0].account

    assert currency("123EUR", ":60F:C260301EUR1,\n") == ("EUR", "123")
    assert currency("123", ":34F:CHF0,\n") == ("CHF", "123")
    assert currency("123/4/GBP", "") == ("GBP", "123/4")
    assert currency("NL02RABO0123456789", "") == ("USD", "NL02RABO0123456789")
    assert currency("123USD", ":60F:C260301EUR1,\n") == ("EUR", "123USD")


def test_a_line_that_cannot_be_read_is_refused_alone() -> None:
    drafts, refusals = read(message(":61:260302D1,00NMSC", ":86:a", ":61:soon", ":86:b", ":61:260302X1,NMSC", ":86:c"))
    assert [d.text for d in drafts] == ["a"]
    assert [(r.position, r.reason) for r in refusals] == [
        (7, ":61:soon is not the shape of a transaction"),
        (9, ":61:260302X1,NMSC is not the shape of a transaction"),
    ]
    drafts, _ = read(message(":61:260302D1,00NMSC", ":86:it was\n:12:30 o'clock"))
    assert drafts[0].text == "it was :12:30 o'clock"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "names no account"),
        ("just a letter\n", "names no account"),
        (":61:260302D1,NMSC\n", "names no account"),
        (":20:X\n:25:ACC\n", "neither a transaction"),
        (message(":25:ACC2"), "line 5: a second account"),
        (message() + ":20:X\n:61:260302D1,NMSC\n", "line 7: a transaction of no account"),
        (message(":61:260302D1,,,2NMSC"), "none of its 1 transactions can be read"),
        (b"\x00" * 1000, "names no account"),
        (":20:" + "x" * (17 << 20), "larger than 16 MiB"),
    ],
)
def test_a_broken_file_is_one_clear_line(content: str | bytes, message: str) -> None:
    with pytest.raises(UnreadableFile, match=message) as caught:
        read(content)
    assert "\n" not in str(caught.value)


_WORDS = st.text(
    st.characters(codec="latin-1", exclude_categories=("Cc", "Zs"), exclude_characters="?/:;+~"), min_size=1
)


@settings(max_examples=100)
@given(
    rows=st.lists(
        st.tuples(
            st.dates(date(1980, 1, 1), date(2068, 12, 31)),
            _WORDS.filter(lambda word: not word[0].isdigit() and word[0] not in "-{"),
            st.decimals(Decimal("-9999999.99"), Decimal("9999999.99"), places=2),
        ),
        min_size=1,
        max_size=20,
    ),
    size=st.integers(1, 7),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_written_is_read_back_exactly(
    rows: list[tuple[date, str, Decimal]], size: int, encoding: str, line_end: str
) -> None:
    def amount(value: Decimal) -> str:
        return str(abs(value)).replace(".", ",")

    lines = [
        f":61:{day:%y%m%d}{'D' if value < 0 else 'C'}{amount(value)}NMSCNONREF//R{number}\n:86:{text}"
        for number, (day, text, value) in enumerate(rows)
    ]
    total = sum((value for _, _, value in rows), Decimal(0))
    closing = f":62F:{'D' if total < 0 else 'C'}260331EUR{amount(total)}"
    content = message(*lines, closing, opening=":60F:C260301EUR0,00\n").replace("\n", line_end)
    found = batches(content.encode(encoding, "replace"), size)
    drafts = [d for b in found for d in b.drafts]
    assert [(d.occurred_at, d.amount) for d in drafts] == [(day, value) for day, _, value in rows]
    if encoding != "cp1252":
        assert [d.text for d in drafts] == [text for _, text, _ in rows]
    assert [s.gap for b in found for s in b.statements] == [Decimal(0)]
