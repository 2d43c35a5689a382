"""What field :86: tells of a transaction: text, counterparty, references.

The standard leaves this field to the banks. Own code, since `mt-940` knows the German subfields alone, separated by `?`
alone, and joins all lines without a space, where other banks break theirs between words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_DETAILS = 4_000
"""Characters: ten times what the standard allows."""
_FIRST_WIDTH, _WIDTH = 60, 64
"""Characters of a line that is full, so that the next goes on without a space: banks stop at 61 to 65 on the first."""
_PART_WIDTH = 27
_SUBFIELDS = re.compile(r"\s*(?P<code>[0-9]{3})?\s*(?P<mark>[?>~<^|@])(?=[0-9]{2})")
_PURPOSE = frozenset({*map(str, range(20, 30)), *map(str, range(60, 64))})
_KEYWORDS = re.compile(
    r"(EREF|KREF|MREF|CRED|DEBT|COAM|OAMT|SVWZ|ABWA|ABWE|IBAN|BIC|BREF|RREF|PURP|MDAT|SQTP)(?:\+|(?<=[A-Z]): )|(MTLG):"
)
_SLASHES = re.compile(
    r"/(TRTP|IBAN|BIC|NAME|REMI|EREF|MARF|CSID|PREF|BENM|ORDP|ISDT|ADDR|PURP|RTRN|CNTP|SVCL|ULTB|ULTD|ULTC|ACCW|ID)/"
)
_REMITTANCE = re.compile(r"/?(?:USTD//|STRD/(?:CUR/)?)")
_UNSTRUCTURED = re.compile(r"(999)(?:PN[0-9]{4})?")
_PLAIN = (
    re.compile(r"REK: ?(?P<account>\w{1,40})/NAAM: ?(?P<party>.+)"),
    re.compile(r"Z RACH\.: ?(?P<account>[0-9 ]{1,40});.{0,400}?\bOD: ?(?P<party>.+?)(?: UL\.|;|$)", re.IGNORECASE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """`references` are by their SEPA keyword (`EREF`, `MREF`, `CRED`, `KREF`)."""

    text: str
    counterparty: str = ""
    counterparty_account: str = ""
    booking_text: str = ""
    code: str = ""
    references: dict[str, str] = field(default_factory=dict)


def read_details(values: Sequence[Sequence[str]]) -> Details:
    """The details that the `:86:` fields of one transaction hold, each given by its lines."""
    lines = [line for value in values for line in (*value[:-1], f"{value[-1]} ")]
    first = lines[0][:MAX_DETAILS] if lines else ""
    if subfields := _SUBFIELDS.match(first):
        text = "".join(lines)[:MAX_DETAILS]
        return _from_subfields(text[subfields.end() - 1 :], subfields["code"] or "", subfields["mark"])
    text = "".join(
        line if len(line) >= (_WIDTH if number else _FIRST_WIDTH) else f"{line} " for number, line in enumerate(lines)
    )[:MAX_DETAILS]
    if len(_SLASHES.findall(text)) >= 2 and text.lstrip().startswith("/"):
        return _from_slashes(text)
    text = " ".join(text.split())
    if unstructured := _UNSTRUCTURED.match(text):
        return Details(text=text[unstructured.end() :].strip(), code=unstructured[1])
    match = next((match for pattern in _PLAIN if (match := pattern.search(text))), None)
    if match is None:
        return Details(text=text)
    return Details(text=text, counterparty=match["party"].strip(), counterparty_account=match["account"].strip())


def _from_subfields(text: str, code: str, mark: str) -> Details:
    """German and Polish banks: `166?00GUTSCHRIFT?20EREF+...?32NAME`."""
    pieces = re.split(rf"{re.escape(mark)}([0-9]{{2}})", text)
    found: dict[str, str] = {}
    purpose = ""
    for number, value in zip(pieces[1::2], pieces[2::2], strict=True):
        if number in _PURPOSE:
            purpose += value if len(value) >= _PART_WIDTH else f"{value} "
        else:
            found[number] = found.get(number, "") + value
    remittance, references = _by_keyword(purpose)
    names = (found.get("32", ""), found.get("33", ""))
    party = "".join(name if len(name) >= _PART_WIDTH else f"{name} " for name in names)
    booking_text = found.get("00", "").strip()
    return Details(
        text=remittance or booking_text,
        counterparty=" ".join(party.split()),
        counterparty_account=found.get("38", "").strip() or found.get("31", "").strip() or references.get("IBAN", ""),
        booking_text=booking_text,
        code=code,
        references=references,
    )


def _by_keyword(purpose: str) -> tuple[str, dict[str, str]]:
    """The remittance, and what stands under each SEPA keyword."""
    pieces = _KEYWORDS.split(purpose)
    texts = [pieces[0]]
    references: dict[str, str] = {}
    for sepa, other, value in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        if other or sepa == "SVWZ":
            texts.append(value)
        else:
            references[sepa] = " ".join(value.split())
    return " ".join(" ".join(texts).split()), references


def _from_slashes(text: str) -> Details:
    """Dutch banks: `/TRTP/SEPA OVERBOEKING/IBAN/.../NAME/.../REMI/...`."""
    pieces = _SLASHES.split(text)
    found: dict[str, str] = {}
    for keyword, value in zip(pieces[1::2], pieces[2::2], strict=True):
        found.setdefault(keyword, " ".join(value.split()).strip("/ "))
    remittance = _REMITTANCE.sub("", found.get("REMI", "")).strip("/ ")
    account, _, rest = found.get("CNTP", "").partition("/")
    party = found.get("NAME") or (rest.split("/")[1] if rest.count("/") else "")
    references = {"EREF": found.get("EREF", ""), "MREF": found.get("MARF", ""), "CRED": found.get("CSID", "")}
    return Details(
        text=remittance or party or found.get("TRTP", "") or " ".join(text.split()),
        counterparty=party,
        counterparty_account=found.get("IBAN", "") or account,
        booking_text=found.get("TRTP", ""),
        references={keyword: value for keyword, value in references.items() if value},
    )
