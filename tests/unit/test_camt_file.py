"""The CAMT connector: entries and their parts, who is on the other side, ids, balances, and what is refused."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.camt_file import xml
from plugins.camt_file.read import CamtFile
from sortation import Batch, Context, Draft, ReadRequest, Refusal, UnreadableFile

DATA = Path(__file__).parent.parent / "data"
OWN = "<Acct><Id><IBAN>DE02100100100006820101</IBAN></Id><Ccy>EUR</Ccy></Acct>"


def batches(content: str | bytes, size: int = 5_000) -> list[Batch]:
    data = content.encode() if isinstance(content, str) else content
    return list(CamtFile().read(Context(), ReadRequest(file=io.BytesIO(data), batch_size=size)))


def read(content: str | bytes) -> tuple[list[Draft], list[Refusal]]:
    found = batches(content)
    return [d for b in found for d in b.drafts], [r for b in found for r in b.refusals]


def document(*inside: str, kind: str = "Stmt", version: str = "053.001.02") -> str:
    statements = "".join(f"<{kind}>{OWN}{entries}</{kind}>" for entries in inside)
    return f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{version}"><Msg>{statements}</Msg></Document>'


def entry(
    amount: str = "5.00",
    sign: str = "DBIT",
    *,
    status: str = "<Sts>BOOK</Sts>",
    day: str = "<BookgDt><Dt>2026-03-02</Dt></BookgDt>",
    more: str = "<AddtlNtryInf>Kiosk</AddtlNtryInf>",
    currency: str = "EUR",
) -> str:
    return f'<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd>{status}{day}{more}</Ntry>'


def balance(kind: str, amount: str, sign: str = "CRDT", currency: str = "EUR") -> str:
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">{amount}</Amt>'
        f"<CdtDbtInd>{sign}</CdtDbtInd></Bal>"
    )


def details(*parts: str) -> str:
    return f"<NtryDtls>{''.join(f'<TxDtls>{part}</TxDtls>' for part in parts)}</NtryDtls>"


def test_a_statement_becomes_drafts_with_all_their_fields() -> None:
    found = batches((DATA / "statement.xml").read_bytes())
    (batch,) = found
    assert batch.refusals == ()
    first, second, returned, pending = batch.drafts
    assert first == Draft(
        text="Rechnung 17, Briefumschläge",
        occurred_at=date(2026, 3, 2),
        account="DE02100100100006820101",
        external_id="REF-1/E-1",
        counterparty="Papier Kontor",
        amount=Decimal("-60.00"),
        currency="EUR",
        attributes={
            "booking_text": "Sammelauftrag",
            "bank_code": "PMNT-ICDT-ESCT",
            "value_date": "2026-03-03",
            "counterparty_account": "DE02200505501015871393",
            "end_to_end_id": "E-1",
        },
        raw=first.raw,
    )
    assert first.raw["AcctSvcrRef"] == "REF-1"
    assert first.raw["TxDtls/RmtInf/Ustrd[2]"] == "Briefumschläge"
    assert (second.text, second.counterparty, second.amount) == ("RF18539007547034", "Büro Meyer", Decimal("-40.00"))
    assert (returned.counterparty, returned.amount, returned.attributes["reversal"]) == (
        "Kunde Klein",
        Decimal("-21.00"),
        "true",
    )
    assert returned.occurred_at == date(2026, 3, 2), "the day as the bank wrote it, not as UTC has it"
    assert (pending.pending, pending.occurred_at, pending.external_id) == (True, date(2026, 3, 4), "REF-3")
    (told,) = batch.statements
    assert (told.account, told.opening, told.closing) == (first.account, Decimal("500.00"), Decimal("379.00"))
    assert (told.total, told.gap) == (Decimal("-121.00"), Decimal(0))


VALUE = "<ValDt><Dt>2026-03-03</Dt></ValDt>"


def pending(**fields: str) -> str:
    return entry(status="<Sts>PDNG</Sts>", day=VALUE, **fields)


def booked(day: str = "2026-03-02", **fields: str) -> str:
    return entry(day=f"<BookgDt><Dt>{day}</Dt></BookgDt>{VALUE}", **fields)


def test_an_entry_without_a_reference_is_known_when_it_is_booked_on_another_day() -> None:
    (waiting,), _ = read(document(pending()))
    (posted,), _ = read(document(booked()))
    assert waiting.occurred_at != posted.occurred_at
    assert waiting.pending
    assert waiting.external_id is not None
    assert posted.pending_external_id == waiting.external_id
    assert posted.external_id is None, "its day, as ever"
    for other in (booked(amount="5.01"), booked(sign="CRDT"), booked(more="<AddtlNtryInf>Cafe</AddtlNtryInf>")):
        (another,), _ = read(document(other))
        assert another.pending_external_id != waiting.external_id


def test_equal_entries_are_counted_apart_while_they_wait_and_when_they_are_booked() -> None:
    waiting, _ = read(document(pending(), pending()))
    posted, _ = read(document(booked(), pending(), booked("2026-03-04")))
    first, second = (draft.external_id for draft in waiting)
    assert first != second
    assert [posted[0].pending_external_id, posted[2].pending_external_id] == [first, second]
    assert posted[1].external_id == first


def test_a_payers_reference_finds_a_pending_entry_whatever_its_text() -> None:
    def referred(text: str) -> str:
        return details(f"<Refs><EndToEndId>E2E-1</EndToEndId></Refs><RmtInf><Ustrd>{text}</Ustrd></RmtInf>")

    (waiting,), _ = read(document(pending(more=referred("Reserved"))))
    (posted,), _ = read(document(booked(more=referred("Invoice 7"))))
    assert posted.pending_external_id == waiting.external_id
    assert posted.external_id == "E2E-1:2026-03-02:-5"


def test_banks_own_references_stay() -> None:
    reference = "<AcctSvcrRef>REF-1</AcctSvcrRef>"
    (waiting, posted), _ = read(document(pending(more=reference), booked(more=reference)))
    assert (waiting.external_id, waiting.pending_external_id) == ("REF-1", None)
    assert posted.pending_external_id is None


@pytest.mark.parametrize("kind", ["Stmt", "Rpt", "Ntfctn"])
@pytest.mark.parametrize("prefix", ["", "ns0:"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_reports_statements_and_notifications_are_read_by_local_names(kind: str, prefix: str, encoding: str) -> None:
    content = document(entry(more="<AddtlNtryInf>Bäcker</AddtlNtryInf>"), kind=kind, version="052.001.13")
    if prefix:
        content = content.replace("</", "~/").replace("<", f"<{prefix}").replace("~/", f"</{prefix}")
        content = content.replace("xmlns=", "xmlns:ns0=")
    drafts, _ = read(f'<?xml version="1.0" encoding="{encoding}"?>{content}'.encode(encoding))
    assert [(d.text, d.amount) for d in drafts] == [("Bäcker", Decimal("-5.00"))]


def test_parts_that_do_not_make_up_the_entry_stay_one_draft() -> None:
    def parts(*amounts: str) -> list[Decimal | None]:
        told = details(*(f'<Amt Ccy="EUR">{a}</Amt><RmtInf><Ustrd>part {a}</Ustrd></RmtInf>' for a in amounts))
        drafts, _ = read(document(entry("5.00", more=told)))
        assert sum(d.amount or 0 for d in drafts) == Decimal("-5.00")
        return [d.amount for d in drafts]

    assert parts("2.00", "3.00") == [Decimal("-2.00"), Decimal("-3.00")]
    assert parts("2.00", "2.00") == [Decimal("-5.00")]
    assert parts("2.00", "lots") == [Decimal("-5.00")]
    assert parts("4.00") == [Decimal("-5.00")], "a single part differs by charges"
    drafts, _ = read(document(entry(more=details("<RmtInf><Ustrd>a</Ustrd></RmtInf>", "<X/>"))))
    assert [(d.text, d.attributes["transactions"]) for d in drafts] == [("a", "2")]
    netted = details(
        '<Amt Ccy="EUR">9.00</Amt><CdtDbtInd>DBIT</CdtDbtInd>', '<Amt Ccy="EUR">4.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
    )
    drafts, _ = read(document(entry("5.00", more=netted)))
    assert [d.amount for d in drafts] == [Decimal("-9.00"), Decimal("4.00")]
    older = details(*(f'<AmtDtls><TxAmt><Amt Ccy="EUR">{a}</Amt></TxAmt></AmtDtls>' for a in ("1.00", "4.00")))
    drafts, _ = read(document(entry("5.00", more=older)))
    assert [d.amount for d in drafts] == [Decimal("-1.00"), Decimal("-4.00")]


def test_the_counterparty_is_never_the_accounts_owner() -> None:
    def party(sign: str, parties: str, reversal: str = "") -> str:
        more = f"{reversal}{details(f'<RltdPties>{parties}</RltdPties>')}<AddtlNtryInf>x</AddtlNtryInf>"
        drafts, _ = read(document(entry(sign=sign, more=more)))
        return drafts[0].counterparty

    own = "<CdtrAcct><Id><IBAN>DE02100100100006820101</IBAN></Id></CdtrAcct>"
    both = "<Dbtr><Nm>Payer</Nm></Dbtr><Cdtr><Nm>Payee</Nm></Cdtr>"
    assert party("CRDT", both) == "Payer"
    assert party("DBIT", both) == "Payee"
    assert party("DBIT", both, "<RvslInd>true</RvslInd>") == "Payer"
    assert party("DBIT", both + own) == "Payer"
    assert party("CRDT", f"<Cdtr><Nm>Owner</Nm></Cdtr>{own}") == ""
    assert party("DBIT", "<Cdtr><Agt><FinInstnId><Nm>A Bank</Nm></FinInstnId></Agt></Cdtr>") == "A Bank"
    assert party("CRDT", "<UltmtDbtr><Nm>The Real One</Nm></UltmtDbtr>") == "The Real One"


def test_ids_are_the_banks_references_where_these_are_stable() -> None:
    def ids(*entries: str) -> list[str | None]:
        return [d.external_id for d in read(document("".join(entries)))[0]]

    def of(tag: str, value: str = "A1") -> str:
        return entry(more=f"<{tag}>{value}</{tag}><AddtlNtryInf>x</AddtlNtryInf>")

    assert ids(of("AcctSvcrRef")) == ["A1"]
    assert ids(of("NtryRef", "2026-77-A")) == ["2026-77-A"]
    assert ids(of("NtryRef", "0001")) == [None], "the number of the row"
    assert ids(of("AcctSvcrRef", "NOTPROVIDED")) == [None]
    end_to_end = details("<Refs><EndToEndId>E7</EndToEndId></Refs>")
    assert ids(entry("5.0", more=end_to_end)) == ids(entry("5.00", more=end_to_end)) == ["E7:2026-03-02:-5"]
    assert ids(of("AcctSvcrRef"), of("AcctSvcrRef")) == ["A1", "A1#2"]
    other = entry("6.00", more="<AcctSvcrRef>A1</AcctSvcrRef>")
    first, second = ids(of("AcctSvcrRef"), other)
    assert first == "A1"
    assert str(second).startswith("A1#")
    repeated = [d.external_id for d in read(document(of("AcctSvcrRef"), of("AcctSvcrRef")))[0]]
    assert repeated == ["A1", "A1"], "the same entry in two statements is one"
    numbered = details(*('<Amt Ccy="EUR">2.50</Amt>' for _ in range(2)))
    assert ids(entry(more=f"<AcctSvcrRef>A1</AcctSvcrRef>{numbered}")) == ["A1/1", "A1/2"]


def test_balances_are_compared_by_currency_and_without_what_is_pending() -> None:
    def told(*inside: str) -> list[tuple[str, Decimal | None]]:
        return [(s.currency, s.gap) for b in batches(document("".join(inside))) for s in b.statements]

    pending = entry("9.00", status="<Sts>PDNG</Sts>")
    assert told(balance("OPBD", "10.00"), balance("CLBD", "5.00"), entry(), pending) == [("EUR", Decimal(0))]
    assert told(balance("PRCD", "10.00"), balance("CLBD", "8.10"), entry()) == [("EUR", Decimal("3.10"))]
    assert told(balance("OPBD", "2.00"), balance("CLBD", "3.00", "DBIT"), entry()) == [("EUR", Decimal(0))]
    assert told(balance("OPBD", "10.00"), balance("ITBD", "5.00"), entry()) == [("EUR", Decimal(0))]
    assert told(balance("OPAV", "10.00"), balance("CLAV", "5.00"), entry()) == []
    assert told(balance("OPBD", "10.00"), balance("CLBD", "5.00", currency="SEK")) == [("EUR", None), ("SEK", None)]


def test_an_entry_that_cannot_be_a_record_is_refused_alone() -> None:
    drafts, refusals = read(
        document(
            entry()
            + entry("lots")
            + entry(sign="UP")
            + entry(currency="")
            + entry(day="")
            + entry(status="<Sts><Cd>INFO</Cd></Sts>")
            + entry("NaN")
            + entry()
        )
    )
    assert len(drafts) == 2
    assert [r.position for r in refusals] == [2, 3, 4, 5, 6, 7]
    reasons = [r.reason for r in refusals]
    for reason, word in zip(reasons, ["'lots'", "'UP'", "currency", "no date", "information", "'NaN'"], strict=True):
        assert word in reason
    with pytest.raises(UnreadableFile, match="none of its 1 entries can be read; the first: 'lots'"):
        read(document(entry("lots")))


BOMB = '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Document>&b;</Document>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "breaks the rules of XML at line 1: no element found"),
        (document(entry())[:-12], "breaks the rules of XML at line 1"),
        ("<Document><GrpHdr/></Document>", "there is no statement in this file"),
        (document(entry()).replace("Kiosk", "Ki & osk"), "breaks the rules of XML"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "encoding"),
        ('<?xml version="1.0" encoding="utf-7"?><a/>', "encoding"),
        (BOMB, "DOCTYPE"),
        ('<!DOCTYPE d SYSTEM "file:///etc/passwd"><d/>', "DOCTYPE"),
        ("<a>" * 200_000, "XML|deep"),
        (document("<Ntry>" * 100 + "</Ntry>" * 100), "more than 64 deep"),
        (document(f"<Ntry {'x' * (3 << 20)}='1'/>"), "longer than"),
        (document(f"<Ntry>{'x' * (xml.MAX_TEXT + 1)}</Ntry>"), "MiB of text"),
    ],
)
def test_a_broken_or_hostile_file_is_one_clear_line(content: str, message: str) -> None:
    with pytest.raises(UnreadableFile, match=message) as caught:
        read(content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_entry_of_very_many_elements_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml, "MAX_NODES", 50)
    with pytest.raises(UnreadableFile, match="one Ntry has more than 50 elements"):
        read(document(f"<Ntry>{'<a/>' * 51}</Ntry>"))


@settings(max_examples=100)
@given(
    rows=st.lists(
        st.tuples(
            st.dates(date(1970, 1, 1), date(2069, 12, 31)),
            st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp", "Cn")), min_size=1),
            st.decimals(Decimal("-9999999.99"), Decimal("9999999.99"), places=2),
        ),
        max_size=30,
    ),
    size=st.integers(1, 7),
)
def test_what_was_written_is_read_back_exactly(rows: list[tuple[date, str, Decimal]], size: int) -> None:
    def escaped(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    entries = "".join(
        entry(
            str(abs(amount)),
            "DBIT" if amount < 0 else "CRDT",
            day=f"<BookgDt><Dt>{day}</Dt></BookgDt>",
            more=f"<AcctSvcrRef>R{number}</AcctSvcrRef>{details(f'<RmtInf><Ustrd>{escaped(text)}</Ustrd></RmtInf>')}",
        )
        for number, (day, text, amount) in enumerate(rows)
    )
    total = sum((amount for _, _, amount in rows), Decimal(0))
    closing = balance("CLBD", str(abs(total)), "DBIT" if total < 0 else "CRDT")
    found = batches(document(f"{balance('OPBD', '0.00')}{entries}{closing}"), size)
    drafts = [d for b in found for d in b.drafts]
    assert [(d.occurred_at, d.text, d.amount) for d in drafts] == rows
    assert [d.external_id for d in drafts] == [f"R{number}" for number in range(len(rows))]
    assert all(len(b.drafts) <= size for b in found)
    assert [s.gap for b in found for s in b.statements] == [Decimal(0)]
