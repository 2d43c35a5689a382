"""What receipts are, what they say, and what speaks for a record, in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from core.domain.receipt_names import similarity
from core.domain.receipts import MAIL, PDF, Receipt, ReceiptState, Said
from core.domain.records import Record
from entrypoints.console.words import money, percent, when

KINDS = {
    "image/png": "PNG picture",
    "image/jpeg": "JPEG picture",
    "image/webp": "WebP picture",
    "image/gif": "GIF picture",
    "image/heif": "HEIF picture",
    "image/tiff": "TIFF picture",
    PDF: "PDF",
    MAIL: "E-mail",
}
TAKEN = "a picture (PNG, JPEG, WebP, GIF, HEIC or TIFF), a PDF or an e-mail (.eml)"
STATES = {
    ReceiptState.READING: "It is being read.",
    ReceiptState.READ: "It was read.",
    ReceiptState.UNREADABLE: "It could not be read",
    ReceiptState.PICTURE: "Pictures are not read: it says what people say it does.",
}
_LIKELY = ((0.95, "almost certain"), (0.8, "very likely"), (0.5, "likely"), (0.2, "possible"), (0.0, "unlikely"))
"""From which probability on it is called so."""
_WHOLE = 0.99
_SHARE = 0.005
"""What is less rounds to nothing."""


def size(count: int) -> str:
    """Of a file: `812 bytes`, `34 KiB`, `1.25 MiB`."""
    if count < 1 << 10:
        return f"{count} bytes"
    return f"{count / (1 << 10):.0f} KiB" if count < 1 << 20 else f"{count / (1 << 20):.3g} MiB"


def likelihood(score: float | None) -> str:
    """`very likely, 91 %`; nothing where nobody worked it out."""
    if score is None:
        return ""
    word = next(word for least, word in _LIKELY if score >= least)
    shown = "over 99 %" if score > 0.99 else percent(score, 0)
    return f"{word}, {shown}"


def paid(said: Said) -> str:
    """`12.99 EUR`; nothing where the amount is unknown."""
    return "" if said.amount is None else f"{money(said.amount, said.currency)} {said.currency or ''}".strip()


def in_short(said: Said) -> str:
    """`Corner Coffee, 12.99 EUR, 2 Mar 2026`, as far as it is known."""
    return ", ".join(filter(None, (said.merchant, paid(said), when(said.day) if said.day else "")))


def name_of(receipt: Receipt) -> str:
    """What a person calls it by."""
    return receipt.said.merchant or receipt.filename


def of_record(record: Record) -> str:
    """`CORNER COFFEE BERLIN, −12.99 EUR, 3 Mar 2026`."""
    amount = "" if record.amount is None else f"{money(record.amount, record.currency)} {record.currency or ''}"
    return ", ".join(filter(None, (record.text, amount.strip(), when(record.occurred_at))))


def evidence(said: Said, uploaded_at: datetime | None, record: Record, zone: ZoneInfo) -> Sequence[str]:
    """What speaks for the record and against it, by what matching looks at: amount, currency, day and name. The zone is
    that of the tenant. `uploaded_at` is None where nobody needs it."""
    found = (
        _of_amount(said, record),
        _of_currency(said, record),
        _of_day(said, uploaded_at, record, zone),
        _of_name(said, record),
    )
    return [one for one in found if one]


def _of_amount(said: Said, record: Record) -> str:
    if said.amount is None or record.amount is None:
        return ""
    gap = abs(record.amount) - said.amount
    if not gap:
        return "the same amount"
    share = (
        f" ({percent(abs(float(gap / said.amount)), 0)})" if said.amount and abs(gap / said.amount) >= _SHARE else ""
    )
    return f"{money(abs(gap), record.currency)} {'more' if gap > 0 else 'less'} than the receipt says{share}"


def _of_currency(said: Said, record: Record) -> str:
    if said.currency is None or record.currency is None or said.currency == record.currency:
        return ""
    return f"in {record.currency}, not in {said.currency}"


def _of_day(said: Said, uploaded_at: datetime | None, record: Record, zone: ZoneInfo) -> str:
    since = "the receipt's day"
    day = said.day
    if day is None:
        if uploaded_at is None:
            return ""
        day, since = uploaded_at.astimezone(zone).date(), "it was uploaded, since it names no day"
    late = (_day_of(record.occurred_at, zone) - day).days
    if not late:
        return "on the same day" if said.day else "on the day on which it was uploaded"
    days = f"{abs(late)} day{'' if abs(late) == 1 else 's'}"
    return f"{days} {'after' if late > 0 else 'before'} {since}"


def _of_name(said: Said, record: Record) -> str:
    alike = similarity(said.merchant, record.text, record.counterparty) if said.merchant else None
    if alike is None:
        return ""
    if alike >= _WHOLE:
        return "the name stands in its text"
    return "part of the name stands in its text" if alike else "its text has no word of the name"


def _day_of(moment: date | datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date() if isinstance(moment, datetime) else moment
