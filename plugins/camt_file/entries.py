"""One entry of a CAMT message → its drafts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from plugins.camt_file.xml import Node
from sortation import Draft, Refusal

_AMOUNT = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?![0-9])")
_NO_REFERENCE = frozenset({"", "NOTPROVIDED", "NOT PROVIDED", "NONREF", "NONE", "N/A", "UNKNOWN", "0"})
_ROW_NUMBER = re.compile(r"0*[0-9]{1,6}")
"""A reference like this counts the entries of one file: in the next file it means another one."""
_SIGNS = {"CRDT": 1, "DBIT": -1}
_PENDING = frozenset({"PDNG", "FUTR"})
_MAX_TEXT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account that a message reports on: `number` is its IBAN or what the bank calls it; `reported_on` the day of
    the report, for entries that have none."""

    number: str = ""
    owner: str = ""
    reported_on: date | None = None

    def described(self, node: Node) -> Account:
        return replace(
            self,
            number=node.value("Id/IBAN", "Id/Othr/Id", "Id/PrtryAcct/Id", "Id/BBAN", "Id/UPIC", "Prxy/Id"),
            owner=node.value("Ownr/Nm", "Ownr/Pty/Nm").casefold(),
        )

    def reported(self, moment: str) -> Account:
        return replace(self, reported_on=_day(moment))


def amount_of(node: Node, sign_by: Node | None = None) -> tuple[Decimal, str]:
    """The signed amount of an entry, a balance or a part, and its currency; raises `ValueError` with the reason.

    The indicator says which way the money went, also of a reversal.
    """
    amount = node.at("Amt") or node.at("AmtDtls/TxAmt/Amt")
    if amount is None:
        raise ValueError("there is no amount")
    text, currency = amount.text.strip(), amount.attributes.get("Ccy", "")
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not an amount")
    if not _CURRENCY.fullmatch(currency):
        raise ValueError(f"the amount {text} has no currency" if not currency else f"{currency[:9]!r} is no currency")
    indicator = node.value("CdtDbtInd") or (sign_by.value("CdtDbtInd") if sign_by else "")
    sign = _SIGNS.get(indicator)
    if sign is None:
        raise ValueError(f"{indicator[:9]!r} says neither credit (CRDT) nor debit (DBIT)")
    value = Decimal(text)
    return (value * sign if value else value), currency


def drafts_of(entry: Node, account: Account, position: int) -> Iterator[Draft | Refusal]:
    """A draft for each transaction of the entry where their amounts make up the entry's, else one for the entry."""
    status = entry.value("Sts/Cd", "Sts/Prtry", "Sts")
    try:
        if status == "INFO":
            raise ValueError("for information only: it is not booked and will not be")
        amount, currency = amount_of(entry)
        day = _day(entry.value("BookgDt/Dt", "BookgDt/DtTm")) or _day(entry.value("ValDt/Dt", "ValDt/DtTm"))
        day = day or account.reported_on
        if day is None:
            raise ValueError("the entry has no date")
    except ValueError as error:
        yield Refusal(position=position, reason=str(error))
        return
    details = entry.all("NtryDtls/TxDtls")
    whole = Draft(
        text="",
        occurred_at=day,
        account=account.number,
        amount=amount,
        currency=currency,
        pending=status in _PENDING,
        raw=entry.leaves(without="NtryDtls"),
    )
    shares = _shares(details, entry, amount, currency)
    if not shares:
        yield _described(whole, entry, details, account)
    for number, (detail, share) in enumerate(shares, start=1):
        part = replace(
            whole, amount=share, raw={**whole.raw, **{f"TxDtls/{path}": text for path, text in detail.leaves().items()}}
        )
        draft = _described(part, entry, [detail], account)
        if len(shares) > 1:
            draft = replace(draft, external_id=_part_id(draft, entry, detail, number))
        yield draft


def _shares(details: list[Node], entry: Node, amount: Decimal, currency: str) -> list[tuple[Node, Decimal]]:
    """Each transaction with its signed amount, if together they are the entry; else none."""
    if len(details) == 1:
        return [(details[0], amount)]
    try:
        found = [(detail, amount_of(detail, entry)) for detail in details]
    except ValueError:
        return []
    if {named for _, (_, named) in found} != {currency} or sum(share for _, (share, _) in found) != amount:
        return []
    return [(detail, share) for detail, (share, _) in found]


