"""Stripe's own library, whose requests the host sends: a connector has no sockets, and need not know the key."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import stripe

from plugins.stripe_balance import API
from sortation import Context, PermissionDenied, SchemaChanged

PAGE = 100
T = TypeVar("T")
_KEPT = frozenset({"accept", "content-type", "idempotency-key", "stripe-account", "stripe-version"})
"""Headers of the library's that are sent: the host identifies itself, and nothing is told of this machine."""
_NO_LONGER = (400, 404)
_SET_BY_THE_HOST = "set-by-the-host"


class Forgotten(Exception):
    """Stripe does not know the transaction that was to be gone on from."""


class Client:
    def __init__(self, ctx: Context) -> None:
        self._log = ctx.log
        self._sender = _Sender(ctx)
        self._expands = True
        self._stripe = stripe.StripeClient(
            _SET_BY_THE_HOST,
            stripe_account=ctx.config.get("account"),
            base_addresses={"api": ctx.config.get("base_url", API).rstrip("/")},
            max_network_retries=0,
            http_client=self._sender,
        )

    def page(
        self, *, since: int | None, after: str | None, limit: int = PAGE, may_be_forgotten: bool = False
    ) -> tuple[list[dict[str, Any]], bool]:
        """Balance transactions from the instant `since` on, newest first, those that follow `after`; and whether there
        are more. Raises the errors of the contract; `Forgotten`, where that may be."""
        params: dict[str, Any] = {"limit": limit}
        if since is not None:
            params["created"] = {"gte": since}
        if after is not None:
            params["starting_after"] = after
        self._sender.accept = _NO_LONGER if may_be_forgotten else ()

        def ask(asked: Any) -> tuple[list[dict[str, Any]], bool]:
            found = self._stripe.v1.balance_transactions.list(asked)
            return [one.to_dict() for one in found.data], bool(found.has_more)

        return self._asked("data.source", ask, params)

    def one(self, id: str) -> dict[str, Any]:
        self._sender.accept = ()

        def ask(asked: Any) -> dict[str, Any]:
            return self._stripe.v1.balance_transactions.retrieve(id, asked).to_dict()

        return self._asked("source", ask, {})

    @property
    def details(self) -> bool:
        """Whether the key may read what transactions are of."""
        return self._expands

    def _asked(self, expand: str, ask: Callable[[Any], T], params: Mapping[str, Any]) -> T:
        try:
            if self._expands:
                try:
                    return ask({**params, "expand": [expand]})
                except PermissionDenied:
                    found = ask(dict(params))
                    self._expands = False
                    self._log.warning("the key may not read what transactions are of: their texts are Stripe's alone")
                    return found
            return ask(dict(params))
        except stripe.InvalidRequestError as error:
            raise Forgotten from error
        except (stripe.StripeError, AttributeError, TypeError) as error:
            raise SchemaChanged(f"Stripe's answer is not what its library knows: {error}") from error


class _Sender(stripe.HTTPClient):
    name = "host"

    def __init__(self, ctx: Context) -> None:
        super().__init__()
        self._http = ctx.http
        self.accept: Collection[int] = ()

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        answer = self._http.request(
            method.upper(),
            url,
            headers={name: value for name, value in (headers or {}).items() if name.lower() in _KEPT},
            content=post_data.encode() if isinstance(post_data, str) else post_data,
            accept=self.accept,
        )
        return answer.content.decode("utf-8", "replace"), answer.status, answer.headers
