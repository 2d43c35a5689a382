"""Whatever a plugin does, it does to itself: the host goes on, and learns in words what became of it."""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import platform
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.metadata import EntryPoint
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from core.domain.plugins import Batch, PluginState
from core.errors import PluginBug, RateLimited, ReauthRequired, SortationError, Transient, UnreadableFile
from entrypoints.cli.main import main
from plugins import manager
from plugins.isolation import host as isolation_host
from plugins.isolation import isolated, sandbox
from plugins.isolation.host import Isolation
from plugins.isolation.serving import MAX_SAID
from plugins.json_lines import MAX_ARRAY
from plugins.manager import PluginManager
from ports.connectors import Context, HttpResponse, ReadRequest
from sortation import Draft
from tests.integration.bad_plugins import AT_LOADING, module
from tests.processes import command_of


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    (folder / "bad_plugins_of_tests.py").write_text(module())
    for name, body in AT_LOADING.items():
        (folder / f"bad_at_loading_{name}.py").write_text(body)
    return folder


@pytest.fixture(scope="module")
def isolation() -> Isolation:
    return Isolation(memory=1 << 30)


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The entry points; tests may add others."""
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    entries: list[EntryPoint] = []
    monkeypatch.setattr(manager, "entry_points", lambda group: list(entries))
    add(entries, "bad", "bad_plugins_of_tests")
    add(entries, "json", "plugins.json_lines", dist="sortation")
    return entries


def add(entries: list[EntryPoint], name: str, value: str, dist: str = "") -> None:
    entry = EntryPoint(name=name, value=value, group="sortation")
    vars(entry)["dist"] = SimpleNamespace(name=dist or f"dist-{name}", version="1.0")
    entries.append(entry)


@pytest.fixture
def host(installed: list[EntryPoint], isolation: Isolation) -> PluginManager:
    return PluginManager(isolation=isolation)


def read(host: PluginManager, key: str, ctx: Context | None = None, **request: Any) -> Iterator[Batch]:
    return host.connector(key).read(ctx or Context(), ReadRequest(**request))


def test_a_good_one_is_read_as_in_the_process_itself(
    installed: list[EntryPoint], isolation: Isolation, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO, "sortation.plugin")
    apart, within = PluginManager(isolation=isolation), PluginManager()
    assert apart.connectors() == within.connectors()
    assert list(read(apart, "good")) == list(read(within, "good"))
    assert {"said", "logged"} <= {r.message for r in caplog.records}
    content = (
        b'{"text": "Caf\\u00e9", "occurred_at": "2026-01-05T10:00:00+02:00", "amount": "-1.50", "currency": "EUR"}\n'
    )
    stored = tmp_path / "x.ndjson"
    stored.write_bytes(content)
    with stored.open("rb") as on_disk:
        for file in (io.BytesIO(content), on_disk):
            request = {"file": file, "filename": "x.ndjson"}
            [found] = read(apart, "json", **request)
            file.seek(0)
            assert [found] == list(read(within, "json", **request))
            assert found.drafts[0].text == "Café"
    assert apart.detect(content, "x.ndjson") == "json"
    assert apart.detect(b"Good", "x.bad") == "good"


def test_of_a_long_line_the_end_is_kept(
    installed: list[EntryPoint], isolation: Isolation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sortation.plugin")
    assert list(read(PluginManager(isolation=isolation), "rambles")) == []
    logged, printed = (r.message for r in caplog.records if "x" * 100 in r.message)
    assert (logged[:6], logged[-5:]) == ("first ", " last")
    assert (printed[:9], printed[-8:]) == ("at first ", " at last")
    assert len(logged) == len(printed) == MAX_SAID


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        ("raises", PluginBug, "LookupError: no such luck"),
        ("exits", PluginBug, "SystemExit: 3"),
        ("leaves", PluginBug, "broke down: it exited with code 7"),
        ("crashes", PluginBug, "broke down: killed by SIG"),
        ("hangs", PluginBug, "gave nothing for"),
        ("spins", PluginBug, "gave nothing for"),
        ("chatters", PluginBug, "gave nothing for"),
        ("floods", PluginBug, "a batch of 101 drafts: at most 100"),
        ("leaks", PluginBug, "MemoryError"),
        ("garbles", PluginBug, "breaks the contract: "),
        ("mistakes", PluginBug, "no draft"),
        ("moments", PluginBug, "no draft"),
        ("amounts", PluginBug, "the amount 1.5 is no Decimal"),
        ("unencodable", PluginBug, "object"),
        ("limited", RateLimited, "slowly"),
        ("refused", ReauthRequired, "sign in again"),
        ("own", Transient, "soon"),
    ],
)
def test_what_goes_wrong_is_said_and_stays_where_it_is(
    host: PluginManager, monkeypatch: pytest.MonkeyPatch, key: str, error: type[SortationError], message: str
) -> None:
    monkeypatch.setattr(isolated, "READ_SECONDS", 1.0 if key in ("hangs", "spins", "chatters") else 60.0)
    with pytest.raises(error, match=message) as raised:
        list(read(host, key, batch_size=100))
    if key == "limited":
        assert raised.value.details == {"retry_after": 7.0}
    monkeypatch.setattr(isolated, "READ_SECONDS", 60.0)
    assert len(list(read(host, "good"))) == 1


def lists(size: int) -> io.BytesIO:
    """A JSON array of so many bytes, at most, that takes some thirty times as many to hold."""
    return io.BytesIO(b"[" + b"[{}]," * (size // 5 - 1) + b"1]")


@pytest.mark.slow
def test_the_largest_array_fits_into_the_memory_of_a_child(installed: list[EntryPoint]) -> None:
    host = PluginManager(isolation=Isolation())
    batches = read(host, "json", file=lists(MAX_ARRAY), filename="x.json", batch_size=9)
    assert len(next(batches).refusals) == 9
    with closing(batches), pytest.raises(UnreadableFile, match=r"an array may have \d+ MiB"):
        next(read(host, "json", file=lists(MAX_ARRAY + 10), filename="x.json"))


def test_a_file_that_takes_more_memory_than_there_is_is_unreadable_and_not_tried_again(
    installed: list[EntryPoint],
) -> None:
    host = PluginManager(isolation=Isolation(memory=512 << 20))
    with pytest.raises(UnreadableFile, match="too large to be read: it takes more than 512 MiB"):
        list(read(host, "json", file=lists(MAX_ARRAY // 2), filename="x.json"))


def test_others_are_served_meanwhile(host: PluginManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "READ_SECONDS", 30.0)
    hanging = read(host, "hangs")
    next(hanging)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, hanging)
        for _ in range(3):
            assert len(list(read(host, "good"))) == 1
        assert not waiting.done()
        [child] = [child for zygote in zygotes() for child in zygote.children()]
        child.kill()
        with pytest.raises(PluginBug, match="broke down: killed by SIGKILL"):
            waiting.result()


def test_an_endless_one_is_read_as_far_as_it_is_wanted(host: PluginManager) -> None:
    endless = read(host, "endless")
    assert [b.cursor for b in islice(endless, 3)] == [{"at": 1}, {"at": 2}, {"at": 3}]
    before = descendants()
    endless.close()  # type: ignore[attr-defined]
    assert len(descendants()) == len(before) - 1


def test_a_child_finds_nothing_of_the_host(
    host: PluginManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SORTATION_SECRET_KEY", "canary-of-the-host")
    secret = tmp_path / "secret"
    secret.write_text("canary-of-the-host")
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = {"path": str(secret), "port": server.getsockname()[1]}
        [batch] = read(host, "spies", Context(config=config))
    found = dict(batch.drafts[0].attributes)
    assert "canary" not in json.dumps(found)
    assert found.pop("scratch") == "mine"
    environment = found.pop("environment")
    assert "PATH" in environment
    assert "SORTATION" not in environment
    assert set(found.values()) <= {"PermissionError", "CalledProcessError"}, found


def test_one_that_asks_for_ever_is_ended(host: PluginManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "READ_SECONDS", 0.5)
    monkeypatch.setattr(isolation_host, "PATIENCE", 3)
    with pytest.raises(PluginBug, match="gave nothing for"):
        list(read(host, "wanders", Context(http=Forever())))


class Forever:
    def request(self, method: str, url: str, **_: Any) -> HttpResponse:
        return HttpResponse(status=200, headers={}, content=b"")


def test_the_directory_that_the_host_works_in_is_the_hosts(
    host: PluginManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for zygote in zygotes():
        zygote.kill()
        zygote.wait()
    (tmp_path / "secret").write_text("canary-of-the-host")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # as `python -m` does
    [batch] = read(host, "spies", Context(config={"path": str(tmp_path / "secret"), "port": 1}))
    assert "canary" not in json.dumps(dict(batch.drafts[0].attributes))
    for zygote in zygotes():
        zygote.kill()
        zygote.wait()


def test_what_msgpack_does_not_carry_comes_as_it_would_be_stored(host: PluginManager) -> None:
    [batch] = read(host, "huge")
    assert (batch.drafts[0].attributes, batch.drafts[0].raw) == ({"n": [str(2**70)]}, {"half \0": "1"})


def test_what_it_patches_is_its_own(host: PluginManager) -> None:
    [batch] = read(host, "patches")
    assert json.loads("[1]") == [1]
    assert "record 1" in repr(batch.drafts[0])
    [batch] = read(host, "good")
    assert isinstance(batch.drafts[0], Draft)


def test_what_it_started_ends_with_it(host: PluginManager) -> None:
    forking = read(host, "forks")
    pid = int(next(forking).drafts[0].external_id or 0)
    assert psutil.pid_exists(pid)
    forking.close()  # type: ignore[attr-defined]
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("ending", ["it ends", "it is given up", "it gives nothing"])
def test_what_it_detached_ends_with_it(host: PluginManager, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.setattr(isolated, "READ_SECONDS", 2.0 if ending == "it gives nothing" else 60.0)
    detaching = read(host, "detaches", Context(config={} if ending == "it ends" else {"stays": True}))
    [draft] = next(detaching).drafts
    [process] = [p for p in descendants() if p.pid == int(draft.external_id or 0)]
    if platform.machine() in sandbox._MACHINES:
        assert draft.attributes["refused"] == "PermissionError"
    if ending == "it is given up":
        detaching.close()  # type: ignore[attr-defined]
    elif ending == "it ends":
        assert list(detaching) == []
    else:
        with pytest.raises(PluginBug, match="gave nothing for 2 seconds"):
            next(detaching)
    assert not process.is_running()


def test_what_is_printed_is_logged_line_by_line(host: PluginManager, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sortation.plugin")
    with pytest.raises(PluginBug, match="no such luck"):
        list(read(host, "prints"))
    assert [r.message for r in caplog.records] == ["key 7", "ab", "c", "broken off"]


class Http:
    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def request(self, method: str, url: str, **rest: Any) -> HttpResponse:
        self.asked.append((method, url, rest["params"], rest["accept"]))
        if len(self.asked) > 1:
            raise ReauthRequired("the token was revoked")
        return HttpResponse(status=404, headers={}, content=b"nothing")


def test_the_host_sends_its_requests(host: PluginManager) -> None:
    http = Http()
    [batch] = read(host, "asks", Context(http=http))
    assert http.asked == [("GET", "https://x.example/a", {"q": "1"}, [404])]
    assert (batch.drafts[0].external_id, batch.drafts[0].attributes["said"]) == ("404", "nothing")
    with pytest.raises(ReauthRequired, match="the token was revoked"):
        list(read(host, "asks", Context(http=http)))


def test_what_fails_to_load_is_in_the_inventory_and_nowhere_else(
    installed: list[EntryPoint], isolation: Isolation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation_host, "LOOK_SECONDS", 3.0)
    for name in AT_LOADING:
        add(installed, name, f"bad_at_loading_{name}")
    host = PluginManager(isolation=isolation)
    errors = {info.name: info.error or "" for info in host.inventory() if info.state is PluginState.FAILED}
    assert errors.keys() == AT_LOADING.keys()
    assert "LookupError: no such luck" in errors["fails"]
    assert "SystemExit: 3" in errors["exits"]
    assert "exited with code 3" in errors["leaves"]
    assert "killed by SIG" in errors["crashes"]
    assert "gave nothing for 3 seconds" in errors["hangs"]
    assert "implements no hook" in errors["patches"]
    assert json.dumps([1]) == "[1]"
    assert len(list(read(host, "good"))) == 1


def test_the_doctor_says_what_fails(
    installed: list[EntryPoint], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    add(installed, "fails", "bad_at_loading_fails")
    (tmp_path / "lacks_of_tests.py").write_text(
        "import sortation\n"
        "def fails(): raise LookupError('no key')\n"
        "@sortation.hookimpl\n"
        "def sortation_connectors():\n"
        "    rest = {'version': '1', 'title': 'x', 'pulls': True}\n"
        "    made = lambda key, what: sortation.ConnectorManifest(key=key, factory=what, **rest)\n"
        "    return [made('lacks', 'builtins:object'), made('breaks', 'lacks_of_tests:fails')]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    add(installed, "lacks", "lacks_of_tests")
    assert main(["plugin", "list", "--json"]) == 0
    told = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert (told["fails"]["state"], told["json"]["connectors"]) == ("failed", ["json"])
    assert main(["plugin", "doctor", "json"]) == 0
    assert "connector json: ok" in capsys.readouterr().out
    assert main(["plugin", "doctor"]) == 1
    said = capsys.readouterr().out
    for line in (
        "fails (dist-fails 1.0): failed",
        "    LookupError: no such luck",
        "connector lacks: it has no method check and no read",
        "connector breaks: LookupError: no key",
    ):
        assert line in said
    assert main(["plugin", "doctor", "unheard-of"]) == 2


def test_who_opens_sockets_of_its_own_is_named(
    installed: list[EntryPoint], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add(installed, "files", "plugins.remote_files", dist="third-party")
    warned = "connector files opens sockets of its own: it reaches every address"
    assert main(["plugin", "doctor"]) == 0
    assert capsys.readouterr().out.count("opens sockets of its own") == 1
    assert main(["plugin", "doctor", "files"]) == 0
    assert warned in capsys.readouterr().out
    assert main(["plugin", "list"]) == 0
    assert warned in capsys.readouterr().out
    assert main(["plugin", "list", "--json"]) == 0
    told = {one["name"]: one["sockets"] for one in json.loads(capsys.readouterr().out)}
    assert (told["files"], told["json"]) == (["files"], [])


@pytest.mark.parametrize(
    ("abi", "said"),
    [
        (-1, ["it can open all files of this user", "it can end other processes of this user"]),
        (2, ["it can empty files of this user", "it can end other processes of this user"]),
        (5, ["it can end other processes of this user, Sortation's too: Landlock has ABI 5 here"]),
        (6, []),
    ],
)
def test_the_doctor_says_what_this_kernel_lacks(
    installed: list[EntryPoint],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    abi: int,
    said: list[str],
) -> None:
    monkeypatch.setattr(sandbox, "_landlock_abi", lambda: abi)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(sys, "platform", "linux")
    assert main(["plugin", "doctor", "json"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "can't keep" in line]
    assert [part in line for part, line in zip(said, lines, strict=True)] == [True] * len(said)


def test_a_killed_zygote_is_replaced_and_one_whose_host_is_gone_goes(host: PluginManager) -> None:
    assert list(read(host, "good"))
    for zygote in zygotes():
        zygote.kill()
        zygote.wait()
    assert list(read(host, "good"))

    orphan = os.fork()
    if orphan == 0:
        Isolation().load([("json", "plugins.json_lines")])
        os.kill(os.getpid(), 9)
    before = {p.pid for p in descendants()}
    os.waitpid(orphan, 0)
    end = time.monotonic() + 20
    while lost := [p for p in psutil.process_iter(["ppid", "cmdline"]) if _is_lost(p, before)]:
        assert time.monotonic() < end, lost
        psutil.wait_procs(lost, timeout=1)


def _is_lost(process: psutil.Process, known: set[int]) -> bool:
    command = process.info["cmdline"] or []
    return "plugins.isolation.zygote" in command and process.info["ppid"] == 1 and process.pid not in known


def zygotes() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "plugins.isolation.zygote" in command_of(p)]


def descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)
