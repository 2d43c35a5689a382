"""Who may speak to others: what goes to addresses that others name goes by one client, and each exception is told."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.test_imports import ROOT

SHIPPED = sorted(
    path
    for top in ("core", "ports", "adapters", "plugins", "sortation", "entrypoints")
    for path in (ROOT / top).rglob("*.py")
)
SPEAKS = (
    "aiohttp", "asyncssh", "authlib.integrations", "ftplib", "fsspec", "gcsfs", "grpc", "http.client", "httpcore",
    "httpcore2", "httplib2", "httpx", "httpx2", "imaplib", "niquests", "openai", "opentelemetry.exporter",
    "paramiko", "poplib", "pycurl",
    "requests", "s3fs", "smtplib", "socket", "stripe", "telnetlib", "tornado", "treq", "twisted", "urllib.request",
    "urllib3", "websocket", "websockets", "xmlrpc",
)  # fmt: skip
"""Modules that open connections, or hand out what does."""
CLIENT = "adapters/http/"
EXCEPTIONS = {
    "adapters/embedded/valkey.py": "asks whether a port of this machine is free",
    "adapters/files/store.py": "where the operator keeps files, by SORTATION_FILES_URL",
    "adapters/messaging/smtp.py": "the operator's mail server, by SORTATION_SMTP_URL",
    "adapters/messaging/webhooks.py": "requests that the client's transport sends",
    "adapters/oauth/provider.py": "Authlib over the client's transport",
    "adapters/oidc/issuer.py": "requests that the client's transport sends",
    "adapters/oidc/providers.py": "Authlib over the client's transport",
    "adapters/openai/embedder.py": "the operator's provider, by SORTATION_EMBEDDINGS_BASE_URL",
    "adapters/openai/llm.py": "the operator's provider, by SORTATION_LLM_BASE_URL",
    "adapters/stripe/api.py": "the operator's provider of payments, at the address that the operator names",
    "adapters/stripe/payments.py": "asks by the library that api.py sets up",
    "adapters/stripe/portal.py": "asks by the library that api.py sets up",
    "adapters/stripe/reading.py": "what the library made of answers",
    "adapters/stripe/webhooks.py": "the library looks at signatures, and asks nobody",
    "entrypoints/cli/demo.py": "the service itself, on this machine",
    "entrypoints/cli/services.py": "asks whether a port of this machine is free",
    "entrypoints/cli/up.py": "the service itself, on this machine",
    "entrypoints/observability.py": "the operator's collector, by SORTATION_OTLP_ENDPOINT",
    "plugins/isolation/host.py": "pipes to the children of connectors",
    "plugins/isolation/serving.py": "takes sockets away from the children of connectors",
    "plugins/isolation/wire.py": "pipes to the children of connectors",
    "plugins/isolation/zygote.py": "pipes to the children of connectors",
    "plugins/remote_files/connector.py": "folders that the operator allows, by SORTATION_FOLDER_ROOTS",
    "plugins/remote_files/systems.py": "folders that the operator allows, by SORTATION_FOLDER_ROOTS",
    "plugins/stripe_balance/client.py": "Stripe's library over the connection's client",
    "sortation/testing/client.py": "the kit asks the source that it scripted, on this machine",
}
"""Of these, what others name goes by the client, or is not theirs to name."""
OPENS = {
    "AsyncClient", "AsyncHTTPTransport", "AsyncOAuth2Client", "Client", "ConnectionPool", "HTTPConnection",
    "HTTPSConnection", "HTTPTransport", "PoolManager", "PyJWKClient", "ProxyHandler", "Session", "build_opener",
    "create_connection", "urlopen", "urlretrieve",
}  # fmt: skip
"""What makes a client of its own, as imported modules name it."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="__import__"), args=[first, *_]):
                yield str(getattr(first, "value", ""))


def speaks(path: Path) -> set[str]:
    return {known for name in imported(path) for known in SPEAKS if f"{name}.".startswith(f"{known}.")}


def calls(path: Path, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in names:
            yield node


def test_one_client_speaks_to_others_and_each_exception_has_a_reason() -> None:
    found = {name_of(path): speaks(path) for path in SHIPPED if speaks(path)}
    strangers = {name: modules for name, modules in found.items() if not name.startswith(CLIENT)}
    assert {name: modules for name, modules in strangers.items() if name not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) - set(strangers) == set(), "no longer needed"


@pytest.mark.parametrize("path", [p for p in SHIPPED if p.is_relative_to(ROOT / "adapters")], ids=name_of)
def test_no_adapter_makes_a_client_of_its_own(path: Path) -> None:
    if not name_of(path).startswith(CLIENT) and speaks(path) - {"openai", "smtplib", "socket"}:
        assert [ast.unparse(call) for call in calls(path, *OPENS)] == []


def test_authlib_is_given_the_transport_and_neither_proxies_nor_redirects() -> None:
    made = [call for path in SHIPPED for call in calls(path, "OAuth2Client")]
    assert len(made) == 2
    for call in made:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert given["transport"] == "self._transport"
        assert (given["trust_env"], given["follow_redirects"]) == ("False", "False")
