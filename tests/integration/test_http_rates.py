"""Rate limits that processes share, in a real Valkey."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from adapters.embedded.valkey import EmbeddedValkey
from adapters.http.rates import LocalRates, Rates, SharedRates, rates_at
from core.domain.plugins import RateLimit
from core.errors import RateLimited

LIMIT = RateLimit(requests=3, seconds=5.0)
ASKS = """
import sys
from adapters.http.rates import SharedRates
from core.domain.plugins import RateLimit
rates = SharedRates(sys.argv[1])
for _ in range(20):
    print(rates.reserve("shared", RateLimit(requests=10, seconds=1000.0), 1e6))
"""


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(params=["local", "shared"])
def rates(request: pytest.FixtureRequest) -> Rates:
    if request.param == "local":
        return LocalRates()
    url = request.getfixturevalue("valkey")
    redis.Redis.from_url(url).flushall()
    return SharedRates(url)


def test_no_window_holds_more_than_the_limit(rates: Rates) -> None:
    waits = [rates.reserve("k", LIMIT, 60) for _ in range(8)]
    assert waits[:3] == [0, 0, 0]
    assert all(4.5 < wait <= 5 for wait in waits[3:6])
    assert all(9.5 < wait <= 10 for wait in waits[6:])


def test_who_would_wait_too_long_takes_no_place(rates: Rates) -> None:
    for _ in range(3):
        rates.reserve("k", LIMIT, 0)
    for _ in range(5):
        with pytest.raises(RateLimited) as limited:
            rates.reserve("k", LIMIT, 1)
        assert 4 < limited.value.details["retry_after"] <= 5
    assert 4 < rates.reserve("k", LIMIT, 60) <= 5


def test_keys_have_limits_of_their_own(rates: Rates) -> None:
    for key in ("a", "b"):
        assert [rates.reserve(key, LIMIT, 0) for _ in range(3)] == [0, 0, 0]


def test_a_place_becomes_free_when_its_time_has_passed(rates: Rates) -> None:
    limit = RateLimit(requests=1, seconds=0.1)
    rates.reserve("k", limit, 0)
    time.sleep(rates.reserve("k", limit, 1))
    assert 0 < rates.reserve("k", limit, 1) <= 0.1


def test_processes_share_one_limit(valkey: str) -> None:
    redis.Redis.from_url(valkey).flushall()
    root = Path(__file__).parents[2]

    def process(_: int) -> list[float]:
        told = subprocess.run([sys.executable, "-c", ASKS, valkey], cwd=root, capture_output=True, check=True)
        return [float(line) for line in told.stdout.split()]

    with ThreadPoolExecutor(2) as pool:
        waits = sorted(wait for part in pool.map(process, range(2)) for wait in part)
    assert waits[:10] == [0] * 10
    for window in range(1, 4):  # ten in each thousand seconds, whoever asked
        assert all((window - 1) * 1000 < wait <= window * 1000 for wait in waits[window * 10 : window * 10 + 10])


def test_without_the_server_each_process_keeps_the_limit_alone() -> None:
    rates = rates_at("redis://127.0.0.1:1/0")
    assert [rates.reserve("k", LIMIT, 0) for _ in range(3)] == [0, 0, 0]
    with pytest.raises(RateLimited):
        rates.reserve("k", LIMIT, 1)


def test_what_is_no_single_server_is_not_shared() -> None:
    assert isinstance(rates_at(None), LocalRates)
    assert isinstance(rates_at("sentinel://127.0.0.1:1/0"), LocalRates)
