from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.openai.masking import mask

WORDS = st.text(st.sampled_from("abcXYZ äß&*/#.,"), max_size=30)
DIGITS = st.characters(whitelist_categories=[], whitelist_characters="0123456789")


def grouped(number: str, separator: str) -> str:
    return separator.join(number[at : at + 4] for at in range(0, len(number), 4))


@st.composite
def ibans(draw: st.DrawFn) -> str:
    country, account = (
        draw(st.sampled_from(["DE", "GB", "FR", "NL", "NO"])),
        draw(st.text(DIGITS, min_size=11, max_size=25)),
    )
    numeric = int(account + "".join(str(int(letter, 36)) for letter in country) + "00")
    return f"{country}{98 - numeric % 97:02d}{account}"


@st.composite
def cards(draw: st.DrawFn) -> str:
    digits = draw(st.text(DIGITS, min_size=12, max_size=18))
    total = sum(sum(divmod(int(digit) * (2 - at % 2), 10)) for at, digit in enumerate(reversed(digits)))
    return f"{digits}{-total % 10}"


@given(WORDS, ibans(), WORDS, st.sampled_from(["", " ", "-"]), st.booleans())
def test_an_iban_never_leaves(before: str, iban: str, after: str, separator: str, lower: bool) -> None:
    written = grouped(iban.lower() if lower else iban, separator)
    masked = mask(f"{before} {written} {after}")
    assert "[IBAN]" in masked
    assert iban[-8:] not in masked.replace(" ", "").replace("-", "")


@given(WORDS, cards(), WORDS, st.sampled_from(["", " ", "-"]))
def test_a_card_number_never_leaves(before: str, card: str, after: str, separator: str) -> None:
    masked = mask(f"{before}{grouped(card, separator)}{after}")
    assert not any(character.isdigit() for character in masked)


@given(WORDS, st.emails(), WORDS)
def test_an_email_address_never_leaves(before: str, email: str, after: str) -> None:
    masked = mask(f"{before} {email} {after}")
    assert "[EMAIL]" in masked
    assert email.rpartition("@")[2] not in masked


@given(WORDS, st.from_regex(r"\+[1-9][0-9]{7,13}", fullmatch=True), WORDS)
def test_an_international_phone_number_never_leaves(before: str, phone: str, after: str) -> None:
    masked = mask(f"{before} {phone} {after}")
    assert not any(character.isdigit() for character in masked)


@given(WORDS)
def test_words_stay_as_they_are(text: str) -> None:
    assert mask(text) == text


@given(st.text())
def test_any_text_is_accepted(text: str) -> None:
    assert isinstance(mask(text), str)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("SEPA DE89 3704 0044 0532 0130 00 REWE MARKT", "SEPA [IBAN] REWE MARKT"),
        ("IBAN DE 89370400440532013000 ok", "IBAN [IBAN] ok"),
        ("IBAN:gb29nwbk60161331926819", "IBAN:[IBAN]"),
        ("/IBAN/NO9386011117947/NAME", "/IBAN/[IBAN]/NAME"),
        ("to MT84MALT011000012345MTLCAST001S", "to [IBAN]"),
        ("VISA 5500 0055 5555 5559 2024 TESCO", "VISA [CARD] 2024 TESCO"),
        ("card 378282246310005", "card [CARD]"),
        ("Ya03589634811102", "[IBAN]"),  # whose beginning is an IBAN by chance
        ("Ya 0358 9634 8111 02 ok", "[IBAN] ok"),
        ("４１１１１１１１１１１１１１１１", "[CARD]"),
        ("paypal jo.do+x@mail.example.co.uk ok", "paypal [EMAIL] ok"),
        ("AMZN MKTP 888-802-3080 WA", "AMZN MKTP [PHONE] WA"),
        ("call (415) 555-2671", "call [PHONE]"),
        ("call 4155552671", "call [PHONE]"),
        ("Tel. 030/1234567", "Tel. [PHONE]"),
        ("Tel. 01.23.45.67.89", "Tel. [PHONE]"),
        ("tel +49 (0)30 123456-78", "tel [PHONE]"),
        ("tel 0044 20 7946 0958", "tel [PHONE]"),
        ("london 020 7946 0958", "london [PHONE]"),
    ],
)
def test_known_forms(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "TESCO STORES 3214 LONDON GB",
        "paid on 2024-05-12 12:34:56",
        "paid on 05.01.2024, 05/01/2024 and 05-01-2024",
        "20240512123456 batch",
        "-1,234,567.89 EUR",
        "invoice 1234567890123456",  # neither Luhn nor a phone number
        "UBER *TRIP HELP",
        "to GB20 payment for groceries and rent",
        "lives @home",
    ],
)
def test_what_is_no_personal_detail_stays(text: str) -> None:
    assert mask(text) == text


@pytest.mark.slow
@pytest.mark.parametrize("hostile", ["a" * 200_000, "AB12" * 50_000, "1-" * 50_000, "a.b@" * 50_000, "+1 (" * 50_000])
def test_time_grows_with_the_length_alone(hostile: str) -> None:
    started = time.process_time()
    mask(hostile)
    assert time.process_time() - started < 10
