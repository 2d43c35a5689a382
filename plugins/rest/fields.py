"""From an object of a source to a draft, as the declaration's `fields` say."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from core.domain.minor_units import from_minor
from plugins.json_lines import plain
from plugins.rest.moments import Format
from plugins.rest.paths import Condition, Source
from sortation import Draft


class Fields:
    """Raises `ConfigInvalid` for what the schema allows and is no JSONPath or time zone."""

    def __init__(self, given: Mapping[str, Any], place: str) -> None:
        def source(name: str) -> Source | None:
            return Source(given[name], f"{place}.{name}") if name in given else None

        self._texts = _sources(given["text"], f"{place}.text")
        self._ids = _sources(given["external_id"], f"{place}.external_id")
        when = given["occurred_at"] if isinstance(given["occurred_at"], dict) else {"path": given["occurred_at"]}
        self._when = Source(when["path"], f"{place}.occurred_at.path")
        self._format = Format(when.get("format", "iso"), when.get("zone", "UTC"), f"{place}.occurred_at")
        self._counterparty, self._account = source("counterparty"), source("account")
        self._kind, self._currency = source("kind"), source("currency")
        self._amount = _Amount(given["amount"], f"{place}.amount") if "amount" in given else None
        self._pending = Condition(given["pending"], f"{place}.pending") if "pending" in given else None
        self._attributes = {
            name: Source(text, f"{place}.attributes.{name}") for name, text in given.get("attributes", {}).items()
        }
        self.kind = (self._kind.constant if self._kind else "") or "transaction"
        """Of all records, or of most where it is a field of theirs."""

    def draft(self, item: Any, default_currency: str) -> Draft:
        """Raises `ValueError` with the reason why there is none."""
        if not isinstance(item, dict):
            raise ValueError("it is no JSON object")
        ids = [_text(one.of(item)) for one in self._ids]
        if not all(ids):
            raise ValueError("it has no external_id")
        currency, amount = None, None
        if self._amount is not None:
            currency = (_text(self._currency.of(item)) if self._currency else "").upper() or default_currency
            amount = self._amount.of(item, currency)
        counterparty = _optional(self._counterparty, item)
        texts = filter(None, (_text(one.of(item)) for one in self._texts))
        raw: dict[str, Any] = plain(item)
        return Draft(
            text=" ".join(texts) or counterparty,
            occurred_at=self._format.parse(self._when.of(item)),
            kind=_optional(self._kind, item) or self.kind,
            account=_optional(self._account, item),
            external_id=":".join(ids),
            counterparty=counterparty,
            amount=amount,
            currency=None if amount is None else currency,
            attributes={
                name: plain(value)
                for name, source in self._attributes.items()
                if (value := source.of(item)) is not None
            },
            raw=raw,
            pending=self._pending is not None and self._pending.holds(item),
        )


class _Amount:
    def __init__(self, given: str | Mapping[str, Any], place: str) -> None:
        said: Mapping[str, Any] = {"path": given} if isinstance(given, str) else given
        self._source = Source(said["path"], f"{place}.path")
        self._minor: bool = said.get("minor_units", False)
        self._negate: bool = said.get("negate", False)
        self._outflow = Condition(said["outflow"], f"{place}.outflow") if "outflow" in said else None

    def of(self, item: Any, currency: str) -> Decimal | None:
        value = self._source.of(item)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise ValueError("the amount is no number")
        try:
            amount = Decimal(value)
        except InvalidOperation:
            raise ValueError(f"the amount {value!r} is no number") from None
        if not amount.is_finite():
            raise ValueError(f"the amount {value!r} is no number")
        if self._minor:
            amount = from_minor(amount, currency)
        if self._outflow is not None:
            size = amount.copy_abs()
            return size.copy_negate() if self._outflow.holds(item) else size
        return amount.copy_negate() if self._negate else amount


def _sources(given: str | list[str], place: str) -> list[Source]:
    return [Source(text, place) for text in ([given] if isinstance(given, str) else given)]


def _optional(source: Source | None, item: Any) -> str:
    return "" if source is None else _text(source.of(item))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | Decimal):
        return str(value)
    raise ValueError(f"there is {'an object' if isinstance(value, dict) else 'a list'} where a text is needed")
