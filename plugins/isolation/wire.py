"""What host and child say to each other: frames of msgpack, each with its length before it.

A child may send anything: frames are decoded by type, so that what comes out is what the contract says or `Garbled`.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from core import errors
from core.domain.plugins import (
    Batch,
    ConnectorManifest,
    RuleTypeManifest,
    Statement,
    StreamCheck,
    StreamInfo,
    WebhookMessage,
)
from core.domain.receipts import ReceiptDraft
from core.domain.records import Refusal
from plugins.isolation.drafts import WireDraft, draft_of, packed_draft, plain

MAX_FRAME = 64 << 20
"""Bytes: 5,000 drafts have some 2 MB, and a web page that is handed over at most 20."""
_LENGTH = struct.Struct("!I")
_SHORTEST = 0.001
"""Seconds: a time-out of 0 would mean another thing."""
_HALF = re.compile(r"[\ud800-\udfff]")
ORDER, ANSWER = struct.Struct("!ci"), struct.Struct("!i")
"""Between host and zygote: what to do (`b"s"`: start, `b"e"`: end) and the pid that it is about (0 for a start); and
the pid, or how it ended, as `waitpid` says."""
KNOWN = {
    error.code: error
    for error in (
        errors.UnreadableFile,
        errors.ConfigInvalid,
        errors.ReauthRequired,
        errors.PermissionDenied,
        errors.CursorInvalid,
        errors.SchemaChanged,
        errors.RateLimited,
        errors.Transient,
    )
}
"""The errors of the contract, by code; one that is a kind of another before it."""
CONTRACT, VERSION = "contract", "version"
"""Codes of what is wrong with a plugin that is loaded."""


class Garbled(Exception):
    """What came is no frame of ours; the message says why."""


class Closed(Exception):
    """The other side is gone."""


class Entry(msgspec.Struct, frozen=True):
    """An entry point: its name and value ("package.module")."""

    name: str
    value: str


class Call(msgspec.Struct, frozen=True, tag=True):
    """What the child is to do, and what it needs for that. `path` is the host's `sys.path`."""

    do: str
    path: list[str]
    memory: int
    seconds: int
    sockets: bool = False
    entries: list[Entry] = []
    folder: str = ""
    factories: list[str] = []
    methods: list[str] = []
    config: dict[str, Any] = {}
    default_currency: str = "EUR"
    sample: bytes = b""
    filename: str = ""
    stream: str = ""
    cursor: dict[str, Any] | None = None
    from_version: int = 0
    batch_size: int = 5_000
    message: WebhookMessage | None = None
    mime_type: str = ""


class Some(msgspec.Struct, frozen=True, tag=True):
    """A batch; of a receipt that is read, a file that came with it."""

    drafts: list[WireDraft]
    refusals: list[Refusal]
    cursor: dict[str, Any] | None
    statements: list[Statement] = []
    receipts: list[ReceiptDraft] = []


class Failed(msgspec.Struct, frozen=True, tag=True):
    """An error of the contract by its code, or `plugin_bug`, with its message; `trace` is for the log."""

    code: str
    message: str
    retry_after: float | None = None
    trace: str = ""


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """What an entry point offers."""

    connectors: list[ConnectorManifest]
    rule_types: list[RuleTypeManifest]


class Done(msgspec.Struct, frozen=True, tag=True):
    """The call's end; the answer of one that is no read."""

    loaded: list[Loaded | Failed] = []
    sure: list[float | str] = []
    lacking: list[str] = []
    checks: list[StreamCheck] = []
    streams: list[StreamInfo] = []
    cursor: dict[str, Any] | None = None
    text: str = ""


class Line(msgspec.Struct, frozen=True, tag=True):
    """Of the connection's log."""

    level: int
    text: str


class Ask(msgspec.Struct, frozen=True, tag=True):
    """A request that the host is to send."""

    method: str
    url: str
    params: dict[str, str] | None = None
    headers: dict[str, str] | None = None
    content: bytes | None = None
    authenticated: bool = True
    accept: list[int] = []


class Answer(msgspec.Struct, frozen=True, tag=True):
    status: int
    headers: dict[str, str]
    content: bytes


FromChild = Some | Done | Failed | Line | Ask
FromHost = Call | Answer | Failed

_encoder = msgspec.msgpack.Encoder()
_from_child: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)
_from_host: msgspec.msgpack.Decoder[FromHost] = msgspec.msgpack.Decoder(FromHost)
T = TypeVar("T")


def send(to: socket.socket, frame: FromChild | FromHost) -> None:
    """Raises `Closed`, `TimeoutError`, and `Garbled` for what has no form in msgpack or is too large."""
    try:
        try:
            encoded = _encoder.encode(frame)
        except (OverflowError, UnicodeEncodeError):
            encoded = _encoder.encode(_carried(msgspec.to_builtins(frame, builtin_types=(bytes, datetime))))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Garbled(str(error)) from error
    if len(encoded) > MAX_FRAME:
        raise Garbled(f"{len(encoded) >> 20} MiB at once are too much")
    try:
        to.sendall(_LENGTH.pack(len(encoded)) + encoded)
    except (BrokenPipeError, ConnectionError) as error:
        raise Closed from error


def _carried(value: Any) -> Any:
    """The same with what msgpack does not carry in the form that it would be stored in, or refused: whole numbers of
    more than 64 bits as texts, and halves of surrogate pairs as NUL."""
    if isinstance(value, str):
        return _HALF.sub("\0", value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, dict):
        return {_carried(name): _carried(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_carried(one) for one in value]
    return value


def from_child(at: socket.socket, until: float) -> FromChild:
    """The next frame, whole by then (`time.monotonic`). Raises `Closed`, `Garbled`, and `TimeoutError`."""
    return _decoded(_from_child, at, until)


def from_host(at: socket.socket) -> FromHost:
    """The next frame. Raises `Closed` and `Garbled`."""
    return _decoded(_from_host, at)


def _decoded(decoder: msgspec.msgpack.Decoder[T], at: socket.socket, until: float | None = None) -> T:
    (length,) = _LENGTH.unpack(_exactly(at, _LENGTH.size, until))
    if length > MAX_FRAME:
        raise Garbled(f"{length >> 20} MiB at once are too much")
    try:
        return decoder.decode(_exactly(at, length, until))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Garbled(str(error)) from error


def _exactly(at: socket.socket, size: int, until: float | None) -> bytearray:
    read = bytearray(size)
    view = memoryview(read)
    while view:
        if until is not None:
            at.settimeout(max(until - time.monotonic(), _SHORTEST))
        try:
            got = at.recv_into(view)
        except ConnectionError as error:
            raise Closed from error
        if not got:
            raise Closed
        view = view[got:]
    return read


def packed(batch: Batch) -> Some:
    """Raises `Garbled` where it holds what is no draft."""
    try:
        return Some(
            drafts=[packed_draft(draft) for draft in batch.drafts],
            refusals=list(batch.refusals),
            cursor=None if batch.cursor is None else plain(batch.cursor),
            statements=list(batch.statements),
            receipts=list(batch.receipts),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise Garbled(f"a batch holds what is no draft: {error}") from error


def unpacked(some: Some) -> Batch:
    """Raises `Garbled` for what is no moment or amount."""
    try:
        return Batch(
            drafts=tuple([draft_of(draft) for draft in some.drafts]),
            refusals=tuple(some.refusals),
            cursor=some.cursor,
            statements=tuple(some.statements),
            receipts=tuple(some.receipts),
        )
    except (ValueError, ArithmeticError) as error:
        raise Garbled(f"a batch holds what is no draft: {error}") from error
