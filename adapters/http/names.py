"""Names are resolved in time: the system's resolver has no limit of ours, so a thread of its own waits for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late

from core.errors import Transient

Lookup = Callable[[str, int], Sequence[str]]
MOST = 64
"""Look-ups under way at once in a process; one that hangs is given up by the system itself some time."""


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, in the system's order of preference; raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Resolver:
    """May be shared by threads, not by processes. Who asks for a name that is being looked up waits for that one, so
    that a name whose servers are silent takes one thread, however many ask for it."""

    def __init__(self, lookup: Lookup = resolve, *, most: int = MOST) -> None:
        self._lookup = lookup
        self._most = most
        self._under_way: dict[tuple[str, int], Future[Sequence[str]]] = {}
        self._guard = threading.Lock()

    def __call__(self, host: str, port: int, seconds: float | None) -> Sequence[str]:
        """The addresses of a host. Raises `OSError` or `UnicodeError` for one that is not known, and `Transient` when
        that can't be told within `seconds`."""
        with self._guard:
            answer = self._under_way.get((host, port))
            if answer is None:
                if len(self._under_way) >= self._most:
                    raise Transient(f"{host}: too many names are being resolved at the moment")
                answer = self._under_way[host, port] = Future()
                # Not of a pool: these would be waited for when the process ends.
                threading.Thread(target=self._look_up, args=(host, port, answer), name="resolver", daemon=True).start()
        try:
            return answer.result(seconds)
        except Late:
            raise Transient(f"{host}: its name was not resolved in time") from None

    def _look_up(self, host: str, port: int, answer: Future[Sequence[str]]) -> None:
        try:
            found = self._lookup(host, port)
        except BaseException as error:
            self._ended(host, port)
            answer.set_exception(error)
        else:
            self._ended(host, port)
            answer.set_result(found)

    def _ended(self, host: str, port: int) -> None:
        with self._guard:
            del self._under_way[host, port]
