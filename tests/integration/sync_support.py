"""Sources that a test makes, and a host that has their connectors and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from core.domain.jobs import Stream
from core.domain.plugins import Batch, ConnectorManifest, PluginInfo, RuleTypeManifest, StreamCheck, StreamInfo
from core.domain.records import Draft
from core.errors import PluginUnavailable, UnknownFormat
from entrypoints.worker.runner import run_job
from plugins.schemas import check_against
from ports.connectors import Connector, Context, ReadRequest, RuleType
from tests.integration.api_support import Api

SECRET = "canary-5f3a9c-tell-nobody"
MANIFEST = ConnectorManifest(
    key="shop",
    version="1",
    title="A shop",
    factory="tests.integration.sync_support:Shop",
    pulls=True,
    config_schema={
        "type": "object",
        "properties": {
            "account": {"type": "string"},
            "api_key": {"type": "string", "writeOnly": True, "minLength": 8},
            "pin": {"type": "integer", "writeOnly": True},
        },
        "required": ["api_key"],
        "additionalProperties": False,
    },
)


def drafts(stream: str, first: int, last: int) -> tuple[Draft, ...]:
    """Items `first` to `last` of a stream."""
    return tuple(
        Draft(
            text=f"{stream} item {n}",
            occurred_at=date(2026, 3, 1 + n % 28),
            account=stream,
            external_id=f"{stream}-{n:05}",
            amount=Decimal(-n),
            currency="EUR",
        )
        for n in range(first, last + 1)
    )


@dataclass(kw_only=True)
class Shop:
    """A source with `items` numbered from 1 in each of its streams, read `page` by page; the cursor tells the last.

    `faults` are raised, one each time, before the item of that number would be given; `before` is called with stream
    and number of each page."""

    items: dict[str, int] = field(default_factory=lambda: {"charges": 25})
    page: int = 10
    faults: dict[tuple[str, int], list[BaseException]] = field(default_factory=dict)
    before: Callable[[Context, str, int], None] = lambda ctx, stream, n: None
    without_cursor: bool = False
    asked: list[tuple[str, Mapping[str, Any] | None]] = field(default_factory=list)
    contexts: list[Context] = field(default_factory=list)

    def detect(self, sample: bytes, filename: str) -> float:
        return 0.0

    def check(self, ctx: Context) -> Sequence[StreamCheck]:
        self.contexts.append(ctx)
        self.before(ctx, "check", 0)
        return [StreamCheck(stream=name, ok=True) for name in self.items]

    def discover(self, ctx: Context) -> Sequence[StreamInfo]:
        self.contexts.append(ctx)
        self.before(ctx, "discover", 0)
        return [StreamInfo(name=name, title=name.title()) for name in self.items]

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        self.contexts.append(ctx)
        self.asked.append((request.stream, request.cursor))
        given = 0 if request.cursor is None else request.cursor["last"]
        while given < self.items[request.stream]:
            first, last = given + 1, min(given + self.page, self.items[request.stream])
            self.before(ctx, request.stream, first)
            for n in range(first, last + 1):
                if waiting := self.faults.get((request.stream, n)):
                    raise waiting.pop(0)
            cursor = None if self.without_cursor else {"last": last}
            yield Batch(drafts=drafts(request.stream, first, last), cursor=cursor)
            given = last

    def parse_webhook(self, ctx: Context, message: object) -> Batch:
        return Batch()

    def migrate_state(self, cursor: Mapping[str, Any], from_version: int) -> Mapping[str, Any] | None:
        return None


class TestHost:
    """The plugin host of these connectors; what is taken out of it is a plugin that is missing."""

    __test__ = False

    def __init__(self, shop: Connector, manifest: ConnectorManifest = MANIFEST) -> None:
        self.shop = shop
        self.manifests = {manifest.key: manifest}

    def change(self, **fields: Any) -> None:
        self.manifests["shop"] = replace(self.manifests.get("shop", MANIFEST), **fields)

    def inventory(self) -> Sequence[PluginInfo]:
        return ()

    def connectors(self) -> Mapping[str, ConnectorManifest]:
        return self.manifests

    def rule_types(self) -> Mapping[str, RuleTypeManifest]:
        return {}

    def connector(self, key: str) -> Connector:
        if key not in self.manifests:
            raise PluginUnavailable(f"no loaded plugin offers the connector {key!r}")
        return self.shop

    def rule_type(self, key: str) -> RuleType:
        raise PluginUnavailable

    def check_config(self, key: str, config: Mapping[str, Any]) -> None:
        check_against(self.manifests[key].config_schema, config, "config")

    def detect(self, sample: bytes, filename: str) -> str:
        raise UnknownFormat


def connect(api: Api, **fields: Any) -> dict[str, Any]:
    body = {"connector": "shop", "name": "My shop", "config": {"account": "1", "api_key": SECRET}, **fields}
    made: dict[str, Any] = api.post("/connections", body, 201)
    return made


def sync(api: Api, connection: Mapping[str, Any], query: str = "") -> dict[str, Any]:
    """The connection after it was synced."""
    answer = api.call("POST", f"/connections/{connection['id']}/sync{query}")
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json['id']}"
    run_syncs(api)
    found: dict[str, Any] = api.get(f"/connections/{connection['id']}")
    return found


def run_syncs(api: Api) -> int:
    """Carries out the syncs that are open, and what they queue of their kind; returns how many."""
    count = 0
    while jobs := api.container.list_jobs(api.actor, stream=Stream.SYNC, statuses=["queued", "published"], limit=9):
        for job in jobs:
            run_job(api.container, api.tenant_id, job.id)
            count += 1
    return count


def health(api: Api, connection: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/connections/{connection['id']}/health")
    return found


def log(api: Api, connection: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/connections/{connection['id']}/log?limit=500")["items"]
    return found
