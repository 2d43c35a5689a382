"""Sources that are asked, at work where they work: in child processes, which have the host send their requests."""

from __future__ import annotations

import importlib
import os
import selectors
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from core.domain.plugins import PluginState
from plugins.isolation.host import Isolation
from plugins.manager import PluginManager
from sortation import Batch, ConfigInvalid, Context, Draft, ReadRequest, ReauthRequired, WebhookMessage
from tests.stubs.source_server import Http, Reply, Request, SourceServer
from tests.stubs.stripe_server import KEY, StripeStub, a_transaction

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin-github-issues"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as pip installs it, out of a copy."""
    folder = tmp_path_factory.mktemp("plugins")
    source = shutil.copytree(EXAMPLE, folder / "source")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(folder / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    return folder / "site"


@pytest.fixture(scope="module")
def isolation() -> Isolation:
    return Isolation()


@pytest.fixture
def host(site: Path, isolation: Isolation, monkeypatch: pytest.MonkeyPatch) -> PluginManager:
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    made = PluginManager(isolation=isolation)
    failed = [info for info in made.inventory() if info.state is not PluginState.LOADED]
    assert failed == []
    return made


def read(host: PluginManager, key: str, ctx: Context, stream: str, size: int = 100) -> list[Draft]:
    """All of a stream, by a child of its own for each batch."""
    host.check_config(key, ctx.config)
    found: list[Draft] = []
    cursor: Any = None
    while True:
        request = ReadRequest(stream=stream, cursor=cursor, batch_size=size)
        batches: list[Batch] = list(islice(host.connector(key).read(ctx, request), 1))
        found += batches[0].drafts
        if not batches[0].drafts or batches[0].cursor == cursor:
            return found
        cursor = batches[0].cursor


def test_a_declared_source_is_checked_discovered_and_read(host: PluginManager) -> None:
    def answering(request: Request) -> Reply:
        since, after = request.query.get("since", ""), int(request.query.get("after", "0"))
        numbers = [n for n in range(1, 6) if f"2026-03-0{n}" >= since[:10]]
        page = [{"id": n, "what": f"Row {n}", "at": f"2026-03-0{n}T00:00:00Z"} for n in numbers[after : after + 2]]
        return Reply(body={"rows": page, "next": after + 2 if after + 2 < len(numbers) else None})

    with SourceServer(answering) as source:
        stream = {
            "name": "rows",
            "path": "/rows",
            "records": "$.rows",
            "pagination": {"type": "cursor", "param": "after", "path": "$.next"},
            "incremental": {"path": "$.at", "param": "since", "overlap": 1},
            "fields": {"external_id": "$.id", "text": "$.what", "occurred_at": "$.at", "kind": "row"},
        }
        config = {"base_url": source.url, "streams": [stream], "api_key": "k", "key_header": "X-Key", "key_prefix": ""}
        ctx = Context(config=config, http=Http({"X-Key": "k"}))
        connector = host.connector("rest-key")
        assert [(check.stream, check.ok) for check in connector.check(ctx)] == [("rows", True)]
        assert [(info.name, info.kind) for info in connector.discover(ctx)] == [("rows", "row")]
        request = ReadRequest(stream="rows", batch_size=2)
        batches = list(connector.read(ctx, request))
        assert [d.external_id for b in batches for d in b.drafts] == ["1", "2", "3", "4", "5"]
        again = connector.read(ctx, ReadRequest(stream="rows", cursor=batches[-1].cursor, batch_size=2))
        assert [d.external_id for b in again for d in b.drafts] == ["4", "5"]
        assert {request.headers.get("x-key") for request in source.requests} == {"k"}


def test_stripes_library_works_without_sockets(host: PluginManager) -> None:
    stub = StripeStub()
    stub.stored = [a_transaction(f"txn_{n}", 1_772_359_200 + n // 2, fee=30) for n in range(7)]
    with SourceServer(stub) as source:
        config = {"api_key": "rk_never_sent", "base_url": source.url}
        ctx = Context(config=config, http=Http({"Authorization": f"Bearer {KEY}"}))
        (check,) = host.connector("stripe").check(ctx)
        assert check.ok
        found = read(host, "stripe", ctx, "balance_transactions", 3)
        assert sorted({d.external_id or "" for d in found}) == sorted(
            name for n in range(7) for name in (f"txn_{n}", f"txn_{n}:fee:1")
        )
        event = b'{"type": "charge.succeeded", "data": {"object": {"balance_transaction": "txn_3"}}}'
        assert [d.external_id for d in told(host, "stripe", ctx, event).drafts] == ["txn_3", "txn_3:fee:1"]
        with pytest.raises(ReauthRequired):
            host.connector("stripe").check(Context(config=config, http=Http()))


def told(host: PluginManager, key: str, ctx: Context, body: bytes, **headers: str) -> Batch:
    message = WebhookMessage(id="m1", body=body, headers=headers, received_at=datetime(2026, 3, 1, tzinfo=UTC))
    return host.connector(key).parse_webhook(ctx, message)


def test_a_signed_webhook_brings_records(host: PluginManager) -> None:
    batch = told(host, "webhook", Context(), b'{"text": "Coffee", "occurred_at": "2026-03-01", "amount": -3.10}')
    (draft,) = batch.drafts
    assert (draft.external_id, str(draft.amount), draft.currency) == ("m1:1", "-3.10", "EUR")


def test_the_example_brings_another_kind_of_record(host: PluginManager) -> None:
    stored = [
        {
            "number": n,
            "title": f"Issue {n}",
            "state": "open",
            "user": {"login": "ada"},
            "labels": [{"name": "bug"}],
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": f"2026-03-0{n}T00:00:00Z",
        }
        for n in range(1, 5)
    ]

    def answering(request: Request) -> Reply:
        size = int(request.query["per_page"])
        found = [one for one in stored if str(one["updated_at"]) >= request.query.get("since", "")]
        link = {"Link": f'<{source.url}/more>; rel="next"'} if len(found) > size else {}
        return Reply(body=found[:size], headers=link)

    with SourceServer(answering) as source:
        config = {"repositories": ["octo/shop"], "api_key": "t", "base_url": source.url}
        ctx = Context(config=config, http=Http({"Authorization": "Bearer t"}))
        info = next(info for info in host.inventory() if info.name == "github_issues")
        assert (info.distribution, info.version) == ("sortation-github-issues", "1.0.0")
        assert [s.kind for s in host.connector("github-issues").discover(ctx)] == ["ticket"]
        found = read(host, "github-issues", ctx, "octo/shop", 2)
        assert {(d.kind, d.account, d.external_id) for d in found} == {
            ("ticket", "octo/shop", str(n)) for n in range(1, 5)
        }


@pytest.mark.slow
def test_the_examples_own_tests_pass(tmp_path: Path) -> None:
    source = shutil.copytree(EXAMPLE, tmp_path / "source")
    path = os.pathsep.join([str(source), str(Path(__file__).parents[2])])
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=source,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )


def test_a_folder_is_read_where_the_operator_allows_it(tmp_path: Path) -> None:
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    for folder in (allowed / "acme", other):
        folder.mkdir(parents=True)
        (folder / "a.ndjson").write_text('{"text": "Coffee", "occurred_at": "2026-03-01"}\n')
    (allowed / "link").symlink_to(other)
    (allowed / "acme" / "b.ndjson").symlink_to(other / "a.ndjson")
    isolation = Isolation(roots=[allowed])
    host = PluginManager(isolation=isolation)

    def checked(folder: Path) -> tuple[bool, str]:
        (check,) = host.connector("folder").check(Context(config={"folder": str(folder), "settle_seconds": 1}))
        return check.ok, check.reason

    for folder in (other, allowed / "link", allowed / ".." / "other", Path("/"), Path("/etc")):
        with pytest.raises(ConfigInvalid, match="the operator allows no connection"):
            checked(folder)
    with pytest.raises(ConfigInvalid, match="there is no folder"):
        checked(allowed / "none")
    _settled(allowed / "acme" / "a.ndjson")
    assert checked(allowed / "acme") == (True, "")
    ctx = Context(config={"folder": str(allowed / "acme"), "settle_seconds": 1})
    batches = list(host.connector("folder").read(ctx, ReadRequest(stream="files")))
    assert [d.attributes["file"] for b in batches for d in b.drafts] == ["a.ndjson"]


def _settled(path: Path) -> None:
    """Waits until a file has been left alone for a second, which only time can do."""
    deadline = path.stat().st_ctime + 1.05
    with selectors.DefaultSelector() as nothing:
        nothing.select(max(0.0, deadline - time.time()))
