"""Entries that the bank gives no reference of are known by their day, which may change when a pending one is booked."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

from sortation import Draft


class Forebears:
    """Tells a booked entry the id that it had while it was pending: by what does not change then, the value date, the
    amount, and the payer's reference or else the texts; and by how often that occurred among the file's pending, or
    booked, entries. Such ids are of pending entries alone: whatever a booked one is like, it is never taken for one
    that was booked before."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[bool, str, str]] = Counter()

    def linked(self, draft: Draft) -> Draft:
        reference = draft.attributes.get("end_to_end_id", "")
        day = draft.attributes.get("value_date") or draft.occurred_at.isoformat()
        amount = "" if draft.amount is None else f"{draft.amount.normalize():f}"
        said = (reference,) if reference else (draft.text, draft.counterparty)
        key = hashlib.sha256("\x1f".join((day, amount, draft.currency or "", *said)).encode()).hexdigest()[:32]
        count = self._counts[draft.pending, draft.account, key] = self._counts[draft.pending, draft.account, key] + 1
        id = f"pending:{key}:{count}"
        return replace(draft, external_id=id) if draft.pending else replace(draft, pending_external_id=id)
