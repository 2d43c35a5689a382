"""What banks call their columns, in English, German, French, Spanish, Italian and Dutch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_ROLES: dict[str, str] = {
    "date": """
        transaction date | date of transaction | purchase date | trade date | started date | operation date | date |
        datum | day | fecha | fecha operacion | fecha de operacion | fecha de la operacion | data | data operazione
        | data movimento | date operation | date de operation | date d operation | date de l operation |
        transactiedatum | transactiedatum tijd | umsatztag | kaufdatum | transaktionsdatum | belegdatum | datum van
        transactie | booking date | booked date | buchungstag | buchungsdatum | buchung | bookdate | boekdatum |
        boekingsdatum | posting date | posted date | post date | date posted | posted | entry date | date comptable
        | date de comptabilisation | date comptabilisation | fecha contable | data contabile | data registrazione |
        data di registrazione | completed date | date completed | date completed utc | date utc | date time |
        datetime | timestamp | time | created | created at | created on | occurred at | occurred on | date and time
        | invoice date | rechnungsdatum | datum uhrzeit""",
    "value_date": """
        value date | valuta | valutadatum | wertstellung | wertstellungstag | wertstellungsdatum | wert | date
        valeur | date de valeur | valeur | fecha valor | fecha de valor | data valuta | rentedatum | valutaire datum
        | settlement date | interest date""",
    "text": """
        description | transaction description | details | transaction details | narrative | narration | memo | note
        | notes | text | particulars | purpose | remittance information | payment reference | payment details |
        original description | extended details | message | statement text | subject | title | transaction | comment
        | information | summary | merchant description | verwendungszweck | buchungstext | vorgang verwendungszweck
        | beschreibung | bezeichnung | umsatztext | buchungsdetails | zahlungsgrund | mitteilung |
        buchungsinformation | zahlungsreferenz | betreff | libelle | libelle operation | libelle de l operation |
        libelle simplifie | communication | communications | motif | intitule | intitule de l operation | nature de
        l operation | detail de l ecriture | concepto | descripcion | observaciones | movimiento | detalle | mas
        datos | causale | descrizione | descrizione operazione | operazione | descrizione estesa | omschrijving |
        omschrijving 1 | omschrijving 2 | omschrijving 3 | mededeling | mededelingen | naam omschrijving | vrije
        mededeling | betalingskenmerk omschrijving""",
    "counterparty": """
        counterparty | counterparty name | counter party | payee | payee name | merchant | merchant name | vendor |
        supplier | customer | name | partner | partner name | beneficiary payer | beneficiary originator | other
        party | name of other party | target name | store | shop | company | auftraggeber empfanger | beguenstigter
        zahlungspflichtiger | begunstigter zahlungspflichtiger | begunstigter auftraggeber | auftraggeber
        begunstigter | auftraggeber zahlungsempfanger | empfanger auftraggeber | name zahlungsbeteiligter |
        zahlungsbeteiligter | gegenpartei | handler | handlername | umsatz bei | zahlungspartner | gegenkonto name |
        contrepartie | commercant | nom de la contrepartie | nom contrepartie | tiers | nom | comercio | contraparte
        | nombre | contraparte nome | esercente | controparte | nome | tegenpartij | naam tegenpartij | naam | naam
        tegenrekening | tegenpartij naam | naam van de tegenpartij | winkel""",
    "payee": """
        beneficiary | beneficiary name | recipient | recipient name | to | empfanger | zahlungsempfanger |
        zahlungsempfanger in | begunstigter | destinataire | beneficiaire | beneficiario | destinatario | ordinato a
        | begunstigde | ontvanger""",
    "payer": """
        payer | payer name | sender | sender name | originator | from | ordering party | auftraggeber |
        zahlungspflichtiger | zahlungspflichtige r | absender | donneur d ordre | emetteur | ordenante | ordinante |
        mittente | opdrachtgever""",
    "amount": """
        amount | transaction amount | amount in account currency | billing amount | local amount | betrag | umsatz |
        buchungsbetrag | betrag in kontowahrung | montant | montant de l operation | importe | monto | importo |
        importo operazione | bedrag | transactiebedrag | payment amount""",
    "maybe_amount": "value | net amount | gross amount | sum | total amount | wert in eur | summe | cantidad | total",
    "debit": """
        debit | debit amount | debits | debited amount | withdrawal | withdrawals | withdrawal amount | withdrawal
        amt | paid out | money out | out | outgoing | charge | charges | expense | spent | payments | soll |
        belastung | belastungsbetrag | lastschrift | ausgang | ausgabe | ausgaben | debet | debit eur | montant
        debit | depense | cargo | cargos | debe | adeudo | gasto | dare | addebiti | addebito | uscite | uscita | af
        bedrag | uitgaven""",
    "credit": """
        credit | credit amount | credits | credited amount | deposit | deposits | deposit amount | deposit amt |
        paid in | money in | in | incoming | income | received | haben | gutschrift | gutschriftsbetrag | eingang |
        einnahme | einnahmen | credit eur | montant credit | recette | abono | abonos | haber | ingreso | ingresos |
        avere | accrediti | accredito | entrate | entrata | bij bedrag | inkomsten""",
    "indicator": """
        debit credit | credit debit | dr cr | cr dr | d c | c d | debit credit indicator | credit debit indicator |
        dc | cdt dbt ind | soll haben | soll haben kennzeichen | s h | sh | af bij | bij af | debet credit | dare
        avere | sens | debit ou credit | cargo abono | debe haber | direction | in out | sign | type | transaction
        type | vorzeichen | +/- | richtung | mutatiesoort""",
    "currency": """
        currency | currency code | transaction currency | account currency | ccy | curr | iso currency | wahrung |
        waehrung | buchungswahrung | devise | monnaie | moneda | divisa | valuta | valuta importo | munt | muntsoort""",
    "account": """
        account | own account | account name | account number | account no | account id | account iban | your
        account | from account | auftragskonto | iban auftragskonto | bezeichnung auftragskonto | eigenes konto |
        kontobezeichnung | kontoname | referenzkonto | compte | numero de compte | numero compte | nom du compte |
        cuenta | numero de cuenta | conto | numero conto | rekening | rekeningnummer | iban bban | eigen rekening |
        rekeningnaam""",
    "maybe_account": "iban | konto | kontonummer | card | card number | kartennummer | karte | carte | tarjeta | carta",
    "external_id": """
        transaction id | id | transaction number | transaction no | transaction reference number | unique id | uuid
        | fitid | fit id | transferwise id | external id | bank transaction id | entry id | booking id | record id |
        payment id | transaktionsnummer | transaktionscode | transaktions id | transaktionscode id | umsatz id |
        buchungs id | buchungsnummer | identifiant | identifiant de transaction | id transaction | numero de
        transaction | id transaccion | id de transaccion | numero de movimiento | id transazione | id movimento |
        numero operazione | transactie id | transactienummer | volgnr | transactiereferentie""",
    "category": "category | kategorie | categorie | categoria | category key | category name",
    "pending": """
        status | state | transaction status | pending | buchungsstatus | umsatzstatus | zustand | statut | etat |
        estado | stato | toestand""",
    "balance": """
        balance | running balance | running bal | account balance | balance after | balance after transaction |
        closing balance |
        available balance | saldo | kontostand | saldo nach buchung | solde | saldo disponible | saldo contabile |
        saldo na mutatie | saldo na trn | guthaben""",
}
_PROFILES: tuple[tuple[frozenset[str], dict[str, str]], ...] = (
    (frozenset({"gross", "fee", "net", "transaction id"}), {"amount": "net"}),  # PayPal
    (frozenset({"brutto", "netto", "transaktionscode"}), {"amount": "netto"}),
    (frozenset({"counter party", "reference", "spending category"}), {"text": "reference"}),  # Starling
)
"""Layouts in which a name means what it means nowhere else: the names by which one is known, and role → name."""
_SPLIT = re.compile(r"[^a-z0-9+]+")
_IN_BRACKETS = re.compile(
    r"[(\[]\s*([A-Za-z]{3}|[€£$¥])\s*[)\]]|\b(?:in |en )?(EUR|USD|GBP|CHF|CAD|AUD|SEK|NOK|DKK|PLN)\b"
)
_KEY = re.compile(r"[\W_]+")
_UMLAUTS = (("ae", "a"), ("oe", "o"), ("ue", "u"))


def phrase(header: str) -> str:
    """The form in which headers are compared: `Wertstellung (Valuta)` gives `wertstellung valuta`."""
    plain = unicodedata.normalize("NFKD", header.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c)).replace("ß", "ss")
    plain = " ".join(_SPLIT.split(plain)).strip() or header.strip()
    for long, short in _UMLAUTS:
        plain = plain.replace(long, short)
    return plain


_KNOWN: dict[str, dict[str, int]] = {}
for _role, _names in _ROLES.items():
    for _rank, _name in enumerate(_names.split("|")):
        _KNOWN.setdefault(phrase(_name), {}).setdefault(_role, _rank)


def roles_of(header: str) -> dict[str, int]:
    """The roles that a column of this name may play, each with its rank among the role's names (0 is the surest)."""
    found = _KNOWN.get(phrase(header))
    if found is None and _IN_BRACKETS.search(header):
        found = _KNOWN.get(phrase(_IN_BRACKETS.sub(" ", header)))
    return found or {}


