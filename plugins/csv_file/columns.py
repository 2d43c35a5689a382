"""The columns of a table: which of them suits a meaning, by its name and by what stands in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.domain.amount_texts import currency_of, is_amount
from core.errors import UnreadableFile
from plugins.csv_file.headers import currency_in, roles_of
from plugins.csv_file.table import Table

_OUT = (
    "d dr dbit debit s soll af lastschrift belastung debet dare cargo debe out outgoing withdrawal addebito ausgang -"
)
_IN = "c cr crdt credit h haben bij gutschrift avere abono haber in incoming deposit accredito eingang crédit +"
SIGNS = dict.fromkeys([*_OUT.split(), "débit"], -1) | dict.fromkeys(_IN.split(), 1)
"""What an indicator column says (case-folded) → the sign of the amount beside it."""


class Columns:
    """The columns that no role has taken yet, and what stands in them in the sample."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.used: set[int] = set()
        self.guessed = not table.titled
        self.roles = [roles_of(name) if table.titled else {} for name in table.header]

    def __str__(self) -> str:
        return ", ".join(self.table.header)[:300]

    def cells(self, at: int) -> list[str]:
        """What stands in a column of the sample, without the empty ones."""
        return [cell for row in self.table.sample if (cell := row[at].strip())]

    def named(self, names: str | Sequence[str], role: str) -> tuple[int, ...]:
        """The columns that a mapping names; raises `UnreadableFile` when one does not exist."""
        known = {name.casefold(): at for at, name in reversed(list(enumerate(self.table.header)))}
        found = []
        for name in [names] if isinstance(names, str) else names:
            at = known.get(name.strip().casefold())
            if at is None:
                raise UnreadableFile(f"the mapping takes {role} from {name!r}; there are only: {self}")
            found.append(at)
        self.used.update(found)
        return tuple(found)

    def pick(
        self,
        role: str,
        test: Callable[[str], object] | None = None,
        *,
        guess: bool = False,
        few: bool = False,
        keep: bool = False,
    ) -> int | None:
        """Takes the column whose name suits `role` best among those of which most cells pass `test`, else some.

        `guess`: where no name suits, the first unknown column whose cells pass; `few`: only one whose values repeat;
        `keep`: the column stays an attribute too.
        """
        ranked = sorted((rank[role], at) for at, rank in enumerate(self.roles) if role in rank and at not in self.used)
        named = [at for _, at in ranked if not few or self._repeats(at)]
        found = named[0] if named and test is None else None
        if test is not None:
            passing = [(share(test, cells) if (cells := self.cells(at)) else 1.0, at) for at in named]
            mostly = (at for passed, at in passing if passed > 0.6)
            some = (at for passed, at in passing if passed > 0)
            guessed = (at for at in self.unknown() if guess and share(test, self.cells(at)) > 0.8)
            found = next((at for group in (mostly, some, guessed) for at in group), None)
        if found is not None:
            self.guessed = self.guessed or found not in named
            if not keep:
                self.used.add(found)
        return found

    def _repeats(self, at: int) -> bool:
        cells = self.cells(at)
        return len(set(cells)) <= max(1, len(cells) // 10)

    def unknown(self) -> list[int]:
        """The filled columns whose names say nothing."""
        return [at for at, roles in enumerate(self.roles) if not roles and at not in self.used and self.cells(at)]

    def every(self, role: str) -> tuple[int, ...]:
        """Takes all columns whose name suits `role`."""
        found = tuple(at for at, roles in enumerate(self.roles) if role in roles and at not in self.used)
        self.used.update(found)
        return found

    def money(self) -> tuple[int | None, int | None, int | None]:
        """The columns (amount, debit, credit): one signed amount, or a pair of which each row fills one.

        A column called amount is one even if no cell of it can be read: its rows are refused, not read without it.
        """
        single = self.pick("amount", is_amount, keep=True)
        if single is None:
            single = self.pick("maybe_amount", is_amount, keep=True)
        if single is None or not any(is_negative(cell) for cell in self.cells(single)):
            debit, credit = self.pick("debit", is_amount), self.pick("credit", is_amount)
            if debit is not None or credit is not None:
                return None, debit, credit
        if single is None:
            single = next((at for at, roles in enumerate(self.roles) if "amount" in roles and self.cells(at)), None)
        if single is None:
            numeric = [at for at in self.unknown() if share(is_amount, self.cells(at)) > 0.8]
            single = min(numeric, key=lambda at: not any(map(is_negative, self.cells(at))), default=None)
            self.guessed = True
        if single is not None:
            self.used.add(single)
        return single, None, None

    def parties(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The columns of who is paid and who pays; one of them stands for both where the other is missing.

        A column of either that is not always filled leaves the rest to what others name.
        """
        both = self.pick("counterparty")
        if both is not None:
            if all(row[both].strip() for row in self.table.sample):
                return (both,), (both,)
            more = (self.pick(role) for role in ("counterparty", "counterparty", "payee", "payer"))
            found = (both, *(at for at in more if at is not None))
            return found, found
        payee, payer = self.pick("payee"), self.pick("payer")
        payees = tuple(at for at in (payee, payer) if at is not None)
        return payees, payees[::-1]

    def identifying(self) -> int | None:
        """A column of ids: all different in the sample, and no row numbers, which each file counts anew."""
        for at, roles in enumerate(self.roles):
            cells = self.cells(at)
            if "external_id" not in roles or at in self.used or not cells or len(set(cells)) < len(cells):
                continue
            numbers = [int(cell) for cell in cells if cell.isascii() and cell.isdigit() and len(cell) < 10]
            counted = range(numbers[0], numbers[0] + len(cells)) if numbers and numbers[0] <= 1 else ()
            if numbers == list(counted) and numbers:
                continue
            self.used.add(at)
            return at
        return None

    def wordy(self) -> tuple[int, ...]:
        """The unknown column with the longest texts."""

        def letters(at: int) -> int:
            return sum(character.isalpha() for cell in self.cells(at) for character in cell)

        best = max(self.unknown(), key=letters, default=None)
        if best is None or letters(best) < len(self.cells(best)):
            return ()
        self.guessed = True
        self.used.add(best)
        return (best,)

    def indicator(self, amount: int) -> int | None:
        """The column that says which amounts go out, where the amounts themselves have no sign."""
        if any(is_negative(cell) for cell in self.cells(amount)):
            return None
        return next(
            (
                at
                for at, roles in enumerate(self.roles)
                if "indicator" in roles and self.cells(at) and all(c.casefold() in SIGNS for c in self.cells(at))
            ),
            None,
        )

    def currency_of_headers(self, money_columns: Sequence[int], default: str) -> str:
        """The currency that the amounts' header names, else `default`."""
        for at in money_columns:
            if named := currency_in(self.table.header[at]):
                return currency_of(named, default)
        return default


def share(test: Callable[[str], object], cells: Sequence[str]) -> float:
    """How many of `cells` pass (0 to 1); a `ValueError` is a fail."""
    passed = 0
    for cell in cells:
        try:
            passed += bool(test(cell))
        except ValueError:
            continue
    return passed / len(cells) if cells else 0.0


def is_negative(cell: str) -> bool:
    return any(sign in cell for sign in "-−–(") or cell.upper().endswith((" DR", " D", " S"))
