"""The connector: from the messages of a file to batches.

Own code: the library `pycamt` reads no CAMT.054, takes a part's amount for the entry's also where it says 0 or is in
another currency, and holds a whole document in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from plugins.camt_file.entries import Account, amount_of, drafts_of, id_is_by_day
from plugins.camt_file.pending import Forebears
from plugins.camt_file.xml import Node, check, parts
from plugins.statements import Identities, Item, Sums, batched, readable
from sortation import Batch, Context, Draft, ReadRequest, UnreadableFile

_REPORTS = frozenset({"Stmt", "Rpt", "Ntfctn"})
_OPENING = ("OPBD", "PRCD")
_CLOSING = ("CLBD", "ITBD")
"""The balances of what is booked, the surest first; those of what is available tell nothing of the entries."""
_FORMATS = (b"camt.052", b"camt.053", b"camt.054", b"<BkToCstmr", b":BkToCstmr")

Balance = tuple[Decimal, str]


class CamtFile:
    """The connector of CAMT files; it needs no configuration."""

    def detect(self, sample: bytes, filename: str) -> float:
        head = sample[:8192].replace(b"\0", b"")
        if b"<" not in head[:64]:
            return 0.0
        if any(name in head for name in _FORMATS):
            return 0.98
        return 0.35 if filename.lower().endswith((".camt", ".c52", ".c53", ".c54")) else 0.0

    def read(self, _: Context, request: ReadRequest) -> Iterator[Batch]:
        if request.file is None:
            raise UnreadableFile("a CAMT connection reads a file, and there is none")
        check(request.file)
        return batched(readable(_items(parts(request.file, _REPORTS)), "entries"), request.batch_size)


def _items(found: Iterator[Node | str]) -> Iterator[Item]:
    identities, forebears = Identities(), Forebears()
    position = reports = 0
    for _ in found:
        reports += 1
        identities.new_statement()
        account, balances, sums = Account(), dict[str, Balance](), Sums()
        for part in found:
            if not isinstance(part, Node):
                break
            if part.name == "Acct":
                account = account.described(part)
            elif part.name == "CreDtTm":
                account = account.reported(part.text)
            elif part.name == "Bal":
                _keep(part, balances)
            elif part.name == "Ntry":
                position += 1
                for item in drafts_of(part, account, position):
                    if isinstance(item, Draft):
                        sums.add(item)
                        by_day = id_is_by_day(item)
                        item = identities.distinct(item)
                        item = forebears.linked(item) if by_day else item
                    yield item
        opening, closing = (next((balances[b] for b in kinds if b in balances), None) for kinds in (_OPENING, _CLOSING))
        yield from sums.statements(account.number, opening, closing)
    if not reports:
        raise UnreadableFile("there is no statement in this file (no Stmt, Rpt or Ntfctn of CAMT.053, 052 or 054)")


def _keep(balance: Node, balances: dict[str, Balance]) -> None:
    """The first opening balance of a kind, and the last closing one: some banks give one a day."""
    kind = balance.value("Tp/CdOrPrtry/Cd", "Tp/CdOrPrtry/Prtry")
    try:
        amount, currency = amount_of(balance)
    except ValueError:
        return
    if kind in _OPENING:
        balances.setdefault(kind, (amount, currency))
    elif kind in _CLOSING:
        balances[kind] = (amount, currency)