def profile_of(header: Sequence[str]) -> dict[str, str]:
    """Role → column of a layout that is known as a whole."""
    columns = {phrase(name): name for name in reversed(header)}
    for names, roles in _PROFILES:
        if names <= columns.keys():
            return {role: columns[name] for role, name in roles.items()}
    return {}


def currency_in(header: str) -> str | None:
    """The currency code or symbol that a header names: `EUR` of `Amount (EUR)`."""
    match = _IN_BRACKETS.search(header)
    return (match[1] or match[2]) if match else None


def attribute_keys(headers: list[str]) -> list[str]:
    """A distinct snake_case key for each header."""
    keys: list[str] = []
    for number, header in enumerate(headers, start=1):
        plain = unicodedata.normalize("NFKD", header.casefold())
        plain = "".join(c for c in plain if not unicodedata.combining(c))
        keys.append(_KEY.sub("_", plain).strip("_") or f"column_{number}")
    return distinct(keys, "_")


def distinct(names: list[str], joint: str) -> list[str]:
    """The names in their order, the second of the same one marked by its number."""
    seen: set[str] = set()
    found = []
    for name in names:
        number, candidate = 2, name
        while candidate in seen:
            candidate, number = f"{name}{joint}{number}", number + 1
        seen.add(candidate)
        found.append(candidate)
    return found
