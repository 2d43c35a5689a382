"""The layouts that real banks and services export, detected without configuration. All rows are made up."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pytest

from plugins.csv_file.read import CsvFile
from sortation import Context, Draft, ReadRequest
from tests.stubs.host import installed


@dataclass(frozen=True, kw_only=True)
class Bank:
    """A file and what it says: (day in March 2026, amount, currency, counterparty, part of the text, id)."""

    content: str
    rows: tuple[tuple[int, str, str, str, str, str | None], ...]
    currency: str = "EUR"
    pending: tuple[bool, ...] = ()


BANKS = {
    "n26": Bank(
        content='"Booking Date","Value Date","Partner Name","Partner Iban",Type,"Payment Reference","Account Name",'
        '"Amount (EUR)","Original Amount","Original Currency","Exchange Rate"\n'
        '2026-03-02,2026-03-02,"Corner Bakery",,Presentment,-,"Main Account",-4.20,4.20,EUR,1.0\n'
        '2026-03-03,2026-03-03,"Nordlicht GmbH",DE02120300000000202051,"Credit Transfer","Salary March","Main Account",'
        "3000.00,,,\n",
        rows=(
            (2, "-4.20", "EUR", "Corner Bakery", "", None),
            (3, "3000.00", "EUR", "Nordlicht GmbH", "Salary March", None),
        ),
    ),
    "n26, older": Bank(
        content='"Date","Payee","Account number","Transaction type","Payment reference","Amount (EUR)",'
        '"Amount (Foreign Currency)","Type Foreign Currency","Exchange Rate"\n'
        '"2026-03-02","Corner Bakery","","MasterCard Payment","","-4.20","-5.00","USD","1.19"\n'
        '"2026-03-03","Ada Muster","DE02120300000000202051","Income","Rent share","400.00","","",""\n',
        rows=(
            (2, "-4.20", "EUR", "Corner Bakery", "", None),
            (3, "400.00", "EUR", "Ada Muster", "Rent share", None),
        ),
    ),
    "revolut": Bank(
        content="Type,Product,Started Date,Completed Date,Description,Amount,Fee,Currency,State,Balance\n"
        "CARD_PAYMENT,Current,2026-03-02 08:01:02,2026-03-03 10:00:00,Corner Cafe,-3.50,0.00,GBP,COMPLETED,96.50\n"
        "TOPUP,Current,2026-03-04 08:01:02,2026-03-04 08:02:00,Top-up by *1234,50.00,0.00,GBP,COMPLETED,146.50\n"
        "CARD_PAYMENT,Current,2026-03-05 08:01:02,,Kiosk,-1.00,0.00,GBP,PENDING,\n",
        rows=(
            (2, "-3.50", "GBP", "", "Corner Cafe", None),
            (4, "50.00", "GBP", "", "Top-up by", None),
            (5, "-1.00", "GBP", "", "Kiosk", None),
        ),
        pending=(False, False, True),
    ),
    "wise": Bank(
        content='"TransferWise ID",Date,Amount,Currency,Description,"Payment Reference","Running Balance",'
        '"Exchange From","Exchange To","Exchange Rate","Payer Name","Payee Name","Payee Account Number",Merchant,'
        '"Card Last Four Digits","Card Holder Full Name",Attachment,Note,"Total fees"\n'
        "CARD-101,13-03-2026,-12.99,EUR,Card transaction of 12.99 EUR issued by Book Barn,,87.01,,,,,,,Book Barn,1234,"
        "Ada Muster,,,0\n"
        "TRANSFER-102,02-03-2026,100.00,EUR,Received money from Nordlicht GmbH,Invoice 7,100.00,,,,"
        "Nordlicht GmbH,,,,,,,,0"
        "\n",
        rows=(
            (13, "-12.99", "EUR", "Book Barn", "Card transaction", "CARD-101"),
            (2, "100.00", "EUR", "Nordlicht GmbH", "Received money", "TRANSFER-102"),
        ),
    ),
    "paypal": Bank(
        content='"Date","Time","TimeZone","Name","Type","Status","Currency","Gross","Fee","Net","From Email Address",'
        '"To Email Address","Transaction ID","Shipping Address","Address Status","Item Title","Item ID","Balance"\n'
        '"13/03/2026","10:00:00","CET","Book Barn","Express Checkout Payment","Completed","EUR","-12.99",'
        '"0.00","-12.99",'
        '"ada@example.org","shop@example.org","0AB12345CD678901E","","","A book","","-12.99"\n'
        '"14/03/2026","10:00:00","CET","Kunde Klein","Website Payment","Completed","EUR","100.00","-2.84","97.16",'
        '"klein@example.org","ada@example.org","1AB12345CD678901F","","","","","84.17"\n',
        rows=(
            (13, "-12.99", "EUR", "Book Barn", "", "0AB12345CD678901E"),
            (14, "97.16", "EUR", "Kunde Klein", "", "1AB12345CD678901F"),
        ),
    ),
    "paypal, german": Bank(
        content='"Datum","Uhrzeit","Zeitzone","Name","Typ","Status","Währung","Brutto","Entgelt","Netto",'
        '"Absender E-Mail-Adresse","Empfänger E-Mail-Adresse","Transaktionscode","Artikelbezeichnung","Guthaben"\n'
        '"13.03.2026","10:00:00","CET","Bücherscheune","Zahlung","Abgeschlossen","EUR","-1.012,99","0,00","-1.012,99",'
        '"ada@example.org","shop@example.org","0AB12345CD678901E","Ein Buch","-12,99"\n'
        '"14.03.2026","10:00:00","CET","Kunde Klein","Zahlung","Offen","EUR","100,00","-2,84","97,16",'
        '"klein@example.org","ada@example.org","1AB12345CD678901F","","84,17"\n',
        rows=(
            (13, "-1012.99", "EUR", "Bücherscheune", "", "0AB12345CD678901E"),
            (14, "97.16", "EUR", "Kunde Klein", "", "1AB12345CD678901F"),
        ),
        pending=(False, True),
    ),
    "dkb": Bank(
        content='"Girokonto";"DE02120300000000202051"\n"Zeitraum:";"01.03.2026 - 05.03.2026"\n'
        '"Kontostand vom 05.03.2026:";"1.234,56 €"\n""\n'
        '"Buchungsdatum";"Wertstellung";"Status";"Zahlungspflichtige*r";"Zahlungsempfänger*in";"Verwendungszweck";'
        '"Umsatztyp";"IBAN";"Betrag (€)";"Gläubiger-ID";"Mandatsreferenz";"Kundenreferenz"\n'
        '"05.03.26";"";"Vorgemerkt";"Ada Muster";"Kiosk";"Zeitung";"Ausgang";"DE02200505501015871393";"-2,'
        '50";"";"";""\n'
        '"04.03.26";"04.03.26";"Gebucht";"Nordlicht GmbH";"Ada Muster";"Gehalt März";"Eingang";'
        '"DE02200505501015871393";"3.000";"";"";""\n',
        rows=(
            (5, "-2.50", "EUR", "Kiosk", "Zeitung", None),
            (4, "3000", "EUR", "Nordlicht GmbH", "Gehalt März", None),
        ),
        pending=(True, False),
    ),
    "sparkasse": Bank(
        content='"Auftragskonto";"Buchungstag";"Valutadatum";"Buchungstext";"Verwendungszweck";"Glaeubiger ID";'
        '"Mandatsreferenz";"Kundenreferenz (End-to-End)";"Sammlerreferenz";"Lastschrift Ursprungsbetrag";'
        '"Auslagenersatz Ruecklastschrift";"Beguenstigter/Zahlungspflichtiger";"Kontonummer/IBAN";"BIC (SWIFT-Code)";'
        '"Betrag";"Waehrung";"Info"\n'
        '"DE02500105170137075030";"04.03.26";"04.03.26";"FOLGELASTSCHRIFT";"Abschlag Strom";"DE98ZZZ1";"M1";'
        '"E1";"";"";"";'
        '"Stadtwerke";"DE02100100100006820101";"TESTDEFF";"-45,90";"EUR";"Umsatz gebucht"\n'
        '"DE02500105170137075030";"03.03.26";"03.03.26";"GUTSCHR. UEBERWEISUNG";"Miete";"";"";"";"";"";"";"Kurt Klein";'
        '"DE02100100100006820101";"TESTDEFF";"700,00";"EUR";"Umsatz gebucht"\n',
        rows=(
            (4, "-45.90", "EUR", "Stadtwerke", "Abschlag Strom", None),
            (3, "700.00", "EUR", "Kurt Klein", "Miete", None),
        ),
    ),
    "ing de": Bank(
        content="Umsatzanzeige;Datei erstellt am: 05.03.2026 10:00\n;Letztes Update: aktuell\n\n"
        "IBAN;DE02 5001 0517 0137 0750 30\nKontoname;Girokonto\nBank;ING\nKunde;Ada Muster\n"
        "Zeitraum;01.03.2026 - 05.03.2026\nSaldo;654,10;EUR\n\nSortierung;Datum absteigend\n\n"
        "In der CSV-Datei finden Sie alle bereits gebuchten Umsätze.\n\n"
        "Buchung;Wertstellungsdatum;Auftraggeber/Empfänger;Buchungstext;Verwendungszweck;Saldo;Währung;Betrag;Währung\n"
        "04.03.2026;04.03.2026;Stadtwerke;Lastschrift;Abschlag Strom;654,10;EUR;-45,90;EUR\n"
        "03.03.2026;03.03.2026;Kurt Klein;Gutschrift;Miete;700,00;EUR;700,00;EUR\n",
        rows=(
            (4, "-45.90", "EUR", "Stadtwerke", "Abschlag Strom", None),
            (3, "700.00", "EUR", "Kurt Klein", "Miete", None),
        ),
    ),
    "commerzbank": Bank(
        content="Buchungstag;Wertstellung;Umsatzart;Buchungstext;Betrag;Währung;IBAN Kontoinhaber;Kategorie\n"
        "04.03.2026;04.03.2026;Lastschrift;Stadtwerke Abschlag Strom;-45,90;EUR;DE02500105170137075030;"
        "Unkategorisiert\n"
        "03.03.2026;03.03.2026;Gutschrift;Kurt Klein Miete;1.700,00;EUR;DE02500105170137075030;Mieteinnahmen\n",
        rows=(
            (4, "-45.90", "EUR", "", "Stadtwerke Abschlag Strom", None),
            (3, "1700.00", "EUR", "", "Kurt Klein Miete", None),
        ),
    ),
    "comdirect": Bank(
        content=';\n"Umsätze Girokonto";"Zeitraum: 30 Tage";\n"Neuer Kontostand";"1.234,56 EUR";\n\n'
        '"Buchungstag";"Wertstellung (Valuta)";"Vorgang";"Buchungstext";"Umsatz in EUR";\n'
        '"04.03.2026";"04.03.2026";"Lastschrift / Belastung";'
        '" Auftraggeber: Stadtwerke Buchungstext: Abschlag Ref. A1/2";'
        '"-45,90";\n'
        '"03.03.2026";"03.03.2026";"Übertrag / Überweisung";" Auftraggeber: Kurt Klein Buchungstext: Miete Ref. A1/1";'
        '"1.700,00";\n"Alter Kontostand";"-419,54 EUR";\n',
        rows=(
            (4, "-45.90", "EUR", "", "Stadtwerke Buchungstext: Abschlag", None),
            (3, "1700.00", "EUR", "", "Kurt Klein Buchungstext: Miete", None),
        ),
    ),
    "deutsche bank": Bank(
        content="Umsätze Girokonto;;;Kundennummer: 100 1234567\n01.03.2026 - 05.03.2026\nLetzter Kontostand;;;;1.000,"
        "00;EUR\n"
        "Buchungstag;Wert;Umsatzart;Begünstigter / Auftraggeber;Verwendungszweck;IBAN / Kontonummer;BIC;"
        "Kundenreferenz;Mandatsreferenz;Gläubiger ID;Fremde Gebühren;Betrag;Abweichender Empfänger;Anzahl der Aufträge;"
        "Anzahl der Schecks;Soll;Haben;Währung\n"
        "04.03.2026;04.03.2026;SEPA-Lastschrift;Stadtwerke;Abschlag Strom;DE02100100100006820101;TESTDEFF;E1;M1;DE98;;"
        "-45,90;;;;-45,90;;EUR\n"
        "03.03.2026;03.03.2026;SEPA-Gutschrift;Kurt Klein;Miete;DE02100100100006820101;TESTDEFF;;;;;700,00;;;"
        ";;700,00;EUR"
        "\n",
        rows=(
            (4, "-45.90", "EUR", "Stadtwerke", "Abschlag Strom", None),
            (3, "700.00", "EUR", "Kurt Klein", "Miete", None),
        ),
    ),
    "barclays": Bank(
        content="Number,Date,Account,Amount,Subcategory,Memo\n"
        "\t ,13/03/2026,20-00-00 13579246,-12.34,Card Purchase,CORNER SHOP ON 12 MAR\n"
        "\t ,02/03/2026,20-00-00 13579246,1500.00,Direct Deposit,NORDLICHT LTD SALARY\n",
        rows=(
            (13, "-12.34", "GBP", "", "CORNER SHOP", None),
            (2, "1500.00", "GBP", "", "NORDLICHT LTD", None),
        ),
        currency="GBP",
    ),
    "hsbc uk": Bank(
        content='13/03/2026,CORNER SHOP LEEDS,"-1,012.34"\n02/03/2026,NORDLICHT LTD SALARY,"1,500.00"\n',
        rows=(
            (13, "-1012.34", "GBP", "", "CORNER SHOP", None),
            (2, "1500.00", "GBP", "", "NORDLICHT LTD", None),
        ),
        currency="GBP",
    ),
    "lloyds": Bank(
        content="Transaction Date,Transaction Type,Sort Code,Account Number,Transaction Description,Debit Amount,"
        "Credit Amount,Balance\n"
        "13/03/2026,DEB,'30-00-00,12345678,CORNER SHOP,12.34,,1487.66\n"
        "02/03/2026,FPI,'30-00-00,12345678,NORDLICHT LTD,,1500.00,1500.00\n",
        rows=(
            (13, "-12.34", "GBP", "", "CORNER SHOP", None),
            (2, "1500.00", "GBP", "", "NORDLICHT LTD", None),
        ),
        currency="GBP",
    ),
    "monzo": Bank(
        content="Transaction ID,Date,Time,Type,Name,Emoji,Category,Amount,Currency,Local amount,Local currency,"
        "Notes and #tags,Address,Receipt,Description,Category split,Money Out,Money In\n"
        "tx_0001,13/03/2026,08:01:02,Card payment,Corner Shop,,Groceries,-12.34,GBP,-12.34,GBP,,1 High St,,"
        "CORNER SHOP LEEDS,,-12.34,\n"
        "tx_0002,14/03/2026,08:01:02,Faster payment,Nordlicht Ltd,,Income,1500.00,GBP,1500.00,GBP,,,,SALARY,,"
        ",1500.00\n",
        rows=(
            (13, "-12.34", "GBP", "Corner Shop", "CORNER SHOP LEEDS", "tx_0001"),
            (14, "1500.00", "GBP", "Nordlicht Ltd", "SALARY", "tx_0002"),
        ),
        currency="GBP",
    ),
    "starling": Bank(
        content="Date,Counter Party,Reference,Type,Amount (GBP),Balance (GBP),Spending Category,Notes\n"
        "13/03/2026,Corner Shop,CORNER SHOP LEEDS,CONTACTLESS,-12.34,87.66,GROCERIES,\n"
        "14/03/2026,Nordlicht Ltd,SALARY MARCH,FASTER PAYMENT,1500.00,1587.66,INCOME,\n",
        rows=(
            (13, "-12.34", "GBP", "Corner Shop", "CORNER SHOP LEEDS", None),
            (14, "1500.00", "GBP", "Nordlicht Ltd", "SALARY MARCH", None),
        ),
        currency="USD",
    ),
    "chase": Bank(
        content="Details,Posting Date,Description,Amount,Type,Balance,Check or Slip #\n"
        "DEBIT,03/13/2026,CORNER SHOP 0312,-12.34,DEBIT_CARD,1487.66,,\n"
        "CREDIT,03/02/2026,NORDLICHT INC PAYROLL,1500.00,ACH_CREDIT,1500.00,,\n",
        rows=(
            (13, "-12.34", "USD", "", "CORNER SHOP", None),
            (2, "1500.00", "USD", "", "NORDLICHT INC", None),
        ),
        currency="USD",
    ),
    "chase card": Bank(
        content="Transaction Date,Post Date,Description,Category,Type,Amount,Memo\n"
        "03/13/2026,03/14/2026,CORNER SHOP,Groceries,Sale,-12.34,\n"
        "03/12/2026,03/12/2026,Payment Thank You,,Payment,100.00,\n",
        rows=(
            (13, "-12.34", "USD", "", "CORNER SHOP", None),
            (12, "100.00", "USD", "", "Payment Thank You", None),
        ),
        currency="USD",
    ),
    "bank of america": Bank(
        content='Description,,Summary Amt.\nBeginning balance as of 03/01/2026,,"1,000.00"\nTotal credits,,"1,500.00"\n'
        'Total debits,,"-12.34"\nEnding balance as of 03/31/2026,,"2,487.66"\n\n'
        "Date,Description,Amount,Running Bal.\n"
        '03/01/2026,Beginning balance as of 03/01/2026,,"1,000.00"\n'
        '03/02/2026,"NORDLICHT INC DES:PAYROLL ID:1","1,500.00","2,500.00"\n'
        '03/13/2026,"CORNER SHOP 03/12 PURCHASE","-12.34","2,487.66"\n',
        rows=(
            (2, "1500.00", "USD", "", "NORDLICHT INC", None),
            (13, "-12.34", "USD", "", "CORNER SHOP", None),
        ),
        currency="USD",
    ),
    "capital one": Bank(
        content="Transaction Date,Posted Date,Card No.,Description,Category,Debit,Credit\n"
        "2026-03-13,2026-03-14,1234,CORNER SHOP,Merchandise,12.34,\n"
        "2026-03-12,2026-03-12,1234,PAYMENT,Payment/Credit,,100.00\n",
        rows=(
            (13, "-12.34", "USD", "", "CORNER SHOP", None),
            (12, "100.00", "USD", "", "PAYMENT", None),
        ),
        currency="USD",
    ),
    "rabobank": Bank(
        content='"IBAN/BBAN","Munt","BIC","Volgnr","Datum","Rentedatum","Bedrag","Saldo na trn",'
        '"Tegenrekening IBAN/BBAN","Naam tegenpartij","Naam uiteindelijke partij","Naam initiërende partij",'
        '"BIC tegenpartij","Code","Batch ID","Transactiereferentie","Machtigingskenmerk","Incassant ID",'
        '"Betalingskenmerk","Omschrijving-1","Omschrijving-2","Omschrijving-3","Reden retour","Oorspr bedrag",'
        '"Oorspr munt","Koers"\n'
        '"NL02RABO0123456789","EUR","RABONL2U","000000000000004321","2026-03-13","2026-03-13","-45,90","+1454,10",'
        '"NL02ABNA0123456789","Energie NV","","","ABNANL2A","ei","","T-1","M-1","","","Termijn maart"," ","",'
        '"","","",""\n'
        '"NL02RABO0123456789","EUR","RABONL2U","000000000000004322","2026-03-14","2026-03-14","+700,00","+2154,10",'
        '"NL02ABNA0123456789","K. Klein","","","ABNANL2A","cb","","","","","","Huur","","","","","",""\n',
        rows=(
            (13, "-45.90", "EUR", "Energie NV", "Termijn maart", "000000000000004321"),
            (14, "700.00", "EUR", "K. Klein", "Huur", "000000000000004322"),
        ),
    ),
    "ing nl": Bank(
        content='"Datum";"Naam / Omschrijving";"Rekening";"Tegenrekening";"Code";"Af Bij";"Bedrag (EUR)";'
        '"Mutatiesoort";'
        '"Mededelingen";"Saldo na mutatie";"Tag"\n'
        '"20260313";"Energie NV";"NL02INGB0123456789";"NL02ABNA0123456789";"IC";"Af";"45,90";"Incasso";'
        '"Termijn maart";"1454,10";""\n'
        '"20260302";"K. Klein";"NL02INGB0123456789";"NL02ABNA0123456789";"GT";"Bij";"700,00";"Overschrijving";"Huur";'
        '"1500,00";""\n',
        rows=(
            (13, "-45.90", "EUR", "", "Energie NV", None),
            (2, "700.00", "EUR", "", "K. Klein", None),
        ),
    ),
    "bnp paribas": Bank(
        content="Compte de chèques;Compte de chèques;****1234;05/03/2026;;1 454,10\n"
        "Date operation;Libelle court;Type operation;Libelle operation;Montant operation en euro\n"
        "13/03/2026;PRELEVEMENT;PRLV SEPA;PRLV SEPA ENERGIE SA;-45,90\n"
        "02/03/2026;VIREMENT;VIR RECU;VIR SEPA RECU KLEIN;1 700,00\n",
        rows=(
            (13, "-45.90", "EUR", "", "PRLV SEPA ENERGIE SA", None),
            (2, "1700.00", "EUR", "", "VIR SEPA RECU KLEIN", None),
        ),
    ),
}


def read(bank: Bank) -> list[Draft]:
    request = ReadRequest(file=io.BytesIO(bank.content.encode()), filename="export.csv")
    return [d for b in CsvFile().read(Context(default_currency=bank.currency), request) for d in b.drafts]


@pytest.mark.parametrize("name", BANKS)
def test_the_layout_of_a_bank_is_read_right(name: str) -> None:
    bank = BANKS[name]
    drafts = read(bank)
    told = [(d.occurred_at, d.amount, d.currency, d.counterparty, d.external_id) for d in drafts]
    assert told == [
        (date(2026, 3, day), Decimal(amount), currency, party, id) for day, amount, currency, party, _, id in bank.rows
    ]
    for draft, (_, _, _, _, text, _) in zip(drafts, bank.rows, strict=True):
        assert text in draft.text
    assert tuple(d.pending for d in drafts) == (bank.pending or (False,) * len(drafts))


def test_every_layout_is_taken_for_csv() -> None:
    host = installed()
    assert {host.detect(bank.content.encode(), "export.txt") for bank in BANKS.values()} == {"csv"}
