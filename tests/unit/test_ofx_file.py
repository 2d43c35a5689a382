"""The OFX connector: what banks write, in both syntaxes, and that no transaction is lost."""

from __future__ import annotations

import io
import warnings
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from plugins import ofx_file
from plugins.ofx_file import MAX_BYTES, OfxFile
from sortation import Context, Draft, ReadRequest, Refusal, UnreadableFile

DATA = Path(__file__).parent.parent / "data"


def read(content: str | bytes) -> tuple[list[Draft], list[Refusal]]:
    data = content.encode() if isinstance(content, str) else content
    batches = list(OfxFile().read(Context(default_currency="EUR"), ReadRequest(file=io.BytesIO(data))))
    return [d for b in batches for d in b.drafts], [r for b in batches for r in b.refusals]


def statement(*transactions: str, currency: str = "<CURDEF>USD", account: str = "A1") -> str:
    listed = "".join(f"<STMTTRN>{t}</STMTTRN>" for t in transactions)
    return (
        "OFXHEADER:100\r\nDATA:OFXSGML\r\nENCODING:USASCII\r\nCHARSET:1252\r\n\r\n<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS>"
        f"{currency}<BANKACCTFROM><ACCTID>{account}</BANKACCTFROM><BANKTRANLIST>{listed}</BANKTRANLIST>"
        "</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>\r\n"
    )


def transaction(
    fitid: str = "<FITID>1", day: str = "20260301", amount: str = "-5.00", name: str = "Shop", more: str = ""
) -> str:
    return f"<TRNTYPE>DEBIT<DTPOSTED>{day}<TRNAMT>{amount}{fitid}<NAME>{name}{more}"


def test_a_bank_and_a_card_in_one_sgml_file() -> None:
    drafts, refusals = read((DATA / "two_accounts.qfx").read_bytes())
    assert refusals == []
    assert drafts[0] == Draft(
        text="CORNER SHOP 0421 LEEDS GB",
        occurred_at=date(2026, 3, 2),
        account="12345678",
        external_id="20260302-1",
        counterparty="CORNER SHOP 0421",
        amount=Decimal("-12.50"),
        currency="GBP",
        attributes={"type": "pos", "sic": "5411"},
        raw=drafts[0].raw,
    )
    assert drafts[0].raw["DTPOSTED"] == "20260302235959.000[-5:EST]"
    assert [(d.text, d.amount, d.account) for d in drafts[1:]] == [
        ("check 1001", Decimal("-99.00"), "12345678"),
        ("Café Süd & Co", Decimal("-3.10"), "4444333322221111"),
    ]
    assert drafts[1].attributes == {"type": "check", "checknum": "1001"}


def test_an_investment_account_in_xml() -> None:
    drafts, refusals = read((DATA / "broker.ofx").read_bytes())
    assert [r.reason for r in refusals] == ["'2026' is not a date"]
    bought, moved, cash = drafts
    assert (cash.kind, cash.text, cash.amount) == ("transaction", "Dividend paid", Decimal("4.20"))
    assert (bought.kind, bought.text, bought.amount) == ("investment", "buystock Example Fund", Decimal("-101.50"))
    assert bought.attributes["units"] == "10"
    assert (moved.amount, moved.currency, moved.external_id) == (None, None, "t3")


def test_the_day_is_the_one_the_bank_wrote() -> None:
    drafts, _ = read(
        statement(transaction(day="20260301233000.000[-8:PST]"), transaction("<FITID>2", "20260301000000[+9:JST]"))
    )
    assert [d.occurred_at for d in drafts] == [date(2026, 3, 1)] * 2


def test_encodings_declared_and_real() -> None:
    text = statement(transaction(name="Bäckerei"))
    for encoded in (text.encode("cp1252"), text.encode("utf-8"), text.encode("utf-8-sig"), text.encode("utf-16")):
        assert read(encoded)[0][0].counterparty == "Bäckerei"
    xml = '<?xml version="1.0" encoding="UTF-8"?><?OFX OFXHEADER="200"?>' + text[text.index("<OFX>") :]
    assert read(xml)[0][0].counterparty == "Bäckerei"


def test_currencies() -> None:
    own = "<CURRENCY><CURRATE>1.1<CURSYM>chf</CURRENCY>"
    foreign = "<ORIGCURRENCY><CURRATE>1.1<CURSYM>JPY</ORIGCURRENCY>"
    drafts, _ = read(statement(transaction(), transaction("<FITID>2", more=own), transaction("<FITID>3", more=foreign)))
    assert [d.currency for d in drafts] == ["USD", "CHF", "USD"]
    assert read(statement(transaction(), currency="<CURDEF></CURDEF>"))[0][0].currency == "EUR"
    assert read(statement(transaction(), currency="<CURDEF>usd"))[0][0].currency == "USD"


def test_empty_tags_lose_nothing() -> None:
    empty = "<FITID></FITID><NAME></NAME><CHECKNUM></CHECKNUM><MEMO>Transfer</MEMO>"
    drafts, refusals = read(statement(f"<TRNTYPE>CREDIT<DTPOSTED>20260301<TRNAMT>1.00{empty}"))
    assert refusals == []
    assert (drafts[0].text, drafts[0].external_id, drafts[0].counterparty) == ("Transfer", None, "")


