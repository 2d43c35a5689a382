"""In a child: does the one call that it was forked for, with the plugin's own code."""

from __future__ import annotations

import io
import logging
import os
import pkgutil
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import Any, BinaryIO

from core import errors
from core.domain.health import without_middle
from core.domain.plugins import Batch
from core.domain.receipts import MAIL
from plugins import receipt_text
from plugins.isolation import sandbox, wire
from plugins.isolation.wire import CONTRACT, KNOWN, VERSION
from plugins.loading import ContractError, VersionError, offers
from ports.connectors import Context, HttpResponse, ReadRequest

MAX_MESSAGE = 2_000
MAX_SAID = 20_000
"""Characters of a line for the log: the host cuts it shorter once it has masked secrets, none of which it would know by
a half."""


def serve(to: socket.socket, file: int | None, scratch: str) -> None:
    call = wire.from_host(to)
    assert isinstance(call, wire.Call)  # noqa: S101 - the first frame is one
    _settle(call, scratch)
    channel = _Channel(to)
    spoken = _speak(channel)
    try:
        for frame in _DOING[call.do](call, channel, file):
            if isinstance(frame, wire.Done):
                _finish(spoken)
            channel.send(frame)
    except wire.Closed:
        return
    except BaseException as error:  # a plugin may even call sys.exit()
        _finish(spoken)
        channel.send(_failure(error))


class _Channel:
    """The socket to the host, for the threads that a plugin may have."""

    def __init__(self, to: socket.socket) -> None:
        self._to = to
        self._lock = RLock()

    def send(self, frame: wire.FromChild) -> None:
        with self._lock:
            wire.send(self._to, frame)

    def ask(self, frame: wire.Ask) -> wire.FromHost:
        with self._lock:
            wire.send(self._to, frame)
            return wire.from_host(self._to)


def _settle(call: wire.Call, scratch: str) -> None:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.close(nothing)
    working = Path.cwd()
    os.chdir(scratch)
    os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = scratch  # the zygote's choice is kept otherwise
    sys.path[:] = call.path
    named = [*(entry.value for entry in call.entries), *call.factories]
    places = _places(name.partition(":")[0] for name in named)
    readable = [*sandbox.own_files(working), *places, *([Path(call.folder)] if call.folder else [])]
    sandbox.limit(call.memory, call.seconds)
    sandbox.shut_in(readable, Path(scratch), sockets=call.sockets)


def _places(modules: Iterable[str]) -> list[Path]:
    """Where the packages of these modules lie, which need not be on the path (editable installs)."""
    found: list[Path] = []
    for name in {module.partition(".")[0] for module in modules}:
        try:
            spec = find_spec(name)
        except (ImportError, ValueError):
            continue
        if spec is not None:
            found += map(Path, spec.submodule_search_locations or ([spec.origin] if spec.origin else []))
    return found


class _Spoken(io.TextIOBase):
    """What a plugin prints goes to the connection's log, line by line, in however many pieces it comes; of a long line
    without its middle."""

    def __init__(self, to: _Channel, level: int) -> None:
        self._to = to
        self._level = level
        self._begun = ""
        self._lock = RLock()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *whole, rest = text.split("\n")
        with self._lock:
            for line in whole:
                self._begun += line
                self.finish()
            self._begun += rest
            if len(self._begun) > 2 * MAX_SAID:
                self._begun = without_middle(self._begun, MAX_SAID)
        return len(text)

    def finish(self) -> None:
        """Ends the line that was begun."""
        with self._lock:
            line, self._begun = self._begun.rstrip(), ""
            if line:
                self._to.send(wire.Line(level=self._level, text=without_middle(line, MAX_SAID)))


class _Lines(logging.Handler):
    def __init__(self, to: _Channel) -> None:
        super().__init__()
        self._to = to

    def emit(self, record: logging.LogRecord) -> None:
        self._to.send(wire.Line(level=record.levelno, text=without_middle(self.format(record), MAX_SAID)))


def _speak(to: _Channel) -> Sequence[_Spoken]:
    spoken = _Spoken(to, logging.INFO), _Spoken(to, logging.WARNING)
    sys.stdout, sys.stderr = spoken
    logging.basicConfig(handlers=[_Lines(to)], level=logging.INFO, format="%(message)s", force=True)
    return spoken


def _finish(spoken: Iterable[_Spoken]) -> None:
    for one in spoken:
        one.finish()


class _Http:
    """The `HttpClient` of a child: the host sends the request."""

    def __init__(self, to: _Channel) -> None:
        self._to = to

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        authenticated: bool = True,
        accept: Collection[int] = (),
    ) -> HttpResponse:
        frame = self._to.ask(
            wire.Ask(
                method=method,
                url=url,
                params=None if params is None else dict(params),
                headers=None if headers is None else dict(headers),
                content=content,
                authenticated=authenticated,
                accept=list(accept),
            )
        )
        if isinstance(frame, wire.Answer):
            return HttpResponse(status=frame.status, headers=frame.headers, content=frame.content)
        assert isinstance(frame, wire.Failed)  # noqa: S101 - there is no other answer
        details = {} if frame.retry_after is None else {"retry_after": frame.retry_after}
        raise KNOWN.get(frame.code, errors.Transient)(frame.message, **details)


