"""Connectors that do everything right; each mutant of the tests is one of them with a small change."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sortation import (
    Auth,
    AuthKind,
    Batch,
    ConfigInvalid,
    ConnectorManifest,
    Context,
    CursorInvalid,
    Draft,
    ReadRequest,
    Refusal,
    SchemaChanged,
    StreamCheck,
    StreamInfo,
    UnreadableFile,
    Webhook,
    WebhookMessage,
    WebhookScheme,
    hookimpl,
)

CONFIG = {
    "type": "object",
    "additionalProperties": False,
    "required": ["api_key"],
    "properties": {
        "company": {"type": "string", "description": "Whose ledger it is.", "examples": ["main"]},
        "api_key": {"type": "string", "title": "API key", "writeOnly": True},
        "webhook_secret": {"type": ["string", "array"], "title": "What deliveries are signed with", "writeOnly": True},
    },
}
FOLDER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["folder"],
    "properties": {"folder": {"type": "string", "description": "Where invoices are dropped."}},
}
SEPARATED = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"separator": {"type": "string", "minLength": 1, "description": "What stands between fields."}},
}
LEDGER = {
    "version": "1.0.0",
    "factory": f"{__name__}:Ledger",
    "pulls": True,
    "state_version": 2,
}


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="ledger",
            title="Ledger",
            config_schema=CONFIG,
            auth=Auth(kind=AuthKind.API_KEY),
            webhook=Webhook(scheme=WebhookScheme.HMAC, signature_header="x-signature", id_header="x-id"),
            **LEDGER,
        ),
        ConnectorManifest(
            key="ledger_by_oauth2",
            title="Ledger, signed in to",
            auth=Auth(
                kind=AuthKind.OAUTH2, authorize_url="https://ledger.example/in", token_url="https://ledger.example/t"
            ),
            **LEDGER,
        ),
        ConnectorManifest(key="feed", version="1.0.0", title="Feed", factory=f"{__name__}:Feed", pulls=True),
        ConnectorManifest(
            key="drop",
            version="1.0.0",
            title="Drop",
            factory=f"{__name__}:Drop",
            config_schema=FOLDER,
            pulls=True,
            folder="folder",
        ),
        ConnectorManifest(
            key="lines",
            version="1.0.0",
            title="Lines",
            factory=f"{__name__}:Lines",
            config_schema=SEPARATED,
            file_extensions=(".lines",),
        ),
    ]


class Ledger:
    """Reads `/invoices` and `/payments`, which hand out what changed since an instant, page by page."""

    def discover(self, ctx: Context) -> Sequence[StreamInfo]:
        return [StreamInfo(name="invoices"), StreamInfo(name="payments")]

    def check(self, ctx: Context) -> Sequence[StreamCheck]:
        checks = []
        for stream in self.discover(ctx):
            try:
                self._page(ctx, stream.name, None, 1)
                checks.append(StreamCheck(stream=stream.name, ok=True))
            except SchemaChanged as error:
                checks.append(StreamCheck(stream=stream.name, ok=False, reason=str(error)))
        return checks

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        cursor = dict(request.cursor or {"since": None, "page": 1, "newest": None})
        if cursor.keys() != {"since", "page", "newest"}:
            raise CursorInvalid
        cursor["page"] = max(cursor["page"] - 1, 1)  # what was deleted meanwhile has moved others there
        more = True
        while more:
            items, more = self._page(ctx, request.stream, cursor["since"], cursor["page"])
            newest = max([cursor["newest"] or "", *(str(item["changed_at"]) for item in items if "changed_at" in item)])
            following = {"since": cursor["since"], "page": cursor["page"] + 1, "newest": newest or None}
            if not more:
                following = {"since": newest or None, "page": 1, "newest": newest or None}
            for start in range(0, max(len(items), 1), request.batch_size):
                part = items[start : start + request.batch_size]
                last = start + request.batch_size >= len(items)
                drafts, refusals = _sorted_out(part, start)
                yield Batch(drafts=drafts, refusals=refusals, cursor=following if last else cursor)
            cursor = following
        ctx.log.info("read %s up to %s", request.stream, cursor["since"])

    def _page(self, ctx: Context, stream: str, since: str | None, page: int) -> tuple[list[dict[str, Any]], bool]:
        params = {
            "page": str(page),
            "company": ctx.config.get("company", "main"),
            **({"since": since} if since else {}),
        }
        answer = ctx.http.request("GET", f"https://ledger.example/{stream}", params=params)
        try:
            found = answer.json()
        except ValueError as error:
            raise SchemaChanged("the ledger answers no JSON") from error
        if not isinstance(found, dict) or not isinstance(found.get("items"), list):
            raise SchemaChanged("the ledger's answer has no items")
        return [item if isinstance(item, dict) else {} for item in found["items"]], bool(found.get("more"))

    def parse_webhook(self, ctx: Context, message: WebhookMessage) -> Batch:
        try:
            event = json.loads(message.body)
        except (ValueError, RecursionError) as error:
            raise SchemaChanged("the delivery is no JSON") from error
        if not isinstance(event, dict):
            raise SchemaChanged("the delivery is no object")
        if event.get("type") != "invoice.created":
            return Batch()
        data = event.get("data")
        drafts, refusals = _sorted_out([data if isinstance(data, dict) else {}], 0)
        return Batch(drafts=drafts, refusals=refusals)

    def migrate_state(self, cursor: Mapping[str, Any], from_version: int) -> Mapping[str, Any] | None:
        if from_version == 1 and isinstance(cursor.get("since"), str):
            return {"since": cursor["since"], "page": 1, "newest": None}
        return None


def _sorted_out(items: Sequence[Mapping[str, Any]], start: int) -> tuple[tuple[Draft, ...], tuple[Refusal, ...]]:
    drafts, refusals = [], []
    for position, item in enumerate(items, start=start + 1):
        try:
            drafts.append(_draft(item))
        except (KeyError, ValueError, TypeError, InvalidOperation) as error:
            refusals.append(Refusal(position=position, reason=f"{type(error).__name__}: {error}"))
    return tuple(drafts), tuple(refusals)


def _draft(item: Mapping[str, Any]) -> Draft:
    texts = {name: item[name] for name in ("id", "text", "name", "currency")}
    if not all(isinstance(value, str) and value and "\0" not in value for value in texts.values()):
        raise ValueError("a field is no text")
    amount = Decimal(item["amount"])
    if isinstance(item["amount"], float) or not amount.is_finite():
        raise ValueError("the amount is no decimal number")
    return Draft(
        text=texts["text"],
        counterparty=texts["name"],
        occurred_at=datetime.fromisoformat(item["at"]),
        external_id=texts["id"],
        amount=amount,
        currency=texts["currency"],
        raw=dict(item),
    )


class Feed:
    """Reads a log, which hands out what came after an item, as long as it has that one."""

    def discover(self, ctx: Context) -> Sequence[StreamInfo]:
        return [StreamInfo(name="entries")]

    def check(self, ctx: Context) -> Sequence[StreamCheck]:
        try:
            self._after(ctx, None)
        except SchemaChanged as error:
            return [StreamCheck(stream="entries", ok=False, reason=str(error))]
        return [StreamCheck(stream="entries", ok=True)]

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        if request.cursor is not None and request.cursor.keys() != {"after"}:
            raise CursorInvalid
        after = request.cursor["after"] if request.cursor else None
        while items := self._after(ctx, after):
            for start in range(0, len(items), request.batch_size):
                part = items[start : start + request.batch_size]
                drafts, refusals = _sorted_out(part, start)
                after = next((str(item["id"]) for item in reversed(part) if "id" in item), after)
                yield Batch(drafts=drafts, refusals=refusals, cursor={"after": after})

    def _after(self, ctx: Context, after: str | None) -> list[dict[str, Any]]:
        params = {"after": after} if after else {}
        answer = ctx.http.request("GET", "https://feed.example/entries", params=params, accept=[410])
        if answer.status == 410:
            raise CursorInvalid("the feed has forgotten where it was")
        try:
            found = answer.json()
        except ValueError as error:
            raise SchemaChanged("the feed answers no JSON") from error
        if not isinstance(found, list):
            raise SchemaChanged("the feed answers no list")
        return [item if isinstance(item, dict) else {} for item in found]

    def migrate_state(self, cursor: Mapping[str, Any], from_version: int) -> Mapping[str, Any] | None:
        return None


class Drop:
    """Reads a folder in which invoices are dropped, a file each, with names that rise."""

    def discover(self, ctx: Context) -> Sequence[StreamInfo]:
        return [StreamInfo(name="invoices")]

    def check(self, ctx: Context) -> Sequence[StreamCheck]:
        try:
            os.listdir(ctx.config["folder"])
        except OSError as error:
            return [StreamCheck(stream="invoices", ok=False, reason=str(error))]
        return [StreamCheck(stream="invoices", ok=True)]

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        cursor = request.cursor or {"after": ""}
        if cursor.keys() != {"after"}:
            raise CursorInvalid
        names = [name for name in sorted(os.listdir(ctx.config["folder"])) if name > cursor["after"]]
        for number, name in enumerate(names):
            with open(os.path.join(ctx.config["folder"], name), "rb") as file:
                drafts, refusals = _sorted_out([json.load(file)], number)
            yield Batch(drafts=drafts, refusals=refusals, cursor={"after": name})

    def migrate_state(self, cursor: Mapping[str, Any], from_version: int) -> Mapping[str, Any] | None:
        return None


class Lines:
    """Reads files of lines such as `2026-03-01|Corner shop|-12.50`."""

    def detect(self, sample: bytes, filename: str) -> float:
        first = sample.partition(b"\n")[0].decode("utf-8", "replace")
        try:
            _of_line(first, "EUR")
        except (ValueError, InvalidOperation):
            return 0.0
        return 0.9

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        if request.file is None:
            raise ConfigInvalid("there is no file")
        separator = ctx.config.get("separator", "|")
        try:
            lines = request.file.read().decode().splitlines()
        except UnicodeDecodeError as error:
            raise UnreadableFile(f"it is not UTF-8 at byte {error.start}") from error
        if not any(separator in line for line in lines):
            raise UnreadableFile(f"no line has the separator {separator!r}")
        seen: dict[str, int] = {}
        for start in range(0, len(lines), request.batch_size):
            drafts, refusals = [], []
            for number, line in enumerate(lines[start : start + request.batch_size], start=start + 1):
                seen[line] = seen.get(line, 0) + 1
                try:
                    drafts.append(
                        _of_line(line.replace(separator, "|"), ctx.default_currency, f"{line[:200]}#{seen[line]}")
                    )
                except (ValueError, InvalidOperation) as error:
                    refusals.append(Refusal(position=number, reason=f"{type(error).__name__}: {error}"))
            yield Batch(drafts=tuple(drafts), refusals=tuple(refusals))


def _of_line(line: str, currency: str, external_id: str = "") -> Draft:
    day, text, amount = line.split("|")
    if not Decimal(amount).is_finite() or not text.strip() or "\0" in line:
        raise ValueError("no text, or an amount that is no number")
    return Draft(
        text=text,
        occurred_at=date.fromisoformat(day),
        external_id=external_id or None,
        amount=Decimal(amount),
        currency=currency,
    )