def test_an_id_given_twice_keeps_both_unless_they_are_the_same() -> None:
    drafts, refusals = read(
        statement(transaction(), transaction(amount="-6.00"), transaction(), transaction(amount="-6.00"))
    )
    assert [d.amount for d in drafts] == [Decimal("-5.00"), Decimal("-6.00")]
    assert drafts[0].external_id == "1"
    assert drafts[1].external_id is not None
    assert drafts[1].external_id.startswith("1#")
    assert [r.position for r in refusals] == [3, 4]


def test_a_bad_transaction_is_refused_alone() -> None:
    drafts, refusals = read(
        statement(
            transaction("<FITID>1"),
            transaction("<FITID>2", amount="$12"),
            transaction("<FITID>3", day="20261301"),
            "<TRNTYPE>DEBIT<FITID>4<NAME>x",
            transaction("<FITID>5", day="00000000"),
            transaction("<FITID>6"),
        )
    )
    assert [d.external_id for d in drafts] == ["1", "6"]
    assert [r.position for r in refusals] == [2, 3, 4, 5]
    assert "$12" in refusals[0].reason
    assert "20261301" in refusals[1].reason


def test_valid_files_without_transactions_have_no_records_and_no_error() -> None:
    assert read("OFXHEADER:100\r\nENCODING:USASCII\r\nCHARSET:1252\r\n\r\n<OFX></OFX>") == ([], [])
    assert read(statement()) == ([], [])
    signon = "<SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS></SONRS></SIGNONMSGSRSV1>"
    assert read(f"<OFX>{signon}</OFX>") == ([], [])


def test_what_the_bank_refused_is_told() -> None:
    status = "<STATUS><CODE>2000</CODE><SEVERITY>ERROR</SEVERITY><MESSAGE>General Server Error</MESSAGE></STATUS>"
    answer = f"<STMTTRNRS>{status}</STMTTRNRS>"
    with pytest.raises(UnreadableFile, match="the bank answered with error 2000: General Server Error"):
        read(f"<OFX><BANKMSGSRSV1>{answer}</BANKMSGSRSV1></OFX>")
    drafts, refusals = read(statement(transaction()).replace("</BANKMSGSRSV1>", f"{answer}</BANKMSGSRSV1>"))
    assert len(drafts) == 1
    assert [r.reason for r in refusals] == ["the bank answered with error 2000: General Server Error"]


def test_the_balance_of_a_statement_goes_along_with_its_transactions() -> None:
    balance = "<LEDGERBAL><BALAMT>95.00<DTASOF>20260331</LEDGERBAL></STMTRS>"
    content = statement(transaction(), transaction("<FITID>2", amount="2.00")).replace("</STMTRS>", balance)
    (batch,) = OfxFile().read(Context(), ReadRequest(file=io.BytesIO(content.encode())))
    (told,) = batch.statements
    assert (told.account, told.currency, told.opening, told.closing) == ("A1", "USD", None, Decimal("95.00"))
    assert (told.total, told.gap) == (Decimal("-3.00"), None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no <OFX>"),
        ("Date,Text,Amount\n", "no <OFX>"),
        (statement(transaction())[:-60], "cut off"),
        (statement(transaction(amount="$1")), "none of its 1 transactions.*Invalid Transaction Amount"),
        ("<OFX><SONRS><STATUS><CODE>what</STATUS></SONRS></OFX>", "breaks the rules of OFX"),
        (b"<OFX>" + b" " * MAX_BYTES, "larger than"),
    ],
)
def test_a_broken_file_is_one_clear_line(content: str | bytes, message: str) -> None:
    with pytest.raises(UnreadableFile, match=message) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_nothing_is_warned_of_and_batches_are_no_larger_than_asked() -> None:
    content = statement(*(transaction(f"<FITID>{i}") for i in range(50))).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches = list(OfxFile().read(Context(), ReadRequest(file=io.BytesIO(content), batch_size=20)))
    assert [len(batch.drafts) for batch in batches] == [20, 20, 10]


def test_detection() -> None:
    detect = OfxFile().detect
    assert detect(statement().encode(), "x") > 0.9
    assert detect(b"\n\n<OFX>", "x") > 0.9
    assert detect(statement().encode("utf-16"), "x") > 0.9
    assert detect(b"hello", "x.qfx") >= 0.3
    assert detect(b"hello", "x.csv") == 0


def test_elements_may_be_empty_where_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ofx_file, "MAX_EMPTY", 20)
    lines = [transaction(f"<FITID>{n}", more="<MEMO></MEMO><SIC> </SIC>") for n in range(50)]
    drafts, refusals = read(statement(*lines))
    assert (len(drafts), refusals) == (50, [])
    with pytest.raises(UnreadableFile, match="over 20 elements with nothing in them"):
        read(statement(*lines, "<MEMO></MEMO>" * 500))