def _load(call: wire.Call, to: _Channel, file: int | None) -> Iterable[wire.FromChild]:
    del to, file
    found: list[wire.Loaded | wire.Failed] = []
    for entry in call.entries:
        try:
            connectors, rule_types = offers(entry.name, entry.value)
            found.append(wire.Loaded(connectors=connectors, rule_types=rule_types))
        except BaseException as error:  # a plugin may even call sys.exit() when it is imported
            found.append(_failure(error))
    yield wire.Done(loaded=found)


def _make(call: wire.Call, to: _Channel, file: int | None) -> Iterable[wire.FromChild]:
    del to, file
    made = _made(call.factories[0])
    yield wire.Done(lacking=[name for name in call.methods if not callable(getattr(made, name, None))])


def _detect(call: wire.Call, to: _Channel, file: int | None) -> Iterable[wire.FromChild]:
    del to, file
    found: list[float | str] = []
    for factory in call.factories:
        try:
            found.append(float(_made(factory).detect(call.sample, call.filename)))
        except (Exception, SystemExit) as error:
            found.append(_named(error))
    yield wire.Done(sure=found)


def _check(call: wire.Call, to: _Channel, file: int | None) -> Iterable[wire.FromChild]:
    del file
    yield wire.Done(checks=list(_made(call.factories[0]).check(_context(call, to))))


def _discover(call: wire.Call, to: _Channel, file: int | None) -> Iterable[wire.FromChild]:
    del file
    yield wire.Done(streams=list(_made(call.factories[0]).discover(_context(call, to))))


def _read(call: wire.Call, to: _Channel, file: int | None) -> Iterable[wire.FromChild]:
    opened: BinaryIO | None = None if file is None else os.fdopen(file, "rb")
    request = ReadRequest(
        file=opened, filename=call.filename, stream=call.stream, cursor=call.cursor, batch_size=call.batch_size
    )
    too_large = False
    try:
        for batch in _made(call.factories[0]).read(_context(call, to), request):
            yield wire.packed(batch)
    except MemoryError:
        if opened is None:
            raise
        too_large = True
    if too_large:  # raised outside: the former error holds what takes the memory
        raise errors.UnreadableFile(f"the file is too large to be read: it takes more than {call.memory >> 20} MiB")
    yield wire.Done()


def _parse(call: wire.Call, to: _Channel, file: int | None) -> Iterable[wire.FromChild]:
    del file
    yield wire.packed(_made(call.factories[0]).parse_webhook(_context(call, to), call.message))
    yield wire.Done()


def _migrate(call: wire.Call, to: _Channel, file: int | None) -> Iterable[wire.FromChild]:
    del to, file
    cursor = _made(call.factories[0]).migrate_state(call.cursor or {}, call.from_version)
    yield wire.Done(cursor=None if cursor is None else dict(cursor))


def _receipt(call: wire.Call, to: _Channel, file: int | None) -> Iterable[wire.FromChild]:
    del to
    assert file is not None  # noqa: S101 - the call comes with one
    with os.fdopen(file, "rb") as opened:
        if call.mime_type == MAIL:  # what is attached first: it may be well where the text is not
            for receipt in receipt_text.attached_to(opened):
                yield wire.packed(Batch(receipts=(receipt,)))
        text = receipt_text.text_of(opened, call.mime_type)
    yield wire.Done(text=text)


_DOING = {
    "load": _load,
    "make": _make,
    "detect": _detect,
    "check": _check,
    "discover": _discover,
    "read": _read,
    "parse_webhook": _parse,
    "migrate_state": _migrate,
    "receipt": _receipt,
}


def _context(call: wire.Call, to: _Channel) -> Context:
    return Context(
        config=call.config,
        default_currency=call.default_currency,
        http=_Http(to),
        log=logging.getLogger("sortation.plugin"),
    )


def _made(factory: str) -> Any:
    return pkgutil.resolve_name(factory)()


def _failure(error: BaseException) -> wire.Failed:
    trace = without_middle("".join(traceback.format_exception(error)), MAX_SAID)
    message = str(error)[:MAX_MESSAGE]
    if isinstance(error, ContractError):
        return wire.Failed(code=CONTRACT, message=message)
    if isinstance(error, VersionError):
        return wire.Failed(code=VERSION, message=message)
    for code, known in KNOWN.items():
        if isinstance(error, known):
            retry_after = error.details.get("retry_after")
            return wire.Failed(
                code=code,
                message=message,
                retry_after=float(retry_after) if isinstance(retry_after, int | float) else None,
                trace=trace,
            )
    return wire.Failed(code=errors.PluginBug.code, message=_named(error), trace=trace)


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_MESSAGE]
