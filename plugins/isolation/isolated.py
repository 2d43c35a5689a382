"""Connectors as the host has them: what they are asked for, a child does."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from core.domain.plugins import Batch, ConnectorManifest, StreamCheck, StreamInfo, WebhookMessage
from core.errors import PluginBug
from plugins.isolation import wire
from plugins.isolation.host import LOOK_SECONDS, Isolation
from ports.connectors import Context, ReadRequest

ASK_SECONDS, READ_SECONDS = 60.0, 300.0
"""How long a child may be silent while it checks, discovers or parses a webhook; and while it reads."""


class IsolatedConnector:
    """A `Connector` whose work children do."""

    def __init__(self, manifest: ConnectorManifest, isolation: Isolation) -> None:
        self._manifest = manifest
        self._isolation = isolation

    def detect(self, sample: bytes, filename: str) -> float:
        (sure,) = self._isolation.detect([self._manifest.factory], sample, filename)
        if isinstance(sure, str):
            raise PluginBug(sure)
        return sure

    def check(self, ctx: Context) -> Sequence[StreamCheck]:
        return self._asked("check", ctx).checks

    def discover(self, ctx: Context) -> Sequence[StreamInfo]:
        return self._asked("discover", ctx).streams

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        frames = self._call(
            "read",
            READ_SECONDS,
            ctx,
            file=request.file,
            filename=request.filename,
            stream=request.stream,
            cursor=None if request.cursor is None else dict(request.cursor),
            batch_size=request.batch_size,
        )
        with closing(frames):
            for frame in frames:
                if isinstance(frame, wire.Some):
                    count = len(frame.drafts)
                    if count > request.batch_size:
                        raise PluginBug(f"a batch of {count} drafts: at most {request.batch_size} were asked for")
                    yield _batch(frame)

    def parse_webhook(self, ctx: Context, message: WebhookMessage) -> Batch:
        with closing(self._call("parse_webhook", ASK_SECONDS, ctx, message=message)) as frames:
            for frame in frames:
                if isinstance(frame, wire.Some):
                    return _batch(frame)
        raise PluginBug("it answered no batch")

    def migrate_state(self, cursor: Mapping[str, Any], from_version: int) -> Mapping[str, Any] | None:
        given = {"cursor": dict(cursor), "from_version": from_version}
        return self._isolation.asked("migrate_state", seconds=LOOK_SECONDS, **self._where(), **given).cursor

    def _asked(self, do: str, ctx: Context) -> wire.Done:
        return self._isolation.asked(do, seconds=ASK_SECONDS, **self._where(), **self._of(ctx))

    def _call(
        self, do: str, seconds: float, ctx: Context, **given: Any
    ) -> Generator[wire.Some | wire.Done, None, None]:
        return self._isolation.call(do, seconds=seconds, **self._where(), **self._of(ctx), **given)

    def _where(self) -> dict[str, Any]:
        return {"factories": [self._manifest.factory], "sockets": self._manifest.sockets}

    def _of(self, ctx: Context) -> dict[str, Any]:
        """Raises `ConfigInvalid` for a folder that the operator does not allow."""
        named = ctx.config.get(self._manifest.folder) if self._manifest.folder else None
        return {
            "config": dict(ctx.config),
            "default_currency": ctx.default_currency,
            "http": ctx.http,
            "lines": ctx.log,
            "folder": self._isolation.folder(named, ctx.tenant_id) if isinstance(named, str) else "",
        }


def _batch(some: wire.Some) -> Batch:
    try:
        return wire.unpacked(some)
    except wire.Garbled as error:
        raise PluginBug(str(error)) from error
