"""Each example, and each package that `sortation plugin new` writes, out of its wheel beside Sortation: synced end to
end, sent to, and judged by; and each passes the conformance kit there."""

from __future__ import annotations

import importlib.util
import json
import secrets
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import pytest
from standardwebhooks.webhooks import Webhook

from tests.beside import Beside, apart
from tests.stack import ROOT, Stack, running_stack
from tests.stubs.oauth_server import CLIENT_ID, CLIENT_SECRET, OAuthServer
from tests.stubs.source_server import Reply, Request, SourceServer

pytestmark = pytest.mark.slow

EXAMPLES = {
    "sortation-pipes": "plugin-pipes",
    "sortation-weekend": "plugin-weekend",
    "sortation-github-issues": "plugin-github-issues",
}
CONNECTORS = {
    f"{auth}-{'told' if webhook else 'asked'}": (auth, webhook)
    for auth in ("none", "key", "oauth2")
    for webhook in (False, True)
}
LATE = "key-told"
"""The one that is added when the service has run already."""
RULE = "round-amount"
KEY = "canary-key-of-the-shop"
SECRET = f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"
PAGE = 2
SETTINGS = {"SORTATION_HTTP_ALLOW": "127.0.0.0/8", "SORTATION_EMBEDDINGS": "off"}


@dataclass
class Shop:
    """The made-up API of the scaffold: a path for each connector, with payments of its own. An answering of
    `SourceServer`."""

    provider: OAuthServer
    payments: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def add(self, name: str, number: int) -> None:
        moment = f"2026-03-{number:02}T08:00:00+00:00"
        payment = a_payment(f"{name}-{number}", moment)
        self.payments.setdefault(name, []).append(payment)

    def __call__(self, request: Request) -> Reply:
        name = request.path.split("/")[1]
        if request.path != f"/{name}/v1/payments" or name not in self.payments:
            return Reply(status=404)
        if not self._admits(CONNECTORS[name][0], request.headers.get("authorization", "")):
            return Reply(status=401)
        since = request.query.get("updated_since", "")
        found = [payment for payment in self.payments[name] if payment["updated_at"] >= since]
        start = (int(request.query["page"]) - 1) * PAGE
        return Reply(body={"payments": found[start : start + PAGE], "more": start + PAGE < len(found)})

    def _admits(self, auth: str, authorization: str) -> bool:
        if auth == "oauth2":
            return self.provider.valid(authorization) is not None
        return authorization == (f"Bearer {KEY}" if auth == "key" else "")


def a_payment(id: str, moment: str = "2026-03-02T08:00:00+00:00") -> dict[str, str]:
    return {
        "id": id,
        "description": f"Order {id}",
        "payer": "Ada",
        "amount": "12.50",
        "currency": "EUR",
        "created_at": moment,
        "updated_at": moment,
    }


@pytest.fixture(scope="module")
def provider() -> Iterator[OAuthServer]:
    with OAuthServer() as running:
        yield running


