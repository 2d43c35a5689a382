"""Reads Stripe's balance transactions, and takes events as word of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from plugins.stripe_balance.client import PAGE, Client, Forgotten
from plugins.stripe_balance.drafts import drafts_of
from sortation import (
    Batch,
    ConfigInvalid,
    Connector,
    Context,
    CursorInvalid,
    Draft,
    PermissionDenied,
    ReadRequest,
    Refusal,
    SchemaChanged,
    StreamCheck,
    StreamInfo,
    WebhookMessage,
)

STREAM = "balance_transactions"
OVERLAP = 3_600
"""Seconds: what Stripe shows with some delay is not missed."""
_ODD = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a round is, which reads from the newest back to `since`. `after` is the last transaction that is stored,
    and of the one that follows it, `within`, the first `part` drafts are. `newest` and `pending` are the instants of
    the newest and of the oldest pending transaction of the round so far."""

    since: int | None = None
    after: str | None = None
    within: str | None = None
    part: int = 0
    newest: int | None = None
    pending: int | None = None

    @classmethod
    def of(cls, cursor: Mapping[str, Any] | None) -> Self:
        try:
            return cls(**(cursor or {}))
        except TypeError:
            raise CursorInvalid from None

    def cursor(self) -> dict[str, Any]:
        kept = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in kept.items() if value not in (None, 0)}

    def past(self, transaction: Mapping[str, Any]) -> Place:
        created = transaction["created"]
        pending = created if transaction.get("status") == "pending" else None
        return replace(
            self,
            after=transaction["id"],
            within=None,
            part=0,
            newest=max(created, self.newest or created),
            pending=min((p for p in (pending, self.pending) if p is not None), default=None),
        )

    def next_round(self) -> Place:
        """It begins early enough to see again what was pending."""
        if self.newest is None:
            return Place(since=self.since)
        begins = self.newest - OVERLAP
        return Place(since=begins if self.pending is None else min(begins, self.pending))


class StripeBalance(Connector):
    def check(self, ctx: Context) -> Sequence[StreamCheck]:
        client = Client(ctx)
        try:
            if "start" in ctx.config:
                _start(ctx.config["start"])
            client.page(since=None, after=None, limit=1)
        except PermissionDenied:
            return [StreamCheck(stream=STREAM, ok=False, reason="the key may not read balance transactions")]
        except (ConfigInvalid, SchemaChanged) as error:
            return [StreamCheck(stream=STREAM, ok=False, reason=str(error))]
        lacking = "" if client.details else "the key may not read what transactions are of: texts are Stripe's alone"
        return [StreamCheck(stream=STREAM, ok=True, reason=lacking)]

    def discover(self, ctx: Context) -> Sequence[StreamInfo]:
        del ctx
        return [StreamInfo(name=STREAM, title="Balance transactions")]

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        if request.stream != STREAM:
            raise ConfigInvalid(f"Stripe has no stream {request.stream!r} here")
        place = Place.of(request.cursor)
        if request.cursor is None and "start" in ctx.config:
            place = Place(since=_start(ctx.config["start"]))
        client, resumed, read = Client(ctx), place.after is not None, 0
        while True:
            try:
                found, more = client.page(since=place.since, after=place.after, may_be_forgotten=resumed)
            except Forgotten:
                ctx.log.warning("Stripe no longer knows %s: the round is read anew", place.after)
                place, resumed = replace(place, after=None, within=None, part=0), False
                continue
            resumed = False
            batches = _batches(ctx, found, place, request.batch_size, read) if found else ()
            for batch, reached in batches:
                yield batch
                place = reached
            read += len(found)
            if not more or not found:
                yield Batch(cursor=place.next_round().cursor())
                return

    def parse_webhook(self, ctx: Context, message: WebhookMessage) -> Batch:
        """An event names balance transactions, and has not what they say: these are fetched. One that names none is of
        no interest."""
        try:
            event = json.loads(message.body)
            named = _named(event["data"]["object"])
        except (*_ODD, RecursionError) as error:
            raise SchemaChanged(f"this is no event of Stripe's: {error!r}") from error
        if not named or event.get("account", "") != ctx.config.get("account", event.get("account", "")):
            return Batch()
        client = Client(ctx)
        drafts, refusals = _sorted_out(ctx, [client.one(id) for id in named[:PAGE]], 0)
        return Batch(drafts=tuple(draft for some in drafts for draft in some), refusals=tuple(refusals))


def _batches(
    ctx: Context, found: Sequence[dict[str, Any]], place: Place, size: int, read: int
) -> Iterator[tuple[Batch, Place]]:
    """A page in batches of at most `size` drafts, each with the place after it."""
    if not all(isinstance(one.get("id"), str) and isinstance(one.get("created"), int) for one in found):
        raise SchemaChanged("Stripe's answer has a balance transaction without id or time")
    per_transaction, refusals = _sorted_out(ctx, found, read)
    drafts: list[Draft] = []
    reached = place
    for transaction, some in zip(found, per_transaction, strict=True):
        skip = reached.part if reached.within == transaction["id"] else 0
        for number, draft in enumerate(some[skip:], start=skip + 1):
            if len(drafts) == size:
                yield Batch(drafts=tuple(drafts), refusals=tuple(refusals), cursor=reached.cursor()), reached
                drafts, refusals = [], []
            drafts.append(draft)
            reached = replace(reached, within=transaction["id"], part=number)
        reached = reached.past(transaction)
    yield Batch(drafts=tuple(drafts), refusals=tuple(refusals), cursor=reached.cursor()), reached


def _sorted_out(ctx: Context, found: Sequence[Mapping[str, Any]], read: int) -> tuple[list[list[Draft]], list[Refusal]]:
    """The drafts of each transaction; none of one that can't be read."""
    account, fees_apart = ctx.config.get("account", ""), ctx.config.get("fees", "records") == "records"
    drafts: list[list[Draft]] = []
    refusals: list[Refusal] = []
    for position, transaction in enumerate(found, start=read + 1):
        try:
            drafts.append(drafts_of(transaction, account, fees_apart))
        except _ODD as error:
            drafts.append([])
            refusals.append(Refusal(position=position, reason=f"it is no balance transaction: {error!r}"))
    return drafts, refusals


def _named(changed: Mapping[str, Any]) -> list[str]:
    """The balance transactions that the object of an event names."""
    told = [changed.get("balance_transaction"), *(changed.get("balance_transactions") or ())]
    ids = (one.get("id") if isinstance(one, dict) else one for one in told)
    return list(dict.fromkeys(id for id in ids if isinstance(id, str) and id))


def _start(day: str) -> int:
    try:
        return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise ConfigInvalid(f"config.start: {day!r} is no day") from None
