"""The manifest's rate limit, kept by all processes of an installation together.

Of the last `requests` grants the times are kept. The next one is due when the oldest of them is `seconds` ago, so that
no window of that length ever holds more. Who must wait has their place at once: nobody overtakes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from core.domain.plugins import RateLimit
from core.errors import RateLimited

log = logging.getLogger("sortation.http")
_SOCKET_SECONDS = 2.0
_AWAY_SECONDS = 5.0
"""How long a server that did not answer is left alone."""
_MOST_KEYS = 10_000

_RESERVE = """
local at = redis.call('TIME')
local now = at[1] * 1000000 + at[2]
local requests, window, budget = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local oldest = redis.call('LINDEX', KEYS[1], requests - 1)
local due = now
if oldest and tonumber(oldest) + window > now then due = tonumber(oldest) + window end
if due - now > budget then return {0, string.format('%.0f', due - now)} end
redis.call('LPUSH', KEYS[1], string.format('%.0f', due))
redis.call('LTRIM', KEYS[1], 0, requests - 1)
redis.call('PEXPIRE', KEYS[1], math.ceil((due - now + window) / 1000) + 1000)
return {1, string.format('%.0f', due - now)}
"""


class Rates(Protocol):
    def reserve(self, key: str, limit: RateLimit, budget: float) -> float:
        """Takes the next place under `key`, and gives the seconds until it is due. Raises `RateLimited`, and takes
        none, when that is later than in `budget` seconds."""
        ...


class LocalRates:
    """Within this process; may be shared by threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._granted: dict[str, deque[float]] = {}

    def reserve(self, key: str, limit: RateLimit, budget: float) -> float:
        with self._lock:
            if key not in self._granted and len(self._granted) >= _MOST_KEYS:
                self._granted.clear()
            granted = self._granted.get(key)
            if granted is None or granted.maxlen != limit.requests:
                granted = self._granted[key] = deque(granted or (), maxlen=limit.requests)
            now = self._now()
            due = max(now, granted[0] + limit.seconds) if len(granted) == limit.requests else now
            if due - now > budget:
                raise _too_many(due - now)
            granted.append(due)
            return due - now


class SharedRates:
    """In Redis or Valkey, by its clock. While that is away each process keeps the limit by itself."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_connect_timeout=_SOCKET_SECONDS,
            socket_timeout=_SOCKET_SECONDS,
            retry=Retry(NoBackoff(), 1),
        )
        self._reserve = self._client.register_script(_RESERVE)
        self._local = LocalRates()
        self._away_until = 0.0

    def reserve(self, key: str, limit: RateLimit, budget: float) -> float:
        if time.monotonic() < self._away_until:
            return self._local.reserve(key, limit, budget)
        micros = (round(limit.seconds * 1e6), round(budget * 1e6))
        try:
            granted, wait = self._reserve(keys=[f"sortation:rate:{key}"], args=[limit.requests, *micros])
        except RedisError as error:
            log.warning("rate limits are kept by each process alone: %s", type(error).__name__)
            self._away_until = time.monotonic() + _AWAY_SECONDS
            return self._local.reserve(key, limit, budget)
        seconds = int(wait) / 1e6
        if not granted:
            raise _too_many(seconds)
        return seconds


def rates_at(broker_url: str | None) -> Rates:
    """Shared ones where the broker is a server of the URL's own; else those of this process."""
    scheme = (broker_url or "").partition(":")[0]
    if broker_url and scheme in ("redis", "rediss"):
        return SharedRates(broker_url)
    if broker_url and scheme == "redis+socket":
        return SharedRates(f"unix:{broker_url.partition(':')[2]}")
    return LocalRates()


def _too_many(seconds: float) -> RateLimited:
    return RateLimited("the connector's own rate limit is used up for now", retry_after=seconds)
