"""What a scripted source has, and how it hands it out: the kit changes both, the author's `serve` puts it into JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

FIRST = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
Incremental = Literal["changed_at", "at", "arrival", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that the source has. `at` is when it happened, `changed_at` when it was last changed there; `number`
    is unlike that of any other item of the source."""

    number: int
    at: datetime
    changed_at: datetime
    text: str
    counterparty: str
    amount: Decimal
    currency: str = "EUR"

    @property
    def id(self) -> str:
        return f"item-{self.number:05d}"


class Source:
    """The items of each stream, in the order in which they came; a source of one stream needs no names.

    `incremental` is what the source can be asked for: what changed (`"changed_at"`) or happened (`"at"`) from an
    instant on, what came after an item (`"arrival"`), or nothing of the kind (`""`).
    """

    def __init__(
        self,
        incremental: Incremental = "changed_at",
        *,
        tenant: int = 0,
        page_size: int = 3,
        shuffled: bool = False,
        empty_pages: bool = False,
        newest_first: bool = False,
    ) -> None:
        self.streams: Sequence[str] = ()
        self.incremental = incremental
        self.page_size = page_size
        self.shuffled = shuffled
        self.empty_pages = empty_pages
        self.newest_first = newest_first
        self._tenant = tenant
        self._items: dict[str, list[Item]] = {}
        self._count = 0

    def items(self, stream: str = "") -> list[Item]:
        """What the stream has: seven items at first, among them two that came, happened and changed at the same instant
        and stand on both sides of the end of a page."""
        key = self._key(stream)
        if key not in self._items:
            self._items[key] = []
            for hour in (0, 1, 2, 2, 3, 4, 5):
                self.add(stream, at=FIRST + timedelta(hours=hour))
        return self._items[key]

    def add(self, stream: str = "", *, at: datetime, changed_at: datetime | None = None) -> Item:
        items = self.items(stream) if self._key(stream) not in self._items else self._items[self._key(stream)]
        self._count += 1
        number = self._tenant * 10_000 + list(self._items).index(self._key(stream)) * 1_000 + self._count
        item = Item(
            number=number,
            at=at,
            changed_at=changed_at or at + timedelta(minutes=20),
            text=f"Invoice {number} Müller & Söhne",
            counterparty=f"Müller & Söhne {number % 3}",
            amount=Decimal(f"{-1 if number % 3 else 1}{number % 90 + 10}.{number % 100:02d}"),
        )
        items.append(item)
        return item

    def remove(self, item: Item) -> None:
        for items in self._items.values():
            if item in items:
                items.remove(item)

    def restore(self, item: Item, stream: str = "") -> None:
        """Undoes `remove`, where it was the first."""
        self.items(stream).insert(0, item)

    def newest(self, stream: str = "") -> Item:
        """The one that came, happened or changed last."""
        return self._ordered(stream)[-1]

    def has(self, id: str) -> bool:
        return any(item.id == id for items in self._items.values() for item in items)

    def pages(
        self, stream: str = "", *, since: datetime | None = None, after: str | None = None, size: int | None = None
    ) -> list[list[Item]]:
        """What a request for the items that happened or changed `since`, or came `after` the one with that id, is
        answered with, page by page; at least one, which may be empty. `size` is the size of page that was asked for."""
        found = self._ordered(stream)[:: -1 if self.newest_first else 1]
        if since is not None and self.incremental in ("changed_at", "at"):
            found = [item for item in found if getattr(item, self.incremental) >= since]
        if self.shuffled:
            found.sort(key=lambda item: item.number * 7_919 % 1_009)  # no order that means anything, and it stays
        if after is not None:
            places = [place for place, item in enumerate(found, start=1) if item.id == after]
            found = found[places[0] :] if places else []
        most = max(1, min(size or self.page_size, self.page_size))
        pages = [found[start : start + most] for start in range(0, len(found), most)] or [[]]
        if self.empty_pages and pages[0]:
            pages[1:1] = [[]]
        return pages

    def page(self, number: int, stream: str = "", **asked: Any) -> tuple[list[Item], bool]:
        """The items of page `number` (from 1 on) of `pages(stream, **asked)`, and whether there are more pages."""
        pages = self.pages(stream, **asked)
        return (pages[number - 1] if 0 < number <= len(pages) else []), number < len(pages)

    def _ordered(self, stream: str) -> list[Item]:
        items = self.items(stream)
        if self.incremental in ("changed_at", "at"):
            return sorted(items, key=lambda item: (getattr(item, self.incremental), item.number))
        return list(items)

    def _key(self, stream: str) -> str:
        return stream if len(self.streams) > 1 else ""


def expected(item: Item) -> Mapping[str, Any]:
    """The fields of the draft that an item becomes, as far as the kit can guess them."""
    return {"external_id": item.id, "amount": item.amount, "currency": item.currency, "occurred_at": item.at}
