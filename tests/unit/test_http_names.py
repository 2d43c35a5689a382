"""Names that nobody answers for: who asks is told in time, and others are not kept waiting."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence

import httpx2
import pytest

from adapters.http.names import Resolver, resolve
from adapters.http.policy import parse_policy
from adapters.http.transport import GuardedTransport, Limits
from core.errors import Transient


class Silent:
    """Answers for `silent.example` when `answer` is set, and for all others at once; `asked` are all that it was."""

    def __init__(self) -> None:
        self.answer = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host.endswith("silent.example"):
            self.answer.wait(30)
        if host.startswith("unknown"):
            raise OSError("not known")
        return ["127.0.0.1"]


@pytest.fixture
def silent() -> Iterator[Silent]:
    silent = Silent()
    yield silent
    silent.answer.set()


def test_the_systems_own_names_are_known() -> None:
    assert "127.0.0.1" in Resolver()("localhost", 80, 10)
    with pytest.raises(socket.gaierror):
        resolve("name.invalid", 80)


def test_a_request_to_a_name_that_hangs_ends_within_the_time_for_a_connection(silent: Silent) -> None:
    transport = GuardedTransport(parse_policy(["silent.example"]), limits=Limits(connect=0.2), lookup=silent)
    begun = time.monotonic()
    with pytest.raises(Transient, match=r"silent\.example: its name was not resolved in time"):
        transport.handle_request(httpx2.Request("GET", "http://silent.example/"))
    assert 0.2 <= time.monotonic() - begun < 5
    transport.close()


def test_the_time_for_the_whole_bounds_it_too(silent: Silent) -> None:
    transport = GuardedTransport(parse_policy(["silent.example"]), limits=Limits(total=0.2), lookup=silent)
    with pytest.raises(Transient, match="in time"):
        transport.handle_request(httpx2.Request("GET", "http://silent.example/"))
    transport.close()


def test_a_name_that_hangs_is_looked_up_once_whoever_asks(silent: Silent) -> None:
    resolver = Resolver(silent)
    for _ in range(20):
        with pytest.raises(Transient):
            resolver("silent.example", 80, 0.01)
    assert silent.asked == ["silent.example"]
    assert resolver("other.example", 80, 10) == ["127.0.0.1"]
    silent.answer.set()
    assert resolver("silent.example", 80, 10) == ["127.0.0.1"]


def test_names_that_hang_do_not_take_threads_without_end(silent: Silent) -> None:
    resolver = Resolver(silent, most=3)
    for n in range(3):
        with pytest.raises(Transient, match="in time"):
            resolver(f"{n}.silent.example", 80, 0.01)
    with pytest.raises(Transient, match="too many names"):
        resolver("other.example", 80, 10)
    silent.answer.set()
    waiting = [thread for thread in threading.enumerate() if thread.name == "resolver"]
    for thread in waiting:
        thread.join(10)
    assert resolver("other.example", 80, 10) == ["127.0.0.1"]


def test_what_is_not_known_is_told_to_all_who_ask(silent: Silent) -> None:
    resolver, faults = Resolver(silent), list[OSError]()

    def ask() -> None:
        try:
            resolver("unknown.silent.example", 80, 30)
        except OSError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    silent.answer.set()
    for thread in threads:
        thread.join(10)
    assert len(faults) == 3
