"""A little of Stripe: balance transactions, newest first, in pages that are told by the last one's id."""

from __future__ import annotations

from typing import Any

from tests.stubs.source_server import Reply, Request

KEY = "rk_test_canary"


def a_transaction(id: str, created: int, amount: int = 1_000, **fields: Any) -> dict[str, Any]:
    fee = fields.get("fee", 0)
    return {
        "id": id,
        "object": "balance_transaction",
        "amount": amount,
        "available_on": created + 172_800,
        "created": created,
        "currency": "eur",
        "description": None,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [],
        "net": amount - fee,
        "reporting_category": "charge",
        "source": f"ch_{id}",
        "status": "available",
        "type": "charge",
    } | fields


class StripeStub:
    """`stored` are its transactions in any order, `sources` what they are of, by id; `denied` keys may not read these.
    It is an answering of `SourceServer`."""

    def __init__(self) -> None:
        self.stored: list[dict[str, Any]] = []
        self.sources: dict[str, dict[str, Any]] = {}
        self.denied = False
        self.page = 3

    def __call__(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return _wrong(401, "Invalid API Key provided")
        expands = any(name.startswith("expand") for name, _ in request.pairs)
        if expands and self.denied:
            return _wrong(403, "The provided key does not have the required permissions", "more_permissions_required")
        path = request.path.removeprefix("/v1/balance_transactions")
        if path:
            found = [one for one in self.stored if one["id"] == path.removeprefix("/")]
            return Reply(body=self._shown(found[0], expands)) if found else _wrong(404, "No such balance_transaction")
        newest = sorted(self.stored, key=lambda one: (one["created"], one["id"]), reverse=True)
        newest = [one for one in newest if one["created"] >= int(request.query.get("created[gte]", "0"))]
        ids = [one["id"] for one in newest]
        start = 0
        if after := request.query.get("starting_after"):
            if after not in ids:
                return _wrong(400, f"No such balance_transaction: {after}")
            start = ids.index(after) + 1
        size = min(int(request.query["limit"]), self.page)
        page = [self._shown(one, expands) for one in newest[start : start + size]]
        more = start + size < len(newest)
        return Reply(body={"object": "list", "url": "/v1/balance_transactions", "has_more": more, "data": page})

    def _shown(self, one: dict[str, Any], expands: bool) -> dict[str, Any]:
        return {**one, "source": self.sources.get(one["source"], one["source"])} if expands else one


def _wrong(status: int, message: str, code: str = "") -> Reply:
    return Reply(status=status, body={"error": {"type": "invalid_request_error", "message": message, "code": code}})
