"""An issuer that is slow, huge or sly costs little, and leads nowhere that the operator did not name."""

from __future__ import annotations

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.http.policy import parse_policy
from adapters.http.transport import GuardedTransport, Limits
from adapters.oidc.issuer import ANEW_SECONDS, PAUSE_SECONDS, Issuer
from adapters.oidc.providers import OidcProviders
from core.domain.identity import IdentityProvider, providers_from
from core.errors import Transient, Unauthenticated
from entrypoints.chosen import IDENTITY_LIMITS, identities_of
from entrypoints.settings import load_settings
from tests.stubs.certificates import self_signed
from tests.stubs.issuer import CLIENT_ID, IssuerStub
from tests.stubs.scripted_http import Answer, Asked, Script, ScriptedServer

METADATA, KEYS, TOKEN = "/.well-known/openid-configuration", "/keys", "/token"
SHORT = replace(IDENTITY_LIMITS, read=0.2, total=0.5)
BAD: dict[str, Script] = {
    "dripping": Answer(fault="drip", content=b"{" + b" " * 10_000, drip_seconds=0.02),
    "hanging": Answer(fault="hang"),
    "of 100 MB": lambda _: Answer(content=b" " * (100 << 20)),  # made when it is asked for
    "of 100 MB, packed": Answer(content=gzip.compress(bytes(100 << 20)), headers={"Content-Encoding": "gzip"}),
    "nested": Answer(content=b'{"a":' * 100_000, headers={"Content-Type": "application/json"}),
    "no object": Answer(json=["x"]),
    "elsewhere": Answer(status=302, headers={"Location": "http://169.254.169.254/latest"}),
}


@pytest.fixture
def issuer() -> Iterator[IssuerStub]:
    with IssuerStub() as stub:
        yield stub


def provider_of(url: str) -> IdentityProvider:
    [made] = providers_from([{"key": "acme", "title": "Acme", "issuer": url, "client_id": CLIENT_ID}])
    return made


def providers(url: str, limits: Limits = SHORT) -> tuple[OidcProviders, IdentityProvider]:
    provider = provider_of(url)
    return OidcProviders([provider], GuardedTransport(parse_policy(["127.0.0.1"]), limits=limits)), provider


def exchange(made: OidcProviders, provider: IdentityProvider) -> Any:
    return made.exchange(provider, code="c", redirect_uri="https://here/x", nonce="n", verifier="v" * 43)


@pytest.mark.parametrize("path", [METADATA, KEYS, TOKEN])
@pytest.mark.parametrize("bad", BAD)
def test_an_answer_that_does_not_end_is_not_waited_for(issuer: IssuerStub, bad: str, path: str) -> None:
    issuer.server.script("POST" if path == TOKEN else "GET", path, BAD[bad])
    made, provider = providers(issuer.url)
    begun = time.monotonic()
    with pytest.raises((Transient, Unauthenticated)):
        exchange(made, provider)
    with pytest.raises((Transient, Unauthenticated)):
        made._verified(provider, issuer.token(), audience=[CLIENT_ID]) if path != TOKEN else exchange(made, provider)
    assert time.monotonic() - begun < 5


def test_people_who_wait_for_a_provider_wait_for_some_seconds(issuer: IssuerStub) -> None:
    """The whole service's transport has these limits."""
    assert IDENTITY_LIMITS.total <= 10
    settings = replace(load_settings({}), oidc_providers=(provider_of(issuer.url),))
    issuer.server.script("GET", METADATA, Answer(content=b" " * ((1 << 20) + 1)))
    with pytest.raises(Transient, match="does not answer") as refused:
        identities_of(settings).sign_in_url(
            provider_of(issuer.url), redirect_uri="https://here/x", state="s", nonce="n", verifier="v" * 43
        )
    assert "larger than 1 MiB" in str(refused.value.__cause__)


@pytest.mark.parametrize("name", ["jwks_uri", "token_endpoint"])
def test_what_an_issuer_names_in_turn_is_inside_only_by_the_operators_leave(name: str) -> None:
    """Its own host is, since the operator named it."""
    with ScriptedServer(host="localhost") as issuer, ScriptedServer() as inside:
        inside.script("GET", "/x", Answer(json={"keys": []}))
        inside.script("POST", "/x", Answer(json={"access_token": "at", "token_type": "Bearer", "id_token": "a.b.c"}))
        written = {"jwks_uri": f"{issuer.url}/keys", "token_endpoint": f"{issuer.url}/token"}
        issuer.script("GET", METADATA, Answer(json={"issuer": issuer.url} | written | {name: f"{inside.url}/x"}))
        for allowed, asked in (((), 0), (("127.0.0.1",), 1)):
            provider = provider_of(issuer.url)
            made = identities_of(replace(load_settings({}), oidc_providers=(provider,), http_allow=allowed))
            with pytest.raises((Transient, Unauthenticated)):
                exchange(made, provider) if name == "token_endpoint" else made._issuers[issuer.url].key("k1")
            assert len(inside.requests) == asked


def test_an_issuer_over_tls_has_no_keys_that_others_could_write(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, "id.example")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    with ScriptedServer(tls=serving) as server, IssuerStub() as plain:
        url = f"https://id.example:{server.port}"
        server.script("GET", METADATA, Answer(json={"issuer": url, "jwks_uri": f"{plain.url}/keys"}))
        trusting = ssl.create_default_context(cafile=str(certificate))
        made = GuardedTransport(parse_policy(["127.0.0.1"]), lookup=lambda host, port: ["127.0.0.1"], tls=trusting)
        with pytest.raises(Transient, match="publishes no jwks_uri"):
            Issuer(url, made).key("k1")
        assert plain.fetched_keys() == 0


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def made(issuer: IssuerStub, clock: Clock) -> Callable[[], Issuer]:
    return lambda: Issuer(issuer.url, GuardedTransport(parse_policy(["127.0.0.1"])), clock=clock)


def test_while_an_issuer_hangs_its_known_keys_serve_and_made_up_ones_cost_one_request(
    issuer: IssuerStub, made: Callable[[], Issuer], clock: Clock
) -> None:
    kept = made()
    kept.key("k1")
    asked, answers = threading.Event(), threading.Event()

    def hang(_: Asked) -> Answer:
        asked.set()
        answers.wait(30)
        return Answer(status=503)

    issuer.server.script("GET", KEYS, hang)
    clock.now += ANEW_SECONDS + 1
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(kept.key, "made up")
        assert asked.wait(10)
        for _ in range(3):
            assert kept.key("k1"), "nobody waits for a key that is there"
        with pytest.raises(Transient, match="is being asked"):
            kept.key("another")
        answers.set()
        with pytest.raises(Unauthenticated):
            first.result(10)
    for number in range(20):
        with pytest.raises(Unauthenticated):
            kept.key(f"made up {number}")
    assert issuer.fetched_keys() == 2


def test_an_issuer_that_failed_is_left_alone_for_some_seconds(
    issuer: IssuerStub, made: Callable[[], Issuer], clock: Clock
) -> None:
    issuer.server.script("GET", METADATA, Answer(status=500))
    kept = made()
    for _ in range(20):
        with pytest.raises(Transient):
            kept.key("k1")
    assert len(issuer.server.requests) == 1
    issuer._script()
    clock.now += PAUSE_SECONDS + 1
    assert kept.key("k1")
