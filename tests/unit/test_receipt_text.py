"""What receipts say, found in their texts; and the texts, in PDFs and e-mails."""

from __future__ import annotations

import io
import time
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.files.sniffing import ContentSniffer
from core.domain.mail_texts import is_mail
from core.domain.receipt_text import what_it_says
from core.domain.receipts import EXTENSIONS, MAIL, PDF, Said, check_said
from core.errors import UnreadableFile
from plugins.receipt_text import MAX_ATTACHED, MAX_TEXT, attached_to, text_of
from tests.receipt_files import LINES, PNG, a_mail, a_pdf, pdf_of

MAIL_HEAD = b"From: a\nTo: b\nDate: c\n"
TEXTS = {
    "a till's": (
        "Kassenbon\nREWE Markt\nBananen 1,99\nSUMME EUR 23,45\nGeg. BAR 50,00\nRückgeld 26,55\n05.03.26 18:22",
        Said(amount=Decimal("23.45"), currency="EUR", day=date(2026, 3, 5), merchant="REWE Markt"),
    ),
    "an invoice": (
        "Muster GmbH\nRechnung Nr. 2026-0001\nRechnungsdatum: 12.03.2026\nFällig bis 26.03.2026\n"
        "Zwischensumme 1.000,00 €\nMwSt 19% 190,00 €\nGesamtbetrag: 1.190,00 €",
        Said(amount=Decimal("1190.00"), currency="EUR", day=date(2026, 3, 12), merchant="Muster GmbH"),
    ),
    "columns": (
        "Invoice\nHarbour Hosting\nInvoice date March 5, 2026\nAmount due\n$1,234.56\nDue March 19, 2026",
        Said(amount=Decimal("1234.56"), currency="USD", day=date(2026, 3, 5), merchant="Harbour Hosting"),
    ),
    "French": (
        "SARL Dupont\nFacture du 05/03/2026\nTotal HT 100,00\nTVA 20,00\nTotal TTC 120,00 EUR\n",
        Said(amount=Decimal("120.00"), currency="EUR", day=date(2026, 3, 5), merchant="SARL Dupont"),
    ),
    "with a tip": (
        "Bistro Quay\n03/15/2026\nSubtotal $20.00\nTax $1.60\nTotal $21.60\nTip $____\n",
        Said(amount=Decimal("21.60"), currency="USD", day=date(2026, 3, 15), merchant="Bistro Quay"),
    ),
    "tax included": (
        "Shop\n2026-01-02\nTotal incl. VAT: 12.00 GBP\nVAT 2.00 GBP",
        Said(amount=Decimal("12.00"), currency="GBP", day=date(2026, 1, 2), merchant="Shop"),
    ),
    "spaces": ("Butik\nTotalt\nTotal 1 234,50 kr", Said(amount=Decimal("1234.50"), merchant="Butik")),
    "no word for it": ("Parking\n2 h\n3.00 €\n2026-02-01", Said(amount=Decimal("3.00"), currency="EUR",
                                                                day=date(2026, 2, 1), merchant="Parking")),
    "thousands": ("Muster GmbH\nGesamtbetrag: 1.234 EUR", Said(amount=Decimal(1234), currency="EUR",
                                                                merchant="Muster GmbH")),
    "thousands in English": ("Ltd One\nTotal: £1,234", Said(amount=Decimal(1234), currency="GBP",
                                                            merchant="Ltd One")),
    "amounts of two readings": ("Muster GmbH\nNetto 1,234 EUR\nGesamtbetrag: 1.469 EUR",
                                Said(currency="EUR", merchant="Muster GmbH")),
    "control characters": ("\x00\x01\nCorner\x00 \x01Coffee\x7f\nTotal:\x0012.99 EUR",
                           Said(amount=Decimal("12.99"), currency="EUR", merchant="Corner Coffee")),
    "nothing": ("\n \n", Said()),
    "numbers alone": ("4711\n0800 123456\n50 %", Said()),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_a_receipt_says(case: str) -> None:
    text, said = TEXTS[case]
    assert what_it_says(text, "EUR") == said


def test_days_that_contradict_each_other_are_left_out() -> None:
    assert what_it_says("Date 13/02/2026\nOther 02/13/2026", "EUR").day is None


@given(
    st.decimals("0.01", "999999.99", places=2),
    st.sampled_from(["Total: {}", "Gesamtbetrag {}", "AMOUNT DUE {}", "Total TTC : {}", "Summe\n{}"]),
    st.sampled_from(["{:.2f} EUR", "€{:.2f}", "EUR {:,.2f}", "EUR{:.2f}", "{:,.2f}EUR", "{:,.2f} €"]),
    st.booleans(),
)
def test_any_amount_is_found_as_it_is_written(amount: Decimal, line: str, written: str, comma: bool) -> None:
    shown = written.format(amount)
    if comma:
        shown = shown.translate(str.maketrans(".,", ",."))
    said = what_it_says(f"Corner Coffee\n{line.format(shown)}\n", "EUR")
    assert (said.amount, said.currency) == (amount, "EUR")


@given(
    st.dates(date(1990, 1, 1), date(2100, 12, 31)),
    st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%d %B %Y", "%B %d, %Y"]),
)
def test_any_day_is_found_as_it_is_written(day: date, form: str) -> None:
    assert what_it_says(f"Corner Coffee\nDate: {day.strftime(form)}\nTotal 1.00", "EUR").day == day


@given(st.text(st.characters() | st.sampled_from("\x00\x01\x7f\ud800"), max_size=2_000))
@example("Corner\x00Coffee")
@example("a shop\x01")
def test_no_text_is_too_odd(text: str) -> None:
    said = what_it_says(text, "EUR")
    assert check_said(said) == said, "as what a person says"


@pytest.mark.parametrize(
    "line", ["1" * 500, "1." * 250, "1,234." * 80, "1 " * 250, "12.12.12" * 60, "-" * 500, "€" * 500, "total " * 80]
)
def test_no_text_takes_long(line: str) -> None:
    start = time.process_time()
    what_it_says("\n".join([line] * (MAX_TEXT // len(line))), "EUR")
    assert time.process_time() - start < 5


def test_the_text_of_a_pdf_is_its_lines() -> None:
    assert text_of(io.BytesIO(a_pdf()), PDF).splitlines() == list(LINES)


@pytest.mark.parametrize("content", [b"%PDF-1.4\n", a_pdf()[:300], pdf_of(b"BT (x")[:-200]])
def test_a_broken_pdf_is_unreadable(content: bytes) -> None:
    with pytest.raises(UnreadableFile, match="the PDF can't be read"):
        text_of(io.BytesIO(content), PDF)


def test_the_text_of_an_e_mail_is_its_body() -> None:
    assert text_of(io.BytesIO(a_mail("Total: 5 EUR")), MAIL) == "Total: 5 EUR\n"
    html = (
        a_mail("x")
        .replace(b"text/plain", b"text/html")
        .replace(
            b"\n\nx\n",
            b"\n\n<style>p {}</style><script>Total 1.00</script><table><tr><td>Total<td>5.00 EUR</table>\n",
        )
    )
    assert text_of(io.BytesIO(html), MAIL).split() == ["Total", "5.00", "EUR"]
    assert len(text_of(io.BytesIO(a_mail("x " * MAX_TEXT)), MAIL)) == MAX_TEXT


def test_pictures_of_the_layout_are_no_attachments() -> None:
    mail = a_mail("x", ("logo.png", "image/png", PNG), ("scan.png", "image/png", PNG))
    mail = mail.replace(b'attachment; filename="logo.png"', b'inline; filename="logo.png"\nContent-ID: <logo>')
    assert [one.filename for one in attached_to(io.BytesIO(mail))] == ["scan.png"]


def test_a_pdf_in_the_text_is_attached() -> None:
    mail = a_mail("x", ("bill.pdf", "application/pdf", a_pdf()))
    mail = mail.replace(b'attachment; filename="bill.pdf"', b'inline; filename="bill.pdf"\nContent-ID: <bill>')
    assert [one.filename for one in attached_to(io.BytesIO(mail))] == ["bill.pdf"]


@pytest.mark.parametrize(
    ("was", "broken", "names"),
    [
        (
            b'Content-Disposition: attachment; filename="1.png"',
            b"Content-Disposition: attachment; filename*",
            ["", "2.png"],
        ),
        (b"Content-Type: image/png", b"Content-Type: image/png; name*", ["1.png", "2.png"]),
        (b'filename="1.png"', b"filename*=x-nothing''%ff.png", ["\ufffd.png", "2.png"]),
    ],
)
def test_a_part_that_is_broken_leaves_the_others(was: bytes, broken: bytes, names: list[str]) -> None:
    mail = a_mail("Total: 5 EUR", ("1.png", "image/png", PNG), ("2.png", "image/png", PNG))
    mail = mail.replace(was, broken, 1)
    assert [(one.filename, one.content) for one in attached_to(io.BytesIO(mail))] == [(name, PNG) for name in names]
    assert text_of(io.BytesIO(mail), MAIL) == "Total: 5 EUR\n"


def test_what_is_attached_to_what_is_forwarded_is_attached_too() -> None:
    inner = a_mail("x", ("inner.pdf", "application/pdf", a_pdf()))
    outer = b"From: a\nTo: b\nSubject: Fwd\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n" + inner
    assert [one.filename for one in attached_to(io.BytesIO(outer))] == ["inner.pdf"]


def test_no_more_is_attached_than_anybody_needs() -> None:
    mail = a_mail("x", *((f"{n}.png", "image/png", PNG) for n in range(MAX_ATTACHED + 5)))
    assert len(list(attached_to(io.BytesIO(mail)))) == MAX_ATTACHED


@given(st.binary(max_size=400))
def test_no_bytes_break_what_looks_at_them(head: bytes) -> None:
    assert ContentSniffer().kind_of(head) in {None, *EXTENSIONS}
    assert is_mail(MAIL_HEAD + b"\n" + head), "whatever comes after the fields"
    for prefix in (b"%PDF-1.4\n", MAIL_HEAD + b"Content-Type: multipart/mixed; boundary=a\n\n--a\n"):
        for kind in (PDF, MAIL):
            try:
                found = text_of(io.BytesIO(prefix + head), kind)
            except UnreadableFile as error:
                found = str(error)
            assert len(found) <= MAX_TEXT
        assert all(one.content for one in attached_to(io.BytesIO(prefix + head)))
