"""The connector: messages → drafts and balances. Fields :60:, :61: and :62: are parsed by the library `mt-940`, one by
one, since it gives up a whole file for one line and mixes the balances of several statements."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from mt940.models import Transactions
from mt940.options import Options
from mt940.processors import date_fixup_pre_processor
from mt940.tags import TAG_BY_ID

from plugins.mt940_file.details import Details, read_details
from plugins.mt940_file.fields import Field, Message, messages
from plugins.statements import Identities, Item, Sums, batched, decoded, read_whole, readable
from sortation import Batch, Context, Draft, ReadRequest, Refusal, UnreadableFile

MAX_BYTES = 16 << 20
_HEAD = re.compile(rb"^(?:\{[^{}]*\}|\{4:)*[ \t]*:(20|25|28C?|60[FM]|61|62[FM]|34F|13D?):", re.MULTILINE)
_CURRENCY = re.compile(r"[A-Z]{3}")
_WITH_CURRENCY = re.compile(r"(.*[0-9/ ])([A-Z]{3})")
_NO_REFERENCE = frozenset({"", "NONREF", "NOREF", "EREF", "KREF", "KREF+", "EREF+", "NOTPROVIDED", "STARTUMS"})
_OPTIONS = Options.all()
_SHAPE_ERRORS = (RuntimeError, ValueError, InvalidOperation, OverflowError)
"""What the library raises for a field that breaks its pattern."""
_NAMES = {"61": "transaction", "60": "opening balance", "62": "closing balance"}

logging.getLogger("mt940").setLevel(logging.CRITICAL)  # it logs whole lines of statements where one does not fit


class Mt940File:
    """The connector of MT940 and MT942 files; it needs no configuration."""

    def detect(self, sample: bytes, filename: str) -> float:
        tags = {match[1][:2] for match in _HEAD.finditer(sample.replace(b"\0", b"").replace(b"\r", b"\n"))}
        if b"25" in tags and len(tags) >= 3:
            return 0.97
        named = filename.lower().endswith((".sta", ".mt940", ".940", ".mt942", ".942"))
        return 0.6 if tags and named else 0.35 if named else 0.0

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        text = decoded(read_whole(request.file, MAX_BYTES)).replace("\0", "")
        found = list(messages(text))
        if not any(message.first("25") for message in found):
            raise UnreadableFile("this is no MT940 or MT942 statement: it names no account (:25:)")
        if not any(message.first("60F", "60M", "61", "62F", "62M", "34F") for message in found):
            raise UnreadableFile("there is neither a transaction (:61:) nor a balance in this file")
        return batched(readable(_items(found, ctx.default_currency)), request.batch_size)


def _items(found: Sequence[Message], default_currency: str) -> Iterator[Item]:
    identities = Identities()
    for message in found:
        identities.new_statement()
        account = message.first("25")
        if account is None:
            if line := message.first("61"):
                raise UnreadableFile(f"line {line.at}: a transaction of no account: there is no :25: above it")
            continue
        opening, closing = (_balance(message.first(f"{tag}F", f"{tag}M")) for tag in ("60", "62"))
        number, named = _account(account.value, (opening or closing or (Decimal(0), ""))[1])
        currency = opening[1] if opening else closing[1] if closing else _floor(message) or named or default_currency
        sums = Sums()
        for line, others in _transactions(message):
            try:
                draft = _draft(line, others, number, currency)
            except ValueError as error:
                yield Refusal(position=line.at, reason=str(error))
                continue
            sums.add(draft)
            yield identities.distinct(draft)
        yield from sums.statements(number, opening, closing)


def _transactions(message: Message) -> Iterator[tuple[Field, list[Field]]]:
    """Each `:61:` with the fields that tell more of it; what follows a balance tells of the statement."""
    line: Field | None = None
    others: list[Field] = []
    for field in message.fields:
        if field.tag in ("86", "NS"):
            others.append(field)
            continue
        if line:
            yield line, others
        line, others = (field if field.tag == "61" else None), []
    if line:
        yield line, others


def _parsed(field: Field, key: int | str) -> dict[str, Any]:
    """What the library makes of a field; raises `ValueError` that names the line's fault."""
    tag, statement = TAG_BY_ID[key], Transactions(options=_OPTIONS)
    try:
        raw = tag.parse(statement, field.value)
        return dict(tag(statement, date_fixup_pre_processor(statement, tag, raw)))
    except _SHAPE_ERRORS:
        name = _NAMES[field.tag[:2]]
        raise ValueError(f":{field.tag}:{field.lines[0][:60]} is not the shape of a {name}") from None


