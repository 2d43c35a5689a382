"""What the list of receipts is filtered by, read out of an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from marshmallow import EXCLUDE, ValidationError
from werkzeug.datastructures import MultiDict

from entrypoints.api.receipts import receipt_filter
from entrypoints.api.schemas.receipts import ReceiptsQuerySchema
from entrypoints.console.fields import said_of
from ports.receipt_storage import ReceiptFilter

_NAMES = ("status", "text", "since", "until", "min_amount", "max_amount", "currency")
SELDOM = frozenset({"min_amount", "max_amount", "currency"})
"""Those behind “More filters”."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """`given` is what the form shows, by name; `where` is None while something in it does not hold, which `errors`
    tell by name."""

    given: Mapping[str, str]
    where: ReceiptFilter | None
    errors: Mapping[str, str]

    def address(self, path: str, **others: str | None) -> str:
        """The path with these filters; of `others`, those that are None leave theirs out."""
        left = {name: value for name, value in {**self.given, **others}.items() if value}
        return f"{path}?{urlencode(left)}" if left else path


def read_filters(args: MultiDict[str, str]) -> Filters:
    """What is blank is left out, and what the list does not know is none of its business."""
    given = {name: value for name in _NAMES if (value := args.get(name, "").strip().replace("\x00", ""))}
    if "currency" in given:
        given["currency"] = given["currency"].upper()
    try:
        loaded = ReceiptsQuerySchema(exclude=("before", "limit"), unknown=EXCLUDE).load(given)
    except ValidationError as error:
        return Filters(given=given, where=None, errors=said_of(error))
    return Filters(given=given, where=receipt_filter(loaded), errors={})
