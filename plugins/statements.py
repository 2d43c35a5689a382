"""What the connectors of bank statements share: reading a file whole, ids that stay distinct, sums, and batches."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import BinaryIO

from sortation import Batch, Draft, Refusal, Statement, UnreadableFile

Item = Draft | Refusal | Statement
MAX_REASON = 300


def shortened(reason: str) -> str:
    """A reason in one line of at most `MAX_REASON` characters, however much of the file it quotes."""
    line = " ".join(reason[: 2 * MAX_REASON].split())
    return line if len(line) <= MAX_REASON else f"{line[: MAX_REASON - 1]}…"


def read_whole(file: BinaryIO | None, max_bytes: int) -> bytes:
    """All of a file that is parsed as a whole; raises `UnreadableFile` when it is larger than that allows."""
    if file is None:
        raise UnreadableFile("this connection reads a file, and there is none")
    content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnreadableFile(f"the file is larger than {max_bytes >> 20} MiB: export a shorter time at once")
    return content


def lines_of(text: str) -> Iterator[str]:
    """The lines without their ends, of whichever system, one at a time."""
    return (line.rstrip("\n") for line in io.StringIO(text, newline=None))


def decoded(content: bytes) -> str:
    """The text of a format that declares no encoding: a byte order mark's, UTF-8, else what western banks write."""
    boms = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ()
    for encoding in (*boms, "utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


class Identities:
    """Keeps the ids of a source distinct where a bank gives one to several things, the same way each time it is read.

    Different contents under one id: the later ones get a suffix made of their content. Equal ones within a statement
    are counted; in another statement of the file they are what was there already.
    """

    def __init__(self) -> None:
        self._firsts: dict[tuple[str, str], str] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def new_statement(self) -> None:
        self._counts.clear()

    def distinct(self, draft: Draft) -> Draft:
        id = draft.external_id
        if id is None:
            return draft
        content = hashlib.sha256(repr(draft).encode()).hexdigest()[:8]
        if self._firsts.setdefault((draft.account, id), content) != content:
            id = f"{id}#{content}"
        self._counts[draft.account, id] += 1
        count = self._counts[draft.account, id]
        return replace(draft, external_id=id if count == 1 else f"{id}#{count}")


class Sums:
    """What was booked in one statement, by currency."""

    def __init__(self) -> None:
        self.totals: dict[str, Decimal] = {}

    def add(self, draft: Draft) -> None:
        if draft.amount is not None and draft.currency and not draft.pending:
            self.totals[draft.currency] = self.totals.get(draft.currency, Decimal(0)) + draft.amount

    def statements(
        self, account: str, opening: tuple[Decimal, str] | None, closing: tuple[Decimal, str] | None
    ) -> Iterator[Statement]:
        """One for each currency that has a balance: amounts of different currencies are never added."""
        for currency in dict.fromkeys(balance[1] for balance in (opening, closing) if balance):
            yield Statement(
                account=account,
                currency=currency,
                opening=opening[0] if opening and opening[1] == currency else None,
                closing=closing[0] if closing and closing[1] == currency else None,
                total=self.totals.get(currency, Decimal(0)),
            )


def readable(items: Iterator[Item], what: str = "transactions") -> Iterator[Item]:
    """The same items; raises `UnreadableFile` where there are refusals and not one draft."""
    waiting: list[Item] = []
    for item in items:
        waiting.append(item)
        if isinstance(item, Draft):
            yield from waiting
            yield from items
            return
    refusals = [item for item in waiting if isinstance(item, Refusal)]
    if refusals:
        raise UnreadableFile(
            f"none of its {len(refusals)} {what} can be read; the first: {shortened(refusals[0].reason)}"
        )
    yield from waiting


def batched(items: Iterable[Item], size: int) -> Iterator[Batch]:
    """Batches of at most `size` drafts and refusals; a statement goes with the last batch of what stands before it."""
    drafts: list[Draft] = []
    refusals: list[Refusal] = []
    statements: list[Statement] = []

    def batch() -> Batch:
        made = Batch(drafts=tuple(drafts), refusals=tuple(refusals), statements=tuple(statements))
        for part in (drafts, refusals, statements):
            part.clear()
        return made

    for item in items:
        if isinstance(item, Statement):
            statements.append(item)
            continue
        if len(drafts) + len(refusals) >= size:
            yield batch()
        if isinstance(item, Draft):
            drafts.append(item)
        else:
            refusals.append(Refusal(position=item.position, reason=shortened(item.reason)))
    if drafts or refusals or statements:
        yield batch()