@pytest.fixture(scope="module")
def packages(beside: Beside, provider: OAuthServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All of them by distribution, written by the installed Sortation; and their wheels are built. For OAuth2 a
    provider that runs takes the place of the made-up one, as an author would have it."""
    folder = tmp_path_factory.mktemp("packages")
    orders = [
        ["plugin", "new", "connector", name, "--auth", auth, *(["--webhook"] if webhook else [])]
        for name, (auth, webhook) in CONNECTORS.items()
    ]
    code = "import sys; from entrypoints.cli.main import main; sys.exit(max(map(main, {!r})))"
    beside.run(beside.python, "-c", code.format([*orders, ["plugin", "new", "rule", RULE]]), cwd=folder)
    for name, (auth, _) in CONNECTORS.items():
        if auth == "oauth2":
            manifest = next((folder / f"sortation-{name}").glob("src/*/plugin.py"))
            text = manifest.read_text()
            assert f"https://auth.{name}.example" in text
            manifest.write_text(text.replace(f"https://auth.{name}.example", provider.url))
    found = {package.name: package for package in folder.iterdir()}
    for distribution, name in EXAMPLES.items():
        target = folder / distribution
        target.mkdir()
        found[distribution] = apart(ROOT / "examples" / name, target)
        for module in (ROOT / "examples" / name).glob("*.py"):
            target.joinpath(module.name).write_text(module.read_text())
    beside.build(*found.values())
    assert len(found) == len(CONNECTORS) + 1 + len(EXAMPLES)
    return found


def test_each_works_beside_sortation_and_one_is_added_later(
    beside: Beside, packages: dict[str, Path], provider: OAuthServer, tmp_path: Path
) -> None:
    beside.install(*(name for name in packages if name != f"sortation-{LATE}"))
    shop = Shop(provider)
    of_github = github()
    settings: dict[str, Any] = {"command": [beside.sortation], "cwd": tmp_path, **SETTINGS}
    with SourceServer(shop) as source, of_github.Github() as hub:
        with running_stack(tmp_path / "data", **settings) as stack:
            stack.new_tenant()
            loaded = plugins_of(stack)
            assert loaded.keys() >= packages.keys() - {f"sortation-{LATE}"}
            assert {info["state"] for info in loaded.values()} == {"loaded"}, loaded
            connections = {name: connect(stack, provider, source, name) for name in CONNECTORS if name != LATE}
            hub.issues["octo/shop"] = [of_github.issue(number, f"2026-03-0{number}T00:00:00Z") for number in (1, 2)]
            config = {"repositories": ["octo/shop"], "api_key": of_github.TOKEN, "base_url": hub.url}
            whole = {"connector": "github-issues", "name": "Issues", "config": config}
            tickets = created(stack, "/connections", whole)
            for name, connection in connections.items():
                sync_twice(stack, shop, source, name, connection)
                if CONNECTORS[name][1]:
                    deliver(stack, name, connection)
            sync(stack, tickets)
            assert ids_of(stack, tickets) == {"1", "2"}
            assert stack.query("SELECT DISTINCT kind, text FROM records WHERE external_id = '1'") == [
                ("ticket", "Issue 1")
            ]
            judge(stack)
            before = {name: ids_of(stack, connection) for name, connection in connections.items()}

        said = beside.run(beside.sortation, "plugin", "install", beside.wheel(f"sortation-{LATE}"), cwd=tmp_path)
        assert f"{LATE} (sortation-{LATE} 0.1.0): loaded" in said
        assert f"connector {LATE}: ok" in said
        assert "Restart the API and the workers" in said
        with running_stack(tmp_path / "data", **settings) as again:
            again.key, again.tenant_id = stack.key, stack.tenant_id
            assert plugins_of(again)[f"sortation-{LATE}"]["state"] == "loaded"
            assert {name: ids_of(again, connection) for name, connection in connections.items()} == before
            late = connect(again, provider, source, LATE)
            sync_twice(again, shop, source, LATE, late)
            deliver(again, LATE, late)
            shop.add("oauth2-told", 20)
            sync(again, connections["oauth2-told"])
            assert ids_of(again, connections["oauth2-told"]) == before["oauth2-told"] | {"oauth2-told-20"}


def test_each_passes_the_kit_there(beside: Beside, packages: dict[str, Path], tmp_path: Path) -> None:
    beside.install(*packages)
    alone = {}
    for name, package in packages.items():
        (tmp_path / name).mkdir()
        alone[name] = apart(package, tmp_path / name)
    beside.run(
        *(beside.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"),
        cwd=alone.pop("sortation-github-issues"),
    )
    files = [file for package in alone.values() for file in sorted(package.glob("tests/test_*.py"))]
    arguments = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", f"--rootdir={tmp_path}"]
    said = beside.run(beside.python, "-m", "pytest", *arguments, *files, cwd=tmp_path)
    assert " passed" in said


def test_what_the_scaffold_writes_is_typed_and_tidy(beside: Beside, packages: dict[str, Path], tmp_path: Path) -> None:
    beside.install(*packages)
    written = [packages[f"sortation-{name}"] for name in (*CONNECTORS, RULE)]
    for tool in (("check",), ("format", "--check")):
        beside.run(sys.executable, "-m", "ruff", *tool, "--no-cache", *written, cwd=tmp_path)
    parts = [part for package in written for part in (package / "src", package / "tests")]
    strictly = ["--strict", "--python-executable", beside.python, "--explicit-package-bases", "--cache-dir", tmp_path]
    beside.run(sys.executable, "-m", "mypy", *strictly, *parts, cwd=tmp_path)


def test_install_says_what_became_of_it(beside: Beside, tmp_path: Path) -> None:
    packages = {
        "sortation-broken": ("raise ValueError('not today')\n", "", True),
        "sortation-greedy": ("", 'dependencies = ["flask<1"]', True),
        "no-plugin": ("", "", False),
    }
    for name, (code, wanted, is_plugin) in packages.items():
        (tmp_path / name).mkdir()
        module = name.replace("-", "_")
        (tmp_path / name / f"{module}.py").write_text(code)
        entry = f'[project.entry-points.sortation]\n{module} = "{module}"\n' if is_plugin else ""
        project = f'[project]\nname = "{name}"\nversion = "1"\n{wanted}\n'
        (tmp_path / name / "pyproject.toml").write_text(
            f'{project}{entry}[tool.setuptools]\npy-modules = ["{module}"]\n'
        )

    def install(*arguments: str, code: int) -> str:
        return beside.run(beside.sortation, "plugin", "install", *arguments, cwd=tmp_path, code=code)

    broken = install("./sortation-broken", code=1)
    assert "sortation_broken (sortation-broken 1): failed" in broken
    assert "ValueError: not today" in broken
    greedy = install("./sortation-greedy", code=1)
    assert greedy.startswith("sortation: pip failed: ")
    assert greedy.count("\n") == 1
    assert "none of them has an entry point" in install("--editable", "./no-plugin", code=1)
    assert "installed already" in install("no-plugin", code=0)
    doctor = beside.run(beside.sortation, "plugin", "doctor", "csv", "recurring", cwd=tmp_path)
    assert "connector csv: ok" in doctor
    assert "rule type recurring: ok" in doctor
    beside.run(
        beside.python, "-m", "pip", "uninstall", "--quiet", "--yes", "sortation-broken", "no-plugin", cwd=tmp_path
    )


def github() -> ModuleType:
    """The stub that the example's own tests have."""
    path = ROOT / "examples" / "plugin-github-issues" / "tests" / "github.py"
    spec = importlib.util.spec_from_file_location("github_of_the_example", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plugins_of(stack: Stack) -> dict[str, Any]:
    """What the API says of each plugin's distribution."""
    status, found = stack.call("GET", "/api/v1/connectors")
    assert status == 200, found
    return {info["distribution"]: info for info in found["plugins"]}


def connect(stack: Stack, provider: OAuthServer, source: SourceServer, name: str) -> str:
    """A connection to the shop, signed in where it must be."""
    auth, webhook = CONNECTORS[name]
    config = {"base_url": f"{source.url}/{name}/v1"}
    config |= {"key": {"api_key": KEY}, "oauth2": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}}.get(
        auth, {}
    )
    config |= {"webhook_secret": SECRET} if webhook else {}
    connection = created(stack, "/connections", {"connector": name, "name": name, "config": config})
    if auth == "oauth2":
        _, started = stack.call("POST", f"/api/v1/connections/{connection}/oauth/start")
        back = urlencode(provider.sign_in(started["url"]))
        with urllib.request.urlopen(f"{stack.url}/api/v1/oauth/callback?{back}", timeout=30) as page:  # noqa: S310
            assert "is signed in" in page.read().decode()
    return connection


def created(stack: Stack, path: str, body: Any) -> str:
    status, made = stack.call("POST", f"/api/v1{path}", body)
    assert status == 201, made
    return str(made["id"])


def sync(stack: Stack, connection: str) -> None:
    status, job = stack.call("POST", f"/api/v1/connections/{connection}/sync")
    assert status == 202, job
    stack.wait_until(lambda: stack.call("GET", f"/api/v1/jobs/{job['id']}")[1]["status"] == "done")
    _, health = stack.call("GET", f"/api/v1/connections/{connection}/health")
    assert health["health"] == "healthy", health


def sync_twice(stack: Stack, shop: Shop, source: SourceServer, name: str, connection: str) -> None:
    """All pages at first, and then what is new alone."""
    for number in range(1, 6):
        shop.add(name, number)
    sync(stack, connection)
    assert ids_of(stack, connection) == {f"{name}-{number}" for number in range(1, 6)}
    shop.add(name, 6)
    asked = len(source.requests)
    sync(stack, connection)
    assert ids_of(stack, connection) == {f"{name}-{number}" for number in range(1, 7)}
    assert source.requests[asked].query["updated_since"] == "2026-03-05T08:00:00+00:00"


def deliver(stack: Stack, name: str, connection: str) -> None:
    """A payment by webhook, signed; and one that somebody else has signed, which is refused."""
    body = json.dumps({"type": "payment.created", "data": a_payment(f"{name}-sent")}).encode()
    other = f"whsec_{b64encode(b'of somebody else altogether').decode()}"
    for secret, expected in ((other, 401), (SECRET, 202)):
        at = datetime.now(UTC)
        headers = {
            "webhook-id": f"msg-{name}",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(f"msg-{name}", at, body.decode()),
        }
        assert stack.call("POST", f"/api/v1/webhooks/{connection}", body, headers=headers)[0] == expected
    stack.wait_until(lambda: f"{name}-sent" in ids_of(stack, connection))


def judge(stack: Stack) -> None:
    """Rules with the rule types decide on what the file connector reads."""
    shops = {"weekend": "food.groceries", RULE: "housing.rent"}
    for key, category in shops.items():
        body = {"name": key, "when": {"all": [{"type": key}]}, "then": {"category": category}}
        created(stack, "/rules?confirm=true", body)
    lines = b"2026-03-07|Qorbel|-13.37\n2026-03-03|Vumba|-300.00\n2026-03-04|Plirt|-13.37\n"
    stack.upload(lines, "march.pipes")
    stack.wait_until(stack.idle)
    decided = stack.query(
        "SELECT r.text, r.stage, c.key FROM records r LEFT JOIN categories c ON (c.tenant_id, c.id) = "
        "(r.tenant_id, r.category_id) WHERE r.text IN ('Qorbel', 'Vumba', 'Plirt') ORDER BY r.text"
    )
    assert decided == [
        ("Plirt", None, None),
        ("Qorbel", "rules", shops["weekend"]),
        ("Vumba", "rules", shops[RULE]),
    ]


def ids_of(stack: Stack, connection: str) -> set[str]:
    rows = stack.query("SELECT external_id FROM records WHERE connection_id = %s", [connection])
    assert len(rows) == len({id for (id,) in rows}), "a record is there twice"
    return {id for (id,) in rows}
