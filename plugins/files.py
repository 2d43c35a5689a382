"""Files of a folder, wherever that is, read once each as uploads are, in the order of their last change.

The formats are those of Sortation's own file connectors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from core.domain.records import identify
from core.errors import Invalid
from plugins.manager import BUILT_IN, PluginManager
from sortation import Batch, ConfigInvalid, Context, CursorInvalid, Draft, ReadRequest, Refusal

STREAM = "files"
SETTLE_SECONDS = 60
MOST_KNOWN = 3_000
SAMPLE = 64 << 10
_NO_FORMATS = frozenset({"amount_outlier", "email", "files", "folder", "recurring", "rest", "stripe", "webhook"})
"""Built-in plugins that read no files with records: to load them takes half a second, and each read would."""
_OF_A_FILE = (
    Invalid,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)
"""What is wrong with one file, or with its parser, must not keep the others from being read."""
FILE_FIELDS: Mapping[str, Any] = {
    "pattern": {
        "type": "string",
        "minLength": 1,
        "pattern": r"^(?!/)(?!.*\.\.)",
        "default": "**/*",
        "x-leads-nowhere": True,
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
        "x-leads-nowhere": True,
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
}
"""Of the configuration: which files of a folder are read, and as what."""


class Seen(NamedTuple):
    """A file as it was; in the order in which files are read."""

    changed: int
    """Nanoseconds since 1970."""
    name: str

    @property
    def digest(self) -> str:
        return hashlib.blake2b(f"{self.changed}:{self.name}".encode(), digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """All files up to `last` are read, but those that changed less than `overlap` nanoseconds before it and are not
    `known` (when they changed, by their digests). Of `within`, the first `drafts` drafts are read."""

    last: Seen | None = None
    within: Seen | None = None
    drafts: int = 0
    overlap: int = 0
    known: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, cursor: Mapping[str, Any] | None, files: Sequence[Seen], overlap: int) -> Place:
        given = cursor or {}
        try:
            last, within = (Seen(*given[name]) if name in given else None for name in ("last", "within"))
            kept = set(given.get("known", ()))
            known = {seen.digest: seen.changed for seen in files if seen.digest in kept} if kept else {}
            return cls(last=last, within=within, drafts=int(given.get("drafts", 0)), overlap=overlap, known=known)
        except (TypeError, ValueError):
            raise CursorInvalid from None

    def is_new(self, seen: Seen) -> bool:
        if self.last is None or seen > self.last:
            return True
        return seen.changed > self.last.changed - self.overlap and seen.digest not in self.known

    def after(self, seen: Seen) -> Place:
        """When the file was read."""
        last = seen if self.last is None else max(self.last, seen)
        known: Mapping[str, int] = {}
        if self.overlap:
            begin = last.changed - self.overlap
            found = {**self.known, seen.digest: seen.changed}
            newest = sorted(found.items(), key=lambda one: -one[1])[:MOST_KNOWN]  # others are read again, to no harm
            known = {digest: changed for digest, changed in newest if changed > begin}
        return replace(self, last=last, within=None, drafts=0, known=known)

    def cursor(self) -> dict[str, Any]:
        kept: dict[str, Any] = {"last": self.last and list(self.last), "within": self.within and list(self.within)}
        kept["known"] = list(self.known)
        return {name: value for name, value in kept.items() if value} | ({"drafts": self.drafts} if self.within else {})


def read_files(
    ctx: Context,
    request: ReadRequest,
    files: Sequence[Seen],
    opened: Callable[[str], AbstractContextManager[BinaryIO]],
    *,
    overlap: int = 0,
) -> Iterator[Batch]:
    """What is new in the `files` of a folder. `opened` opens one for reading, and raises `FileNotFoundError` for one
    that is gone."""
    check_format(ctx)
    place = Place.of(request.cursor, files, overlap)
    given = False
    for number, seen in enumerate([seen for seen in sorted(files) if place.is_new(seen)], 1):
        done = place.drafts if place.within == seen else 0
        try:
            with opened(seen.name) as file:
                for batch, drafts in _of_file(ctx, file, seen.name, done, request.batch_size):
                    given = True
                    yield replace(batch, cursor=replace(place, within=seen, drafts=drafts).cursor())
            refusals: tuple[Refusal, ...] = ()
        except FileNotFoundError:
            continue  # it was moved away; where to, it counts as new
        except _OF_A_FILE as error:
            reason = "too large to be read" if isinstance(error, MemoryError) else error
            refusals = (Refusal(position=number, reason=f"{seen.name}: {reason}"),)
        place = place.after(seen)
        given = True
        yield Batch(refusals=refusals, cursor=place.cursor())
    if not given and request.cursor is None:
        yield Batch(cursor=place.cursor())  # there is nothing yet, and that is well


def check_format(ctx: Context) -> None:
    """Raises `ConfigInvalid` for a `format` that there is none of, or `options` that it does not know."""
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


@cache
def _own_formats() -> PluginManager:
    """Made once there is a file to read: most reads find none."""
    return PluginManager(allow=frozenset({BUILT_IN}), block=_NO_FORMATS)


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
