"""Connections to the very address that was checked, and an end to every wait.

A name is resolved once, what it resolved to is checked, and that address is connected to: between check and use there
is nothing left for a name server to change. Host header, SNI and the certificate's check stay with the name.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore2
from httpcore2 import NetworkBackend, NetworkStream

from adapters.http.names import Resolver
from adapters.http.policy import Policy

_TRIED_ADDRESSES = 3
_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


@contextmanager
def ending_within(seconds: float) -> Iterator[None]:
    """All that this thread waits for on the network within the block ends in time, however slowly the peer speaks."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def _left(timeout: float | None, late: type[httpcore2.TimeoutException]) -> float | None:
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise late("the time for the whole answer is up")
    if left == math.inf:
        return timeout
    return left if timeout is None else min(timeout, left)


class CheckedNetwork(NetworkBackend):
    """Opens the connections of one scheme."""

    def __init__(self, scheme: str, policy: Policy, resolver: Resolver) -> None:
        self._scheme = scheme
        self._policy = policy
        self._resolve = resolver
        self._network = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> NetworkStream:
        try:
            addresses = self._resolve(host, port, _left(timeout, httpcore2.ConnectTimeout))
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError("its name is not known") from error
        failure: Exception = httpcore2.ConnectError("its name has no address")
        for address in self._policy.usable(self._scheme, host.lower().rstrip("."), addresses)[:_TRIED_ADDRESSES]:
            try:
                stream = self._network.connect_tcp(
                    address, port, _left(timeout, httpcore2.ConnectTimeout), local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream)
        raise failure


class _TimedStream(NetworkStream):
    def __init__(self, stream: NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
