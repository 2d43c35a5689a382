"""The transport beneath every request to an address that somebody else named: policy, time-outs, and size."""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import cast

import httpcore2
import httpx2

from adapters.http.names import Lookup, Resolver, resolve
from adapters.http.network import CheckedNetwork, ending_within
from adapters.http.policy import Policy
from core.errors import ConfigInvalid

_CONNECTIONS, _IDLE_CONNECTIONS, _IDLE_SECONDS = 32, 8, 20.0
_PIECE = 1 << 16
_SET_BY_US = frozenset({b"accept-encoding", b"connection", b"transfer-encoding", b"te", b"upgrade", b"trailer"})
_OF_THE_WIRE = frozenset({b"content-encoding", b"content-length", b"transfer-encoding", b"connection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds for a connection, for each wait for the peer, and for the whole; bytes of an answer, also unpacked."""

    connect: float = 10.0
    read: float = 30.0
    total: float = 60.0
    answer_bytes: int = 20 << 20


class GuardedTransport(httpx2.BaseTransport):
    """Sends single requests: no redirects, no retries. May be shared by threads, not by processes.

    Raises `ConfigInvalid` for addresses that the policy forbids and answers beyond the limit, `Transient` for names
    that are not resolved in time, and httpcore's errors.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        limits: Limits | None = None,
        lookup: Lookup = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._limits = limits or Limits()
        resolver = Resolver(lookup)
        self._pools = {
            scheme: httpcore2.ConnectionPool(
                ssl_context=tls,
                max_connections=_CONNECTIONS,
                max_keepalive_connections=_IDLE_CONNECTIONS,
                keepalive_expiry=_IDLE_SECONDS,
                network_backend=CheckedNetwork(scheme, policy, resolver),
            )
            for scheme in ("http", "https")
        }

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url, limits = request.url, self._limits
        if url.scheme not in self._pools or not url.raw_host:
            raise ConfigInvalid("the address of a request begins with https:// and a host")
        if url.port is not None and not 0 < url.port < 1 << 16:
            raise ConfigInvalid("the address of a request has a port that there is none of")  # resolvers wrap it around
        if url.userinfo:
            raise ConfigInvalid("the address of a request holds no user name and no password")
        waits = {"connect": limits.connect, "read": limits.read, "write": limits.read, "pool": limits.connect}
        headers = [(name, value) for name, value in request.headers.raw if name.lower() not in _SET_BY_US]
        sent = httpcore2.Request(
            request.method,
            httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=[*headers, (b"Accept-Encoding", b"gzip, deflate")],
            content=cast("Iterable[bytes]", request.stream),
            extensions={"timeout": waits},
        )
        with ending_within(limits.total):
            answer = self._pools[url.scheme].handle_request(sent)
            with closing(answer):
                encodings = [value for name, value in answer.headers if name.lower() == b"content-encoding"]
                coding = b",".join(encodings).decode("latin-1").strip().lower()
                pieces = cast("Iterable[bytes]", answer.stream)
                content = b"".join(_within(limits.answer_bytes, _unpacked(coding, pieces)))
        kept = [(name, value) for name, value in answer.headers if name.lower() not in _OF_THE_WIRE]
        return httpx2.Response(answer.status, headers=kept, content=content, request=request)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


def _within(limit: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise ConfigInvalid(f"the source's answer is larger than {limit >> 20} MiB: ask for less at once")
        yield piece


def _unpacked(coding: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The content in small pieces, whatever one packed byte may unpack to. Raises `RemoteProtocolError`."""
    if coding in ("", "identity"):
        yield from pieces
        return
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise httpcore2.RemoteProtocolError("the answer is packed in a way that was not asked for")
    # 47: zlib's or gzip's header, whichever there is; -15: none, as some servers understand "deflate".
    unpacker, begun = zlib.decompressobj(47), False
    try:
        for piece in pieces:
            if not begun and coding == "deflate" and piece and piece[0] & 0x0F != 8:
                unpacker = zlib.decompressobj(-15)
            begun = begun or bool(piece)
            packed = piece
            while packed and not unpacker.eof:
                yield unpacker.decompress(packed, _PIECE)
                packed = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error as error:
        raise httpcore2.RemoteProtocolError("the answer is packed wrongly") from error
    if begun and not unpacker.eof:
        raise httpcore2.RemoteProtocolError("the answer ended too early")
