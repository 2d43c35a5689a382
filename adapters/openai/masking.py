"""Takes personal details out of a text before it leaves the house.

IBANs (by their check digits), card numbers (by Luhn), e-mail addresses and phone numbers become placeholders. Where a
number might be one, it is masked: what a merchant's text means does not hang on long numbers. National phone numbers
have no mark of their own; those with a leading 0 and those of ten digits as in North America are taken for phones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,126}\.\w[\w-]{0,61}\w")
# Lookaheads, so that numbers are sought from every position: what precedes one must not hide it.
_IBAN = re.compile(
    r"(?=((?:[A-Z]{2}|(?<![A-Z])[A-Z]{2}[ -])[0-9]{2}(?:[ -]?[A-Z0-9]){11,30}))", re.IGNORECASE | re.ASCII
)
_CARD = re.compile(r"(?<![0-9])(?=([0-9](?:[ -]?[0-9]){12,19}))")
_PHONE = re.compile(
    r"""
    (?<![0-9])(?:
        (?:\+|\b00)[ ]?[1-9](?:[ ./()-]{0,2}[0-9]){6,14}    # +49 (0)30 123456, 0033 1 23 45 67 89
      | (?:\b1[ .-]?)?(?:\([2-9][0-9]{2}\)[ ]?|\b[2-9][0-9]{2}[ .-]?)[2-9][0-9]{2}[ .-]?[0-9]{4}    # (415) 555-1234
      | \(?\b0[1-9][0-9]{0,4}\)?(?:[ /-]?[0-9]){7,10}       # 020 7946 0958, (030) 1234567
      | \b0[1-9](?:\.[0-9]{2}){4}                           # 01.23.45.67.89
    )(?![0-9])
    """,
    re.VERBOSE,
)


def mask(text: str) -> str:
    """Return the text, NFKC-normalised, with [EMAIL], [IBAN], [CARD] and [PHONE] in place of what they name."""
    text = unicodedata.normalize("NFKC", text)
    text = _EMAIL.sub("[EMAIL]", text)
    text = _replace(text, "[IBAN]", ((found.start(), _iban_length(found[1])) for found in _IBAN.finditer(text)))
    text = _replace(text, "[CARD]", ((found.start(), _card_length(found[1])) for found in _CARD.finditer(text)))
    return _PHONE.sub("[PHONE]", text)


def _replace(text: str, placeholder: str, spans: Iterator[tuple[int, int]]) -> str:
    """Put one placeholder in place of each run of overlapping (start, length) spans, which come ordered by start."""
    parts: list[str] = []
    done = 0
    for begin, length in spans:
        if length and begin >= done:
            parts += text[done:begin], placeholder
        done = max(done, begin + length) if length else done
    return "".join([*parts, text[done:]])


def _iban_length(run: str) -> int:
    """Return the length of the longest beginning of the run that is an IBAN, 0 if none is. Where a card number begins
    with its check digits and is longer, that one's end counts."""
    head = ""
    remainder = characters = digits = longest = 0
    for position, character in enumerate(run, start=1):
        if character in " -":
            continue
        value = int(character, 36)
        if len(head) < 6:  # two letters become two digits each, and two check digits follow
            head += str(value)
            continue
        remainder = (remainder * (10 if value < 10 else 100) + value) % 97
        characters += 1
        digits += value < 10
        # Every country's account part holds at least five digits; words that follow a chance "AB12" seldom do.
        if characters >= 11 and digits >= 5 and (remainder * 1_000_000 + int(head)) % 97 == 1:
            longest = position
    # By chance it may be two letters and the beginning of a card number, of which nothing must stay.
    card = _CARD.match(run, 2 if run[2].isdigit() else 3)
    return max(longest, card.start() + _card_length(card[1])) if longest and card else longest


def _card_length(run: str) -> int:
    """Return the length of the longest beginning of the run that is a card number of 13 to 19 digits, 0 if none is."""
    longest = 0
    digits: list[int] = []
    for position, character in enumerate(run, start=1):
        if character in " -":
            continue
        digits.append(int(character))
        ends = not run[position : position + 1].isdigit()
        if ends and 13 <= len(digits) <= 19 and _luhn(digits):
            longest = position
    return longest


def _luhn(digits: list[int]) -> bool:
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(doubled) + sum(digits[::-2])) % 10 == 0
