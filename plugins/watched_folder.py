"""A folder on the host, whose files are read once each, as uploads are.

Files are taken in the order of their last change as the file system itself notes it (`ctime`: unlike `mtime` it can't
be set, so a file that is moved or copied here with an old date counts as new), and only some time after it, so that
what is still being written is whole. The formats are those of Sortation's own file connectors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from time import time
from typing import Any, BinaryIO, NamedTuple

from core.domain.records import identify
from core.errors import Invalid
from plugins.manager import BUILT_IN, PluginManager
from sortation import (
    Batch,
    ConfigInvalid,
    Connector,
    ConnectorManifest,
    Context,
    CursorInvalid,
    Draft,
    ReadRequest,
    Refusal,
    StreamCheck,
    StreamInfo,
    hookimpl,
)

STREAM = "files"
SETTLE_SECONDS = 60
SAMPLE = 64 << 10
_NO_FORMATS = frozenset({"amount_outlier", "folder", "recurring", "rest", "stripe", "webhook"})
"""Built-in plugins that read no files: to load them takes half a second, and each read would."""
_OF_A_FILE = (
    Invalid,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What is wrong with one file, or with its parser, must not keep the others from being read."""
CONFIG_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["folder"],
    "properties": {
        "folder": {
            "type": "string",
            "pattern": "^/",
            "description": "Its absolute path, at or under one that the operator allows (SORTATION_FOLDER_ROOTS).",
            "examples": ["/srv/statements/acme"],
        },
        "pattern": {
            "type": "string",
            "minLength": 1,
            "pattern": r"^(?!/)(?!.*\.\.)",
            "default": "**/*",
            "description": "Which files in it are read.",
            "examples": ["*.csv", "2026/**/*.ofx"],
        },
        "format": {
            "type": "string",
            "description": "The connector of all files, by its key; without it, each file is looked at.",
            "examples": ["csv"],
        },
        "options": {
            "type": "object",
            "default": {},
            "description": "The configuration of that connector.",
        },
        "settle_seconds": {
            "type": "number",
            "minimum": 0.05,
            "maximum": 86_400,
            "default": SETTLE_SECONDS,
            "description": "How long a file must have been left alone before it is read: less than a second only where "
            "whole files are moved here, and the file system notes parts of seconds.",
        },
    },
}


class Seen(NamedTuple):
    """A file as it was; in the order in which files are read."""

    changed: int
    """Nanoseconds since 1970."""
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """All files up to `last` are read; of `within`, the first `drafts` drafts are."""

    last: Seen | None = None
    within: Seen | None = None
    drafts: int = 0

    @classmethod
    def of(cls, cursor: Mapping[str, Any] | None) -> Place:
        given = cursor or {}
        try:
            last, within = (Seen(*given[name]) if name in given else None for name in ("last", "within"))
            return cls(last=last, within=within, drafts=int(given.get("drafts", 0)))
        except (TypeError, ValueError):
            raise CursorInvalid from None

    def cursor(self) -> dict[str, Any]:
        kept = {"last": self.last and list(self.last), "within": self.within and list(self.within)}
        return {name: value for name, value in kept.items() if value} | ({"drafts": self.drafts} if self.within else {})


class WatchedFolder(Connector):
    def check(self, ctx: Context) -> Sequence[StreamCheck]:
        try:
            _check_format(ctx)
            found = _files(ctx)
        except ConfigInvalid as error:
            return [StreamCheck(stream=STREAM, ok=False, reason=str(error))]
        return [StreamCheck(stream=STREAM, ok=True, reason="" if found else "there are no files to read yet")]

    def discover(self, ctx: Context) -> Sequence[StreamInfo]:
        del ctx
        return [StreamInfo(name=STREAM, title="Files")]

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        _check_format(ctx)
        place = Place.of(request.cursor)
        for number, seen in enumerate([seen for seen in _files(ctx) if place.last is None or seen > place.last], 1):
            done = place.drafts if place.within == seen else 0
            try:
                with (Path(ctx.config["folder"]) / seen.name).open("rb") as file:
                    for batch, drafts in _of_file(ctx, file, seen.name, done, request.batch_size):
                        yield replace(batch, cursor=replace(place, within=seen, drafts=drafts).cursor())
                refusals: tuple[Refusal, ...] = ()
            except FileNotFoundError:
                continue  # it was moved away; where to, it counts as new
            except _OF_A_FILE as error:
                refusals = (Refusal(position=number, reason=f"{seen.name}: {error}"),)
            place = Place(last=seen)
            yield Batch(refusals=refusals, cursor=place.cursor())


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="folder",
            version="1.0.0",
            title="Watched folder",
            factory="plugins.watched_folder:WatchedFolder",
            config_schema=CONFIG_SCHEMA,
            pulls=True,
            folder="folder",
        )
    ]


def _files(ctx: Context) -> list[Seen]:
    """What may be read now, in order. Raises `ConfigInvalid` where there is no such folder."""
    folder = Path(ctx.config["folder"]).resolve()
    settled = (time() - ctx.config.get("settle_seconds", SETTLE_SECONDS)) * 1e9
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise ConfigInvalid(f"the folder can't be read: {error.strerror}") from error
    found: list[Seen] = []
    for path in folder.glob(ctx.config.get("pattern", "**/*")):
        name = str(path.relative_to(folder))
        try:
            if any(part.startswith(".") for part in path.relative_to(folder).parts) or not path.is_file():
                continue
            if not path.resolve().is_relative_to(folder):
                continue  # a link out of the folder
            status = path.stat()
        except OSError:
            continue
        if status.st_ctime_ns <= settled:
            found.append(Seen(status.st_ctime_ns, name))
    return sorted(found)


@cache
def _own_formats() -> PluginManager:
    """Made once there is a file to read: most reads find none."""
    return PluginManager(allow=frozenset({BUILT_IN}), block=_NO_FORMATS)


def _check_format(ctx: Context) -> None:
    """Raises `ConfigInvalid`."""
    key = ctx.config.get("format")
    if key is None:
        return
    host = _own_formats()
    if key not in host.connectors() or not host.connectors()[key].file_extensions:
        raise ConfigInvalid(f"config.format: Sortation has no file connector {key!r} of its own")
    try:
        host.check_config(key, ctx.config.get("options", {}))
    except Invalid as error:
        raise ConfigInvalid(f"config.options: {error}") from error


def _of_file(ctx: Context, file: BinaryIO, name: str, done: int, size: int) -> Iterator[tuple[Batch, int]]:
    """The file's batches, without the first `done` drafts, each with the number of drafts up to its end."""
    host = _own_formats()
    key = ctx.config.get("format") or host.detect(file.read(SAMPLE), name)
    options = ctx.config.get("options", {})
    host.check_config(key, options)
    file.seek(0)
    request = ReadRequest(file=file, filename=name, batch_size=size)
    drafts, occurrences = 0, dict[tuple[str, str], int]()
    for batch in host.connector(key).read(replace(ctx, config=options), request):
        # Ids by fingerprint count within a file, which is read across batches and crashes.
        named = list(identify(batch.drafts, occurrences))
        fresh = list(islice(named, max(0, done - drafts), None))
        drafts += len(named)
        if fresh or (drafts > done and batch.refusals):
            yield Batch(drafts=tuple(_told(draft, name) for draft in fresh), refusals=batch.refusals), drafts


def _told(draft: Draft, name: str) -> Draft:
    return replace(draft, attributes={**draft.attributes, "file": name})