def _described(draft: Draft, entry: Node, details: list[Node], account: Account) -> Draft:
    """The draft with its text, counterparty, id and attributes."""
    reversal = entry.value("RvslInd") in ("true", "1")
    only = details[0] if len(details) == 1 else None
    parties = dict.fromkeys(_party(d, draft, reversal, account) for d in details)
    party, party_account = next(iter(parties)) if len(parties) == 1 else ("", "")
    booking_text = entry.value("AddtlNtryInf")
    bank_code = _bank_code(only) or _bank_code(entry) if only else _bank_code(entry)
    remittance = " ".join(dict.fromkeys(text for d in details if (text := _remittance(d))))[:_MAX_TEXT]
    text = remittance or booking_text or party or bank_code or ("credit" if (draft.amount or 0) > 0 else "debit")
    attributes = {
        "booking_text": booking_text if remittance else "",
        "bank_code": bank_code,
        "value_date": str(_day(entry.value("ValDt/Dt", "ValDt/DtTm")) or ""),
        "counterparty_account": party_account,
        "reversal": "true" if reversal else "",
        "transactions": str(len(details)) if len(details) > 1 else "",
    }
    if only:
        end_to_end = only.value("Refs/EndToEndId")
        attributes |= {
            "end_to_end_id": "" if end_to_end.upper() in _NO_REFERENCE else end_to_end,
            "mandate_id": only.value("Refs/MndtId"),
            "creditor_reference": only.value("RmtInf/Strd/CdtrRefInf/Ref"),
            "purpose": only.value("Purp/Cd", "Purp/Prtry"),
            "instructed": _instructed(only, draft),
        }
    return replace(
        draft,
        text=text,
        counterparty=party,
        external_id=_id(draft, entry, only),
        attributes={key: value for key, value in attributes.items() if value},
    )


def _instructed(detail: Node, draft: Draft) -> str:
    """`12.50 USD` where the payment was ordered in another currency than the account's."""
    amount = detail.at("AmtDtls/InstdAmt/Amt")
    named = amount.attributes.get("Ccy", "") if amount else ""
    return f"{amount.text.strip()} {named}" if amount and named and named != draft.currency else ""


def _remittance(detail: Node) -> str:
    texts = [node.text.strip() for node in detail.all("RmtInf/Ustrd")]
    texts += [node.text.strip() for node in detail.all("RmtInf/Strd/AddtlRmtInf")]
    joined = " ".join(text for text in dict.fromkeys(texts) if text)
    return joined or detail.value("RmtInf/Strd/CdtrRefInf/Ref", "AddtlTxInf")


def _party(detail: Node, draft: Draft, reversal: bool, account: Account) -> tuple[str, str]:
    """Who stands on the other side, and their account: the debtor of what came in, the creditor of what went out.

    A reversal names the parties as the first booking did. Banks often name the account's owner, who is never meant.
    """
    came_in = (draft.amount or 0) > 0
    for role in ("Dbtr", "Cdtr") if came_in != reversal else ("Cdtr", "Dbtr"):
        paths = (f"{role}/Pty/Nm", f"{role}/Nm", f"{role}/Agt/FinInstnId/Nm", f"Ultmt{role}/Pty/Nm", f"Ultmt{role}/Nm")
        name = detail.value(*(f"RltdPties/{path}" for path in paths))
        number = detail.value(f"RltdPties/{role}Acct/Id/IBAN", f"RltdPties/{role}Acct/Id/Othr/Id")
        own = number == account.number if number and account.number else bool(name) and name.casefold() == account.owner
        if (name or number) and not own:
            return name, number
    return "", ""


def _bank_code(node: Node) -> str:
    """What kind of booking it is: ISO's code of domain, family and subfamily, else the bank's own."""
    domain = node.at("BkTxCd/Domn")
    if domain is None:
        return node.value("BkTxCd/Prtry/Cd")
    codes = (domain.value("Cd"), domain.value("Fmly/Cd"), domain.value("Fmly/SubFmlyCd"))
    return "-".join(code for code in codes if code)


def _reference(*references: str) -> str:
    return next((r for r in references if r.upper() not in _NO_REFERENCE), "")


def _id(draft: Draft, entry: Node, detail: Node | None) -> str | None:
    """The bank's own reference; else the payer's, which stands for one payment with its day and amount alone."""
    reference = _reference(entry.value("AcctSvcrRef"), detail.value("Refs/AcctSvcrRef") if detail else "")
    if reference:
        return reference
    number = _reference(entry.value("NtryRef"))
    if number and not _ROW_NUMBER.fullmatch(number):
        return number
    given = _reference(*(detail.value(f"Refs/{name}") for name in ("TxId", "EndToEndId"))) if detail else ""
    return f"{given}{_day_and_amount(draft)}" if given else None


def id_is_by_day(draft: Draft) -> bool:
    """Whether another day would make another record of it."""
    return draft.external_id is None or draft.external_id.endswith(_day_and_amount(draft))


def _day_and_amount(draft: Draft) -> str:
    return f":{draft.occurred_at.isoformat()}:{(draft.amount or Decimal(0)).normalize():f}"


def _part_id(draft: Draft, entry: Node, detail: Node, number: int) -> str | None:
    """The id of one of several transactions of an entry: its own reference within the entry's, else its place."""
    own = _reference(detail.value("Refs/AcctSvcrRef"))
    within = _reference(entry.value("AcctSvcrRef"))
    if own and own != within:
        return own
    given = _reference(*(detail.value(f"Refs/{name}") for name in ("TxId", "InstrId", "EndToEndId")))
    if within:
        return f"{within}/{given or number}"
    return draft.external_id


def _day(text: str) -> date | None:
    """The calendar day as the bank wrote it: a time is mostly midnight, and another zone would shift it."""
    match = _DATE.match(text.strip())
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None
