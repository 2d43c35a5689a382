"""Files at a URL, read by a child over real FTP and SFTP: each once, in time, and only where the operator allows it."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from plugins.isolation.host import Isolation
from plugins.manager import PluginManager
from sortation import Batch, ConfigInvalid, Context, ReadRequest, ReauthRequired, Transient
from tests.stubs.file_servers import PASSWORD, USER, FileServer, ftp_server, sftp_server

OLD = time.time() - 3_600


@pytest.fixture(scope="module", params=["ftp", "sftp"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "out").mkdir()
    with {"ftp": ftp_server, "sftp": sftp_server}[request.param](folder) as server:
        yield server


@pytest.fixture(scope="module")
def host(server: FileServer) -> PluginManager:
    return PluginManager(isolation=Isolation(roots=[f"{server.url}/out"]))


@dataclass(frozen=True)
class Outbox:
    """A folder of a test on the server."""

    server: FileServer
    path: Path

    def put(self, name: str, *texts: str, at: float = OLD) -> None:
        lines = (json.dumps({"text": text, "occurred_at": "2026-03-01"}) + "\n" for text in texts)
        (self.path / name).write_text("".join(lines))
        os.utime(self.path / name, (at, at))

    def context(self, below: str = "", **config: Any) -> Context:
        known = {"host_key": self.server.host_key} if self.server.host_key else {}
        url = f"{self.server.url}/out/{self.path.name}{below}"
        return Context(config={"url": url, "user": USER, "secret": PASSWORD, **known, **config})


@pytest.fixture
def outbox(server: FileServer) -> Outbox:
    path = Path(tempfile.mkdtemp(dir=server.folder / "out"))
    path.chmod(0o755)
    (path / "sub").mkdir()
    return Outbox(server, path)


def read(host: PluginManager, ctx: Context, cursor: Mapping[str, Any] | None = None, size: int = 100) -> list[Batch]:
    host.check_config("files", ctx.config)
    request = ReadRequest(stream="files", cursor=cursor, batch_size=size)
    return list(host.connector("files").read(ctx, request))


def texts(batches: list[Batch]) -> list[str]:
    return [draft.text for batch in batches for draft in batch.drafts]


def test_each_file_is_read_once(host: PluginManager, outbox: Outbox) -> None:
    outbox.put("b.ndjson", "first", "second")
    outbox.put("sub/a.ndjson", "third", at=OLD + 1)
    outbox.put(".hidden.ndjson", "never")
    outbox.put("now.ndjson", "not yet", at=time.time())
    batches = read(host, outbox.context())
    assert texts(batches) == ["first", "second", "third"]
    assert [d.attributes["file"] for b in batches for d in b.drafts] == ["b.ndjson", "b.ndjson", "sub/a.ndjson"]
    cursor = json.loads(json.dumps(batches[-1].cursor))
    assert read(host, outbox.context(), cursor) == []
    outbox.put("c.ndjson", "fourth", at=OLD + 2)
    assert texts(read(host, outbox.context(), cursor)) == ["fourth"]


def test_a_file_that_arrives_with_an_older_date_is_not_lost(host: PluginManager, outbox: Outbox) -> None:
    outbox.put("new.ndjson", "new")
    cursor = read(host, outbox.context())[-1].cursor
    outbox.put("late.ndjson", "late", at=OLD - 86_400)
    batches = read(host, outbox.context(), cursor)
    assert texts(batches) == ["late"]
    assert read(host, outbox.context(), batches[-1].cursor) == []


def test_no_crash_loses_a_row(host: PluginManager, outbox: Outbox) -> None:
    outbox.put("a.ndjson", *(f"a{n}" for n in range(3)))
    outbox.put("b.ndjson", *(f"b{n}" for n in range(2)), at=OLD + 1)
    found, cursor = list[str](), None
    for _ in range(12):
        request = ReadRequest(stream="files", cursor=cursor, batch_size=2)
        part = list(islice(host.connector("files").read(outbox.context(), request), 1))
        if not part:
            break
        found += texts(part)
        cursor = json.loads(json.dumps(part[-1].cursor))
    assert found == ["a0", "a1", "a2", "b0", "b1"]


def test_a_bad_file_is_refused_alone_and_patterns_are_kept(host: PluginManager, outbox: Outbox) -> None:
    (outbox.path / "a.bin").write_bytes(b"\0\1\2")
    os.utime(outbox.path / "a.bin", (OLD, OLD))
    outbox.put("b.ndjson", "good", at=OLD + 1)
    outbox.put("sub/c.ndjson", "deeper", at=OLD + 2)
    batches = read(host, outbox.context())
    assert texts(batches) == ["good", "deeper"]
    (refused,) = [refusal.reason for batch in batches for refusal in batch.refusals]
    assert refused.startswith("a.bin: no connector recognises")
    assert texts(read(host, outbox.context(pattern="*.ndjson"))) == ["good"]
    assert texts(read(host, outbox.context("/sub"))) == ["deeper"]


@pytest.mark.slow
def test_a_check_says_why_it_can_not_be_read(host: PluginManager, outbox: Outbox) -> None:
    def checked(ctx: Context) -> tuple[bool, str]:
        (check,) = host.connector("files").check(ctx)
        return check.ok, check.reason

    assert checked(outbox.context()) == (True, "there are no files to read yet")
    with pytest.raises(ConfigInvalid, match="there is no such folder"):
        checked(outbox.context("/none"))
    with pytest.raises(ReauthRequired, match="does not let this user in") as refused:
        checked(outbox.context(secret="wrong"))
    assert PASSWORD not in str(refused.value)


def test_only_what_the_operator_allows_is_opened(host: PluginManager, outbox: Outbox) -> None:
    for url in (
        outbox.server.url,
        f"{outbox.server.url}/outer",
        f"{outbox.server.url}/out/../x",
        "ftp://other.example/out",
    ):
        with pytest.raises(ConfigInvalid):
            host.connector("files").check(Context(config={**outbox.context().config, "url": url}))


def test_a_server_that_is_away_is_tried_again() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"ftp://127.0.0.1:{nobody.getsockname()[1]}"
        host = PluginManager(isolation=Isolation(roots=[url]))
        with pytest.raises(Transient, match="cannot be read now"):
            read(host, Context(config={"url": url, "user": USER, "secret": PASSWORD}))


def test_a_password_goes_to_no_other_server_and_a_key_will_do(tmp_path: Path) -> None:
    with sftp_server(tmp_path) as server, sftp_server(tmp_path) as other:
        host = PluginManager(isolation=Isolation(roots=[server.url]))
        config = {"url": server.url, "user": USER, "secret": server.client_key, "host_key": server.host_key}
        (check,) = host.connector("files").check(Context(config=config))
        assert check.ok
        with pytest.raises(ConfigInvalid, match="another host_key"):
            read(host, Context(config={**config, "secret": PASSWORD, "host_key": other.host_key}))
        for missing in ("host_key", "user", "secret"):
            partial = {name: value for name, value in config.items() if name != missing}
            with pytest.raises(ConfigInvalid, match="needs user, secret and host_key"):
                read(host, Context(config=partial))
