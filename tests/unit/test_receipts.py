"""Receipts: what may be said of them, how they are called, and how likely they are of which records."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks._receipt_data import USUAL, cases
from core.domain.receipt_matching import CANDIDATES, WEIGHTS, Weights, features, scores, window_of
from core.domain.receipt_names import similarity
from core.domain.receipts import (
    EXTENSIONS,
    READABLE,
    SHOWN_INLINE,
    Candidate,
    Receipt,
    ReceiptState,
    Said,
    check_said,
    download_name,
    said_by_itself,
    said_by_person,
)
from core.domain.tenants import worker_actor
from core.errors import Invalid
from tests.contract.storage import a_receipt

DAY = date(2026, 3, 2)
SAID = Said(amount=Decimal("12.50"), currency="EUR", day=DAY, merchant="Corner Coffee")


def a_candidate(n: int = 1, **fields: object) -> Candidate:
    standard = Candidate(
        receipt_id=UUID(int=0),
        record_id=UUID(int=n),
        amount=Decimal("-12.50"),
        currency="EUR",
        day=DAY,
        text="CORNER COFFEE BERLIN 123",
        counterparty="",
    )
    return replace(standard, **fields)  # type: ignore[arg-type]


def score(candidate: Candidate, said: Said = SAID) -> float:
    ((_, found),) = scores(said, DAY, [candidate])
    return found


def receipt(**fields: object) -> Receipt:
    return a_receipt(UUID(int=1), worker_actor(UUID(int=2)), **fields)


def test_the_same_amount_day_and_name_are_as_good_as_certain() -> None:
    assert score(a_candidate()) > 0.95
    assert score(a_candidate(amount=Decimal("12.50"))) == score(a_candidate()), "given back is as good as paid"


@pytest.mark.parametrize(
    "other",
    [
        a_candidate(amount=Decimal("-12.60")),
        a_candidate(amount=Decimal("-12.40")),
        a_candidate(day=DAY + timedelta(days=6)),
        a_candidate(day=DAY - timedelta(days=1)),
        a_candidate(text="GROCERY MARKT"),
        a_candidate(currency="USD"),
    ],
)
def test_whatever_differs_makes_it_less_likely(other: Candidate) -> None:
    assert score(other) < score(a_candidate())


def test_a_tip_is_likelier_than_a_discount() -> None:
    assert score(a_candidate(amount=Decimal("-14.00"))) > score(a_candidate(amount=Decimal("-11.00")))


def test_what_suits_several_records_is_shared_among_them() -> None:
    first, second, third = a_candidate(1), a_candidate(2), a_candidate(3, day=DAY + timedelta(days=5))
    ranked = scores(SAID, DAY, [third, second, first])
    assert [candidate for candidate, _ in ranked] == [first, second, third]
    assert ranked[0][1] == ranked[1][1] < 0.5


@given(
    st.lists(
        st.builds(
            lambda n, amount, days, text: a_candidate(n, amount=amount, day=DAY + timedelta(days=days), text=text),
            st.integers(1, 10**6),
            st.decimals(-(10**12), 10**12, places=2),
            st.integers(-60, 60),
            st.text(max_size=60),
        ),
        max_size=CANDIDATES,
    ),
    st.decimals(0, 10**12, places=2),
    st.none() | st.text(min_size=1, max_size=60),
    st.none() | st.just(DAY),
)
def test_scores_are_probabilities_of_one_record_at_most(
    candidates: list[Candidate], amount: Decimal, merchant: str | None, day: date | None
) -> None:
    ranked = scores(Said(amount=amount, merchant=merchant, day=day), DAY, candidates)
    found = [one for _, one in ranked]
    assert all(0 <= one <= 1 for one in found)
    assert sum(found) <= 1 + 1e-9
    assert found == sorted(found, reverse=True)
    assert len(ranked) == len(candidates)


def test_every_weight_has_its_feature() -> None:
    assert len(features(SAID, DAY, a_candidate(), 1)) == len(Weights.__slots__)


def test_what_is_likely_happens_as_often_as_told() -> None:
    """On tenants that the weights were not fitted on."""
    told, right = 0.0, 0
    sure = sure_and_right = 0
    for seed in range(5_000, 5_010):
        for case in cases(seed, USUAL):
            for candidate, likely in scores(case.said, case.uploaded_on, case.candidates, WEIGHTS):
                is_right = candidate.record_id == case.record_id
                told, right = told + likely, right + is_right
                if likely >= 0.9:
                    sure, sure_and_right = sure + 1, sure_and_right + is_right
    assert abs(told / right - 1) < 0.05
    assert sure > 500
    assert sure_and_right / sure > 0.94


@pytest.mark.parametrize(
    ("merchant", "text", "counterparty", "least", "most"),
    [
        ("Corner Coffee Ltd", "CORNER COFFEE BERLIN", "", 1.0, 1.0),
        ("Corner Coffee", "PAYPAL *CORNERCOFFEE", "", 1.0, 1.0),
        ("Bäckerei Ähre GmbH", "BACKEREI AHRE 0815", "", 1.0, 1.0),
        ("Amazon Marketplace", "AMZN MKTP", "Amazon EU", 0.2, 0.6),
        ("Apotheke am Markt", "APOTHEK 12", "", 0.4, 0.8),
        ("Corner Coffee", "SHELL 1234", "", 0.0, 0.0),
    ],
)
def test_names_are_alike_as_far_as_banks_leave_them(
    merchant: str, text: str, counterparty: str, least: float, most: float
) -> None:
    found = similarity(merchant, text, counterparty)
    assert found is not None
    assert least <= found <= most


@pytest.mark.parametrize(("merchant", "text"), [("", "SHELL"), ("GmbH & Co. KG", "SHELL"), ("Shell", "123 456")])
def test_names_without_words_tell_nothing(merchant: str, text: str) -> None:
    assert similarity(merchant, text, "") is None


@given(st.text(max_size=80), st.text(max_size=80))
def test_how_alike_names_are_is_a_share(merchant: str, text: str) -> None:
    assert (similarity(merchant, text, "") or 0.0) <= 1.0


def test_no_amount_no_window() -> None:
    assert window_of(Said(day=DAY, merchant="Shell"), DAY) is None
    window = window_of(Said(amount=Decimal(100)), DAY)
    assert window is not None
    assert (window.since, window.until, window.near) == (DAY - timedelta(60), DAY + timedelta(14), DAY)


def test_a_persons_word_is_kept_when_the_receipt_is_read() -> None:
    before = said_by_person(receipt(), Said(merchant="  Aldi "), ["merchant", "day"])
    assert (before.said.merchant, before.said.day, before.by_person) == ("Aldi", None, ("day", "merchant"))
    after = said_by_itself(before, SAID)
    assert after.state is ReceiptState.READ
    assert after.said == replace(SAID, merchant="Aldi", day=None)


@pytest.mark.parametrize(
    "said",
    [
        Said(amount=Decimal("-1")),
        Said(amount=Decimal("Infinity")),
        Said(amount=Decimal("NaN")),
        Said(amount=Decimal("1e24")),
        Said(amount=Decimal("0.0000000000001")),
        Said(currency="eur"),
        Said(merchant=" "),
        Said(merchant="a\x00b"),
        Said(merchant="x" * 201),
        Said(day=date(1, 1, 1)),
    ],
)
def test_nobody_says_what_no_receipt_says(said: Said) -> None:
    with pytest.raises(Invalid) as caught:
        check_said(said)
    assert len(caught.value.details["fields"]) == 1


@pytest.mark.parametrize(
    ("name", "kind", "kept"),
    [
        ("a.PDF", "application/pdf", "a.PDF"),
        ("a.jpeg", "image/jpeg", "a.jpeg"),
        ("a.html", "image/png", "a.html.png"),
        ("a.png.exe", "image/png", "a.png.exe.png"),
        ("", "message/rfc822", "receipt.eml"),
        ("..", "image/gif", "receipt.gif"),
        ("a\r\nb.png", "image/png", "ab.png"),
    ],
)
def test_a_download_ends_as_its_content_says(name: str, kind: str, kept: str) -> None:
    assert download_name(receipt(filename=name, mime_type=kind)) == kept


def test_no_kind_is_one_that_a_browser_runs() -> None:
    assert not [kind for kind in EXTENSIONS if "html" in kind or "xml" in kind or "svg" in kind or "script" in kind]
    assert EXTENSIONS.keys() > SHOWN_INLINE | READABLE
    assert not SHOWN_INLINE & READABLE