def _balance(field: Field | None) -> tuple[Decimal, str] | None:
    if field is None:
        return None
    try:
        (balance,) = _parsed(field, field.tag).values()
    except ValueError:
        return None
    currency = balance.amount.currency.upper()
    return (balance.amount.amount, currency) if _CURRENCY.fullmatch(currency) else None


def _floor(message: Message) -> str:
    """The currency of an interim report, whose smallest amount (:34F:) names it."""
    field = message.first("34F")
    return field.value[:3] if field and _CURRENCY.fullmatch(field.value[:3]) else ""


def _account(value: str, currency: str) -> tuple[str, str]:
    """The account without the currency that some banks append, and that currency."""
    value = value.split("\n")[0].strip()
    match = _WITH_CURRENCY.fullmatch(value)
    if match and currency in ("", match[2]):
        return match[1].rstrip("/ "), match[2]
    return value, ""


def _draft(line: Field, others: Sequence[Field], account: str, currency: str) -> Draft:
    """Raises `ValueError` with the reason when the line can't be read."""
    found = _parsed(line, 61)
    valued = _in_century(found["date"])
    day = _in_century(found.get("entry_date") or found["date"])
    amount: Decimal = found["amount"].amount or Decimal(0)
    details = read_details([field.lines for field in others if field.tag == "86"])
    reference = (found.get("customer_reference") or "").strip()
    bank_reference = (found.get("bank_reference") or "").strip()
    supplement = " ".join((found.get("extra_details") or "").split())
    text, party, party_account = _completed(details, line, reference, supplement)
    attributes = {
        "type": (found.get("id") or "").strip(),
        "code": details.code,
        "booking_text": details.booking_text if text != details.booking_text else "",
        "value_date": str(valued),
        "counterparty_account": party_account,
        "end_to_end_id": details.references.get("EREF", ""),
        "mandate_id": details.references.get("MREF", ""),
        "creditor_id": details.references.get("CRED", ""),
        "reference": "" if reference in _NO_REFERENCE else reference,
        "supplement": "" if supplement == party else supplement,
        "reversal": "true" if (found.get("status") or "").upper().startswith("R") else "",
    }
    # The payer's reference of :61: is no id: banks write an account number or the word of the day there.
    references = (bank_reference, *(details.references.get(name, "") for name in ("EREF", "KREF")))
    given = next((r for r in references if r.upper() not in _NO_REFERENCE), "")
    return Draft(
        text=text or supplement or attributes["type"] or ("credit" if amount > 0 else "debit"),
        occurred_at=day,
        account=account,
        external_id=f"{given}:{day.isoformat()}:{amount.normalize():f}" if given else None,
        counterparty=party,
        amount=amount,
        currency=currency,
        attributes={key: value for key, value in attributes.items() if value},
        raw={"61": line.value, **{f"{f.tag}.{n}": f.value for n, f in enumerate(others, start=1)}},
    )


def _in_century(day: date) -> date:
    """SWIFT counts the years 80 to 99 to the last century, the library to this one."""
    return date(day.year - 100 if day.year >= 2080 else day.year, day.month, day.day)


def _completed(details: Details, line: Field, reference: str, supplement: str) -> tuple[str, str, str]:
    """Text, counterparty and their account, with what some banks write into :61: instead: the name behind a reference
    that fills its 16 characters (Rabobank), or on a line of its own and once more in :86: (SNS)."""
    text, party, account = details.text, details.counterparty, details.counterparty_account
    if not party and supplement and supplement in line.lines[0]:
        return text, supplement, account
    twice = f"{reference} {supplement}"
    if not party and supplement and reference and text.startswith(twice):
        return text.removeprefix(twice).strip() or supplement, supplement, reference
    return text, party, account
