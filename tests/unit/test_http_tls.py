"""HTTPS to the address that was checked: name, SNI and certificate stay those that were asked for."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.http.client import ConnectionHttp
from adapters.http.credentials import NoCredentials
from adapters.http.policy import parse_policy
from adapters.http.rates import LocalRates
from adapters.http.redaction import Redactor
from adapters.http.transport import GuardedTransport
from core.errors import ConfigInvalid, Transient
from tests.stubs.certificates import self_signed
from tests.stubs.scripted_http import Answer, ScriptedServer

HOST = "source.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"), HOST)


@pytest.fixture
def names() -> list[str | None]:
    """The names that clients asked for by SNI."""
    return []


@pytest.fixture
def server(certificate: Path, names: list[str | None]) -> Iterator[ScriptedServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with ScriptedServer(tls=context) as server:
        yield server


@pytest.fixture
def client(certificate: Path) -> Iterator[ConnectionHttp]:
    trusting = ssl.create_default_context(cafile=str(certificate))
    transport = GuardedTransport(
        parse_policy(["127.0.0.1"]), lookup=lambda host, port: ["10.0.0.1", "127.0.0.1"], tls=trusting
    )
    yield ConnectionHttp(
        transport,
        credentials=NoCredentials(),
        redactor=Redactor([]),
        rates=LocalRates(),
        rate_key="k",
        rate_limit=None,
        sleep=lambda seconds: None,
        jitter=lambda: 0.5,
    )
    transport.close()


def test_the_name_is_asked_for_and_the_checked_address_is_connected_to(
    server: ScriptedServer, client: ConnectionHttp, names: list[str | None]
) -> None:
    server.script("GET", "/", Answer(json="in"))
    assert client.request("GET", f"https://{HOST}:{server.port}/").json() == "in"
    assert names == [HOST]
    assert server.requests[0].headers["host"] == f"{HOST}:{server.port}"


def test_a_certificate_of_another_name_is_not_trusted(server: ScriptedServer, client: ConnectionHttp) -> None:
    server.script("GET", "/", Answer(json="in"))
    for host in ("other.example", "127.0.0.1"):
        with pytest.raises(Transient, match="cannot be reached"):
            client.request("GET", f"https://{host}:{server.port}/")
    assert server.requests == []


def test_https_is_not_left_for_http(server: ScriptedServer, client: ConnectionHttp) -> None:
    with ScriptedServer() as plain:
        plain.script("GET", "/", Answer(json="in"))
        server.script("GET", "/", Answer(status=302, headers={"Location": f"{plain.url}/"}))
        with pytest.raises(ConfigInvalid, match="redirects to http:"):
            client.request("GET", f"https://{HOST}:{server.port}/")
        assert plain.requests == []
