"""The default categories and the starter pack: whole, served by the engine, and right about real statement lines."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import pytest

from adapters.matching.clues import choices_of
from adapters.matching.regex import re2_search
from core.domain.categories import check_key
from core.domain.conditions import condition_to_json
from core.domain.defaults import StarterRule, default_categories, starter_rules
from core.domain.records import Record
from core.domain.rule_evaluation import CompiledRules, check_rule, compile_rules, evaluate
from core.domain.rules import Action, Rule, check_name
from tests.unit.building import a_record, a_rule, rule_types

EXAMPLES = Path(__file__).parents[2] / "examples"
KEYS = [seed.key for seed in default_categories()]


def as_rule(number: int, starter: StarterRule) -> Rule:
    then = Action(category_id=UUID(int=KEYS.index(starter.category_key)))
    when = condition_to_json(starter.when)
    return a_rule(when, number, name=starter.name, priority=starter.priority, then=then)


@pytest.fixture(scope="module")
def pack() -> CompiledRules:
    rules = [as_rule(number, starter) for number, starter in enumerate(starter_rules(), 1)]
    return compile_rules(rules, re2_search, rule_types())


def categories(pack: CompiledRules, records: Iterable[Record]) -> list[str | None]:
    found = [outcome.winner for outcome in evaluate(pack, list(records))]
    return [KEYS[winner.rule.then.category_id.int] if winner else None for winner in found]  # type: ignore[union-attr]


def test_the_tree_is_whole() -> None:
    assert len(KEYS) == len(set(KEYS))
    groups = [seed for seed in default_categories() if seed.parent is None]
    assert 12 <= len(groups) <= 15
    seen: set[str] = set()
    for seed in default_categories():
        check_key(seed.key)
        assert seed.name
        assert 20 <= len(seed.description) <= 160, f"{seed.key} needs a description that helps to choose it"
        assert seed.parent is None or seed.parent in seen
        assert seed.parent is None or seed.key.startswith(f"{seed.parent}.")
        seen.add(seed.key)


def test_names_of_leaves_are_unique_so_that_people_can_write_them() -> None:
    names = [seed.name.casefold() for seed in default_categories() if seed.parent]
    assert len(names) == len(set(names))


def test_every_starter_rule_can_be_served_and_names_a_leaf() -> None:
    assert len(starter_rules()) >= 170
    assert len({starter.name for starter in starter_rules()}) == len(starter_rules())
    parents = {seed.parent for seed in default_categories()}
    for number, starter in enumerate(starter_rules()):
        assert check_name(starter.name) == starter.name
        assert starter.category_key in KEYS
        assert starter.category_key not in parents
        assert starter.priority in (10, 20, 30, 45, 50, 70, 90)
        check_rule(as_rule(number, starter), re2_search, rule_types())


def test_every_category_that_is_no_group_has_a_rule() -> None:
    parents = {seed.parent for seed in default_categories()}
    assert {key for key in KEYS if key not in parents} == {starter.category_key for starter in starter_rules()}


HITS = """
food.groceries -23.50 TESCO STORES 3045 LONDON GBR
food.groceries -12.00 SAINSBURYS S/MKTS CAMDEN
food.groceries -44.00 REWE Markt GmbH Zweigniederlassung//Koeln/DE
food.groceries -18.00 CB CARREFOUR CITY PARIS 11 FACT 120126
food.groceries -52.00 COMPRA MERCADONA VALENCIA TARJ. :*1234
food.groceries -61.00 PAGAMENTO POS ESSELUNGA MILANO
food.groceries -20.00 BEA, Betaalpas ALBERT HEIJN 1423 AMSTERDAM
food.groceries -300.00 ICA SUPERMARKET SODERMALM
food.groceries -15.00 ŻABKA Z1234 KRAKÓW
food.groceries -35.00 INTERMARCHÉ LYON
food.groceries -80.00 WHOLEFDS MKT 10234 AUSTIN TX
food.restaurants -9.00 MCDONALD'S 0042 MUENCHEN
food.restaurants -9.00 McDonald’s Restaurant
food.restaurants -44.00 SumUp *Trattoria Bella Vista
food.cafes -7.00 ZETTLE_*CAFÉ CENTRAL WIEN
food.cafes -5.00 STARBUCKS STORE 12345
food.bars -250.00 SYSTEMBOLAGET STOCKHOLM
food.delivery -25.00 UBER *EATS HELP.UBER.COM
food.delivery -24.00 PAYPAL *LIEFERANDO
transport.taxi -12.00 UBER *TRIP HELP.UBER.COM
transport.taxi -9.00 BOLT.EU/O/2401121200 TALLINN
transport.public -7.40 TFL TRAVEL CH TFL.GOV.UK/CP
transport.public -49.00 DB Vertrieb GmbH Fahrkarte
transport.public -75.00 SNCF CONNECT PARIS
transport.public -30.00 ÖBB Personenverkehr AG
transport.public -2.90 MTA*NYCT PAYGO NEW YORK NY
transport.fuel -60.00 SHELL 1234 HAMBURG
transport.fuel -48.00 TESCO PFS 3456
transport.fuel -45.00 REPSOL E.S. LAS ROZAS
transport.parking -3.00 RINGGO PARKING 12345
transport.tolls -14.00 VINCI AUTOROUTES PEAGE A7
transport.car -120.00 ATU AUTO-TEILE-UNGER 88
travel.flights -89.00 RYANAIR FR0123456 DUBLIN
travel.flights -410.00 DELTA AIR LINES ATLANTA
travel.lodging -240.00 AIRBNB * HMABCDEF12
travel.car-rental -130.00 ENTERPRISE RENT-A-CAR BOSTON
travel.agencies -900.00 TUI Deutschland GmbH
utilities.energy -95.00 BRITISH GAS ENERGY DIRECT DEBIT
utilities.energy -80.00 Stadtwerke Muenchen Abschlag Strom
utilities.energy -70.00 PRLV SEPA EDF clients particuliers
utilities.energy -600.00 Ørsted A/S
utilities.water -35.00 THAMES WATER DD
utilities.internet -55.08 Rundfunk ARD, ZDF, DRadio
utilities.internet -80.00 COMCAST CABLE COMM
utilities.mobile -25.00 EE LIMITED
utilities.mobile -90.00 VZWRLSS*APOCC VISB
shopping.general -39.00 AMZN Mktp DE*2K3AB1CD4
shopping.clothing -40.00 H&M 0123 STOCKHOLM
shopping.electronics -250.00 MEDIAMARKT 412
shopping.books -22.00 Thalia.de Buchhandlung
shopping.sports -35.00 DECATHLON 1188
housing.furnishing -150.00 IKEA DEUTSCHLAND KAARST
housing.maintenance -35.00 B&Q 1234 WATFORD
housing.rent -950.00 Miete Januar Whg 3
housing.rent -1200.00 STANDING ORDER FLAT RENT
housing.mortgage -650.00 Recibo hipoteca 0049
leisure.streaming -11.00 PAYPAL *SPOTIFY P1A2B3
leisure.streaming -8.00 AUDIBLE UK ADBL.CO/PYMT
leisure.games -20.00 STEAMGAMES.COM 4259522985
leisure.events -15.00 CINEWORLD LEICESTER SQ
leisure.news -4.00 NYTIMES*NYTIMES DISC
leisure.gambling -10.00 NATIONAL LOTTERY INTERACTIVE
health.pharmacy -13.00 Löwen-Apotheke Ulm
health.medical -120.00 Zahnarztpraxis am Markt
health.fitness -25.00 MCFIT GMBH MITGLIEDSBEITRAG
health.beauty -40.00 Friseursalon Haarmonie
family.childcare -400.00 Crèche Les Petits Loups
family.children -30.00 SMYTHS TOYS
family.pets -60.00 ZOOPLUS SE
family.education -13.00 UDEMY ONLINE COURSES
insurance.health -400.00 Techniker Krankenkasse Beitrag
insurance.vehicle -41.00 ALLIANZ VERS. AG KFZ 7AZ55512
insurance.other -17.00 HUK-COBURG HAFTPFLICHT/HAUSRAT
finance.fees -3.00 MONTHLY ACCOUNT FEE
finance.fees -8.00 Entgeltabschluss siehe Anlage
finance.fees -3.00 ATM FEE NON NETWORK
finance.interest -12.00 INTEREST CHARGED ON PURCHASES
finance.cash -100.00 GELDAUTOMAT SPARKASSE BERLIN
finance.cash -60.00 RETRAIT DAB 12/01 PARIS
finance.loans -200.00 STUDENT LOAN PAYMENT
finance.taxes -900.00 HMRC SELF ASSESSMENT
finance.fines -30.00 Bussgeld Stadt Essen
finance.investments -100.00 TRADE REPUBLIC SPARPLAN
business.software -23.00 OPENAI *CHATGPT SUBSCR
business.cloud -80.00 AMAZON WEB SERVICES EMEA
business.advertising -100.00 GOOGLE *ADS1234567890
business.office -7.00 DHL PAKET BONN
business.services -400.00 Steuerberatung Nord GbR
giving.charity -15.00 UNICEF DAUERSPENDE
transfers.internal -300.00 TRANSFER TO SAVINGS ACCOUNT
transfers.internal 500.00 Umbuchung Tagesgeld
transfers.cards 500.00 PAYMENT RECEIVED - THANK YOU
transfers.people -15.00 BIZUM ENVIADO
income.salary 2400.00 ACME LTD SALARY JAN
income.salary 1900.00 NÓMINA ENERO
income.salary 28000.00 Lön
income.benefits 255.00 Familienkasse Kindergeld
income.pension 1400.00 Deutsche Rentenversicherung Rente
income.investments 3.00 INTEREST PAID
income.refunds 20.00 AMAZON REFUND
income.refunds 60.00 Rückerstattung Zalando
income.refunds 800.00 Finanzamt Steuererstattung 2025
"""


@pytest.mark.parametrize("line", HITS.strip().splitlines())
def test_a_usual_statement_line_gets_its_category(pack: CompiledRules, line: str) -> None:
    expected, amount, text = line.split(" ", 2)
    assert categories(pack, [a_record(text, amount)]) == [expected]
    assert categories(pack, [a_record("CARD PAYMENT 31.01", amount, counterparty=text)]) == [expected]


MISSES = """
transport.car -8 AUDIBLE UK
transport.fuel -30 SHELLEY FLORIST
transport.fuel -8 BPOST BRUSSEL
transport.fuel -20 TOTAL DUE FOR JANUARY
transport.taxi -60 UBERTI GIOIELLI
transport.taxi -60 TAXIDERMY SUPPLIES
housing.rent -90 CAR RENTAL BARCELONA
housing.rent -90 HERTZ RENT A CAR
housing.rent -60 RENTOKIL PEST CONTROL
housing.rent -80 Mietwagen Sixt
housing.rent 950 Miete Januar Whg 3
shopping.general -30 TARGET2 SEPA TRANSFER
shopping.general 500 AMAZON SELLER PAYOUT
shopping.clothing -20 ZARAGOZA TURISMO
shopping.clothing -5 GAP YEAR ADVISORS
shopping.clothing -5 NEXT DOOR STORAGE
food.groceries -30 Sparkasse Dauerauftrag
food.groceries -20 TESCOMA KITCHEN
food.groceries -10 TESCO MOBILE
food.groceries 1500 TESCO STORES SALARY
food.groceries -200 ICELANDAIR
food.groceries -200 HOFER MALERBETRIEB
food.groceries -20 PENNY LANE RECORDS
food.cafes -900 COSTA CROCIERE
food.bars -20 BARBER SHOP SOHO
food.bars -2 PUBLISHING HOUSE
health.medical -20 HOSPITALITY SUPPLIES
health.medical -90 TIERKLINIK NORD
health.pharmacy -50 BOOTSTRAP LABS
health.pharmacy -90 HIKING BOOTS ONLINE
giving.charity -60 GREENPEACE ENERGY
giving.charity -20 CHURCH TAVERN
finance.cash -10 CASHEWS & CO
finance.cash -20 ATMOSPHERE LOUNGE
finance.fees 8 ACCOUNT FEE
income.salary -200 Lohnsteuer Januar
income.salary -50 SALARY SACRIFICE CYCLE SCHEME
income.investments -5 INTEREST PAID
income.investments -50 DIVIDEND HOUSE
income.refunds -50 REFUNDABLE DEPOSIT
business.software -12 KINGS NORTON COACHES
business.software 5000 SAP SE GEHALT
family.childcare -30 NURSERY PLANTS AND GARDEN
family.children -20 SAVE THE CHILDREN
insurance.other -60 ALLIANZ ARENA MUENCHEN
travel.lodging -60 ACCOR ARENA PARIS
utilities.energy -5 EDFINITY
utilities.mobile -5 THREE LITTLE PIGS
utilities.internet -5 SKYLINE DRIVE
"""


@pytest.mark.parametrize("line", MISSES.strip().splitlines())
def test_a_line_that_only_looks_alike_does_not(pack: CompiledRules, line: str) -> None:
    wrong, amount, text = line.split(" ", 2)
    assert categories(pack, [a_record(text, amount)]) != [wrong]


def test_merchants_are_known_without_an_amount_too(pack: CompiledRules) -> None:
    assert categories(pack, [a_record("NETFLIX.COM", None), a_record("SALARY", None)]) == ["leisure.streaming", None]


def example_rows(name: str) -> list[dict[str, str]]:
    path = EXAMPLES / name
    if not path.exists():
        pytest.skip(f"there is no {path.name} beside this installation")
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def example_record(row: dict[str, str]) -> Record:
    amount = row["Amount"].replace(".", "").replace(",", ".")
    return a_record(row["Description"], amount, counterparty=row["Counterparty"])


def test_the_example_history_uses_known_categories_and_the_pack_agrees_with_it(pack: CompiledRules) -> None:
    rows = example_rows("history.csv")
    assert {row["Category"] for row in rows} <= set(KEYS)
    found = categories(pack, map(example_record, rows))
    decided = [(row["Category"], key) for row, key in zip(rows, found, strict=True) if key]
    assert len(decided) > len(rows) / 2
    assert sum(want == key for want, key in decided) / len(decided) >= 0.95


def test_the_pack_sorts_most_of_the_example_statement_and_leaves_some_to_others(pack: CompiledRules) -> None:
    found = categories(pack, map(example_record, example_rows("statement.csv")))
    share = sum(key is not None for key in found) / len(found)
    sys.stdout.write(f"the starter pack sorts {share:.1%} of {len(found)} rows\n")
    assert 0.6 <= share <= 0.85


def test_every_rule_of_the_pack_is_found_by_words(pack: CompiledRules) -> None:
    """So that none is asked about every record."""
    assert [rule.name for rule in pack.rules if not choices_of(rule.when, re2_search).options] == []
