"""OAuth2 against a real provider: signing in, renewing, signing in again, and giving back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit
from uuid import UUID

import psycopg
import pytest
from dependency_injector import providers

from adapters.oauth.provider import AuthlibProvider
from core.domain.health import Health
from core.domain.oauth import Grant, OAuthClient
from core.domain.plugins import Auth, AuthKind, ConnectorManifest, StreamCheck
from core.errors import ConfigInvalid, LinkInvalid, ReauthRequired, Transient
from core.usecases.shared.secrets import whole_config
from entrypoints.api.app import create_app
from entrypoints.chosen import token_transport_of
from entrypoints.container import Container
from entrypoints.parts import RENEWALS
from ports.connectors import Connector, Context, HttpClient
from tests.integration.api_support import Api, new_tenant
from tests.stubs.host import TestHost
from tests.stubs.oauth_server import CLIENT_ID, CLIENT_SECRET, OAuthServer
from tests.stubs.scripted_http import Answer, Asked, ScriptedServer

NOBODY = "01890000-0000-7000-8000-000000000000"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "base_url": {"type": "string"},
        "client_id": {"type": "string"},
        "client_secret": {"type": "string", "writeOnly": True},
    },
    "additionalProperties": False,
}
AUTH = Auth(
    kind=AuthKind.OAUTH2,
    authorize_url="{base_url}/authorize",
    token_url="{base_url}/token",
    revoke_url="{base_url}/revoke",
    account_url="{base_url}/me",
    account_field="user.id",
    scopes=("read", "offline"),
)
BANK = ConnectorManifest(key="bank", version="1", title="Bank", factory="any:thing", config_schema=SCHEMA, auth=AUTH)
ERP = replace(BANK, key="erp", auth=replace(AUTH, kind=AuthKind.CLIENT_CREDENTIALS, account_url=""))
PLAIN = ConnectorManifest(key="plain", version="1", title="Plain", factory="any:thing", config_schema=SCHEMA)


class Source(Connector):
    """Never asked: the tests send what it would."""


RENEWS = """
import sys
from uuid import UUID
from core.domain.plugins import Auth, AuthKind, ConnectorManifest
from core.domain.tenants import worker_actor
from core.usecases.shared.secrets import whole_config
from entrypoints.container import Container
from entrypoints.settings import load_settings

container = Container(settings=load_settings())
actor = worker_actor(UUID(sys.argv[1]))
connection = container.get_connection(actor, UUID(sys.argv[2]))
auth = Auth(kind=AuthKind.OAUTH2, token_url="{base_url}/token")
manifest = ConnectorManifest(key="bank", version="1", title="Bank", factory="any:thing", auth=auth)
config = whole_config(connection, container.secrets())
print("ready", flush=True)
sys.stdin.readline()
print(container.access_token(actor, connection, manifest, config), flush=True)
"""


@pytest.fixture
def provider() -> Iterator[OAuthServer]:
    with OAuthServer() as provider:
        yield provider


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    return new_api(make_container)


def new_api(make_container: Callable[..., Container], **settings: Any) -> Api:
    given = {"embeddings": "off", "http_allow": ("127.0.0.0/8",), "public_url": "https://sort.example", **settings}
    container = make_container(**given)
    host = TestHost(*((manifest, Source()) for manifest in (BANK, ERP, PLAIN)))
    container.host.override(providers.Object(host))
    return new_tenant(container, create_app(container).test_client())


def connect(
    api: Api, provider: OAuthServer, connector: str = "bank", *, name: str = "<b>Mine</b>", **config: str
) -> str:
    whole = {"base_url": provider.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **config}
    given = {name: value for name, value in whole.items() if value}
    made = api.post("/connections", {"connector": connector, "name": name, "config": given}, 201)
    return str(made["id"])


def sign_in(api: Api, provider: OAuthServer, connection: str) -> Any:
    started = api.post(f"/connections/{connection}/oauth/start")
    return api.client.get("/api/v1/oauth/callback", query_string=provider.sign_in(started["url"]))


def client_of(api: Api, connection: str) -> HttpClient:
    found = api.container.get_connection(api.actor, UUID(connection))
    manifest = api.container.host().connectors()[found.connector]
    config = whole_config(found, api.container.secrets())
    client: HttpClient = api.container.http_clients().of(api.actor, found, manifest, config)
    return client


@pytest.fixture
def bank(provider: OAuthServer) -> Iterator[ScriptedServer]:
    """Answers who brings a good token of the provider's."""

    def guarded(asked: Asked) -> Answer:
        token = provider.valid(asked.headers.get("authorization", ""))
        return Answer(status=401) if token is None else Answer(json=token.user)

    with ScriptedServer() as bank:
        yield bank.script("GET", "/", guarded)


def test_a_person_signs_in_once_and_requests_carry_the_token(
    api: Api, provider: OAuthServer, bank: ScriptedServer
) -> None:
    connection = connect(api, provider)
    with pytest.raises(ReauthRequired, match="nobody signed in"):
        client_of(api, connection).request("GET", f"{bank.url}/")
    started = api.post(f"/connections/{connection}/oauth/start")
    asked = parse_qs(urlsplit(started["url"]).query)
    assert asked["redirect_uri"] == ["https://sort.example/api/v1/oauth/callback"]
    assert (asked["scope"], asked["response_type"]) == (["read offline"], ["code"])
    assert asked["code_challenge_method"] == ["S256"]
    assert CLIENT_SECRET not in started["url"]
    until = datetime.fromisoformat(started["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=9) < until <= timedelta(minutes=10)
    back = {**provider.sign_in(started["url"]), "iss": provider.url, "session_state": "x"}
    page = api.client.get("/api/v1/oauth/callback", query_string=back)
    assert page.status_code == 200, page.text
    assert page.mimetype == "text/html"
    assert "&lt;b&gt;Mine&lt;/b&gt;” is signed in" in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert client_of(api, connection).request("GET", f"{bank.url}/").json() == "alice"
    assert provider.asked == ["authorization_code"]


def test_who_began_a_sign_in_is_told_by_their_id_when_it_is_finished(api: Api, provider: OAuthServer) -> None:
    connection = connect(api, provider)
    ada = replace(api.actor, name="Ada", user_id=api.container.ids().new(), api_key_id=None)
    for actor in (api.actor, ada):
        url, _ = api.container.start_sign_in(actor, UUID(connection))
        assert api.client.get("/api/v1/oauth/callback", query_string=provider.sign_in(url)).status_code == 200
    api.container.seal_events()
    told = [e for e in api.get("/events?limit=500")["items"] if e["payload"] == {"changed": ["sign_in"]}]
    assert [(e["actor"], e["actor_id"]) for e in told] == [
        (actor.name, None if actor.id is None else str(actor.id)) for actor in (api.actor, ada)
    ]


def test_a_sign_in_serves_once_and_not_for_ever(
    api: Api, provider: OAuthServer, superuser: psycopg.Connection[Any]
) -> None:
    connection = connect(api, provider)
    back = provider.sign_in(api.post(f"/connections/{connection}/oauth/start")["url"])
    assert api.client.get("/api/v1/oauth/callback", query_string=back).status_code == 200
    again = api.client.get("/api/v1/oauth/callback", query_string=back)
    assert again.status_code == 422
    assert "start it again" in again.text
    late = provider.sign_in(api.post(f"/connections/{connection}/oauth/start")["url"])
    superuser.execute("UPDATE oauth_states SET expires_at = now()")
    assert api.client.get("/api/v1/oauth/callback", query_string=late).status_code == 422
    for query in ({}, {"state": "nonsense", "code": "1"}, {"code": "1"}, {"state": "\x00"}):
        assert api.client.get("/api/v1/oauth/callback", query_string=query).status_code == 422
    assert provider.asked == ["authorization_code"]


def test_who_does_not_agree_is_told_so(api: Api, provider: OAuthServer) -> None:
    connection = connect(api, provider)
    state = parse_qs(urlsplit(api.post(f"/connections/{connection}/oauth/start")["url"]).query)["state"][0]
    query = {"state": state, "error": "access_denied", "error_description": "<script>"}
    page = api.client.get("/api/v1/oauth/callback", query_string=query)
    assert page.status_code == 409
    assert "did not agree" in page.text
    assert "<script>" not in page.text


def test_a_code_without_our_verifier_is_worth_nothing(api: Api, provider: OAuthServer) -> None:
    connection = connect(api, provider)
    stolen = provider.sign_in(api.post(f"/connections/{connection}/oauth/start")["url"])["code"]
    mine = provider.sign_in(api.post(f"/connections/{connection}/oauth/start")["url"])
    page = api.client.get("/api/v1/oauth/callback", query_string={**mine, "code": stolen})
    assert page.status_code == 409
    assert "invalid_grant" in page.text
    assert provider.tokens == []


def test_a_token_is_renewed_before_it_ends_and_when_it_is_rejected(
    api: Api, provider: OAuthServer, bank: ScriptedServer
) -> None:
    connection = connect(api, provider)
    provider.expires_in = 59  # good for less than a minute: renewed before it is used
    sign_in(api, provider, connection)
    provider.expires_in = 3600
    client = client_of(api, connection)
    assert client.request("GET", f"{bank.url}/").json() == "alice"
    assert provider.asked == ["authorization_code", "refresh_token"]
    for _ in range(3):  # ended where we could not know: a page in the middle of a read
        provider.expire()
        assert client.request("GET", f"{bank.url}/").json() == "alice"
    assert provider.asked[2:] == ["refresh_token"] * 3
    assert len({token.refresh_token for token in provider.tokens}) == 5  # each was another


def test_a_token_that_was_taken_back_needs_a_person(api: Api, provider: OAuthServer, bank: ScriptedServer) -> None:
    connection = connect(api, provider)
    sign_in(api, provider, connection)
    for token in provider.tokens:
        token.revoked = True
    with pytest.raises(ReauthRequired) as refused:
        client_of(api, connection).request("GET", f"{bank.url}/")
    assert not any(token.refresh_token in str(refused.value) for token in provider.tokens if token.refresh_token)
    assert sign_in(api, provider, connection).status_code == 200
    assert client_of(api, connection).request("GET", f"{bank.url}/").json() == "alice"


def test_signing_in_again_is_for_the_same_account_alone(api: Api, provider: OAuthServer, bank: ScriptedServer) -> None:
    connection = connect(api, provider)
    sign_in(api, provider, connection)
    provider.user = "mallory"
    page = sign_in(api, provider, connection)
    assert page.status_code == 409
    assert "another account" in page.text
    assert [token.user for token in provider.tokens if token.revoked] == ["mallory"]  # and given back
    assert client_of(api, connection).request("GET", f"{bank.url}/").json() == "alice"
    provider.user = "alice"
    assert sign_in(api, provider, connection).status_code == 200


def test_a_connection_that_waited_for_a_person_goes_on(api: Api, provider: OAuthServer) -> None:
    connection = connect(api, provider)
    with api.container.uow().begin(api.actor) as tx:
        tx.connections.note(replace(tx.connections.get(UUID(connection)), health=Health.REAUTH, failures=3))
        tx.commit()
    sign_in(api, provider, connection)
    found = api.container.get_connection(api.actor, UUID(connection))
    assert (found.health, found.failures) == (Health.HEALTHY, 0)
    assert found.next_sync_at is not None
    api.container.seal_events()
    told = [event["type"] for event in api.get("/events")["items"]]
    assert told[-2:] == ["CONNECTION_HEALTHY", "CONNECTION_CHANGED"]


@pytest.mark.slow
def test_processes_that_renew_at_once_exchange_once(
    make_container: Callable[..., Container], provider: OAuthServer, database: Any
) -> None:
    api = new_api(make_container)
    connection = connect(api, provider)
    provider.expires_in = 1
    sign_in(api, provider, connection)
    provider.expires_in = 3600
    assert provider.arrived.acquire(timeout=30)
    provider.gate.clear()
    environment = {
        "PATH": "/usr/bin:/bin",
        "SORTATION_DATABASE_URL": database.owner,
        "SORTATION_APP_DATABASE_URL": database.app,
        "SORTATION_SYSTEM_DATABASE_URL": database.system,
        "SORTATION_BROKER_URL": "redis://127.0.0.1:1/0",
        "SORTATION_HTTP_ALLOW": "127.0.0.1",
    }
    renewing = [
        subprocess.Popen(
            [sys.executable, "-c", RENEWS, str(api.tenant_id), connection],
            cwd=Path(__file__).parents[2],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for process in renewing:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in renewing:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        with psycopg.connect(database.superuser, autocommit=True) as connected:
            waiting = "SELECT count(*) FROM pg_locks, pg_sleep(0.02) WHERE locktype = 'advisory' AND NOT granted"
            while connected.execute(waiting).fetchone() != (1,):
                assert all(process.poll() is None for process in renewing)
        assert provider.arrived.acquire(timeout=30)
        assert provider.asked == ["authorization_code", "refresh_token"]
        provider.gate.set()
        tokens = {process.communicate(timeout=120)[0].strip() for process in renewing}
    finally:
        for process in renewing:
            process.kill()
            process.wait()
    assert provider.asked == ["authorization_code", "refresh_token"]
    assert tokens == {provider.tokens[-1].access_token}
    assert not provider.tokens[-1].revoked


def test_providers_that_hang_keep_no_request_of_the_api_waiting(
    make_container: Callable[..., Container], provider: OAuthServer, bank: ScriptedServer
) -> None:
    api = new_api(make_container, api_threads=1)
    signed_in = []
    provider.expires_in = 1
    for number in range(8):  # more than the API has connections to the database
        signed_in.append(connect(api, provider, name=str(number)))
        sign_in(api, provider, signed_in[-1])
    provider.expires_in = 3600
    while provider.arrived.acquire(blocking=False):
        pass
    provider.gate.clear()
    with ThreadPoolExecutor(len(signed_in)) as pool:
        answers = [pool.submit(client_of(api, one).request, "GET", f"{bank.url}/") for one in signed_in]
        for _ in range(RENEWALS):
            assert provider.arrived.acquire(timeout=30)
        assert not provider.arrived.acquire(timeout=0.5), "the others wait for their turn"
        for _ in range(3):
            assert len(api.get("/connections")["items"]) == len(signed_in)
        assert not any(answer.done() for answer in answers)
        provider.gate.set()
        assert {answer.result(timeout=60).json() for answer in answers} == {"alice"}


def test_a_provider_that_fails_costs_no_token(api: Api, provider: OAuthServer, bank: ScriptedServer) -> None:
    connection = connect(api, provider)
    sign_in(api, provider, connection)
    provider.expire()
    for fault, error in ((503, Transient), (429, Transient), (404, ConfigInvalid), (200, Transient)):
        provider.fault = fault
        with pytest.raises(error) as refused:
            client_of(api, connection).request("GET", f"{bank.url}/")
        assert type(refused.value) is error
        assert "canary" not in str(refused.value)
    provider.fault = 0
    assert client_of(api, connection).request("GET", f"{bank.url}/").json() == "alice"


def test_an_installation_signs_in_for_itself(api: Api, provider: OAuthServer, bank: ScriptedServer) -> None:
    connection = connect(api, provider, "erp")
    client = client_of(api, connection)
    for _ in range(3):
        assert client.request("GET", f"{bank.url}/").json() == "service"
    assert provider.asked == ["client_credentials"]
    provider.expire()
    assert client.request("GET", f"{bank.url}/").json() == "service"
    assert provider.asked == ["client_credentials"] * 2
    assert api.call("POST", f"/connections/{connection}/oauth/start").status_code == 409
    other = new_tenant(api.container, api.client, "B")
    wrong = connect(other, provider, "erp")
    found = api.container.get_connection(other.actor, UUID(wrong))
    config = {**found.config, "client_secret": "not-the-right-secret"}
    with pytest.raises(ConfigInvalid, match="invalid_client") as refused:
        api.container.http_clients().of(other.actor, found, ERP, config).request("GET", f"{bank.url}/")
    assert "not-the-right-secret" not in str(refused.value)


@pytest.mark.parametrize("method", ["client_secret_post", "none"])
def test_providers_take_our_secret_as_they_like(
    method: str, api: Api, provider: OAuthServer, bank: ScriptedServer
) -> None:
    provider.auth_method = method
    connection = connect(api, provider, client_secret="" if method == "none" else CLIENT_SECRET)
    assert sign_in(api, provider, connection).status_code == 200
    provider.expire()
    assert client_of(api, connection).request("GET", f"{bank.url}/").json() == "alice"


def test_what_was_given_is_given_back_when_the_connection_goes(api: Api, provider: OAuthServer) -> None:
    connection = connect(api, provider)
    sign_in(api, provider, connection)
    (token,) = provider.tokens
    assert api.call("DELETE", f"/connections/{connection}").status_code == 204
    assert provider.revoked == [token.refresh_token, token.access_token]
    assert token.revoked


def test_tokens_do_not_follow_to_another_host(api: Api, provider: OAuthServer, bank: ScriptedServer) -> None:
    connection = connect(api, provider)
    sign_in(api, provider, connection)
    (token,) = provider.tokens
    under_way = api.post(f"/connections/{connection}/oauth/start")["url"]
    client = client_of(api, connection)
    moved = {"base_url": bank.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    answer = api.call("PATCH", f"/connections/{connection}", {"config": moved})
    assert (answer.status_code, answer.json["health"]) == (200, "reauth")
    assert api.get(f"/connections/{connection}/health")["code"] == "reauth_required"
    assert provider.revoked == [token.refresh_token, token.access_token]
    with pytest.raises(ReauthRequired, match="nobody signed in"):
        client_of(api, connection).request("GET", f"{bank.url}/")
    with pytest.raises(ReauthRequired):
        client.request("GET", f"{bank.url}/")
    back = api.client.get("/api/v1/oauth/callback", query_string=provider.sign_in(under_way))
    assert back.status_code == 422, "a sign-in at the former one is not finished at the other"
    assert bank.requests == []


def test_a_token_that_is_renewed_while_the_host_changes_is_not_kept(
    api: Api, provider: OAuthServer, bank: ScriptedServer
) -> None:
    connection = connect(api, provider)
    sign_in(api, provider, connection)
    stale = api.container.get_connection(api.actor, UUID(connection))
    manifest = api.container.host().connectors()["bank"]
    config = whole_config(stale, api.container.secrets())
    moved = {"base_url": bank.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}

    class Moving(AuthlibProvider):
        def refresh(self, client: OAuthClient, refresh_token: str) -> Grant:
            grant = super().refresh(client, refresh_token)
            assert api.call("PATCH", f"/connections/{connection}", {"config": moved}).status_code == 200
            return grant

    moving = Moving(token_transport_of(api.container.settings()))
    rejected = provider.tokens[-1].access_token
    token = api.container.access_token(api.actor, stale, manifest, config, rejected=rejected, provider=moving)
    assert token == provider.tokens[-1].access_token
    with pytest.raises(ReauthRequired, match="nobody signed in"):
        client_of(api, connection).request("GET", f"{bank.url}/")


def test_a_connection_that_is_disabled_gives_its_tokens_back(api: Api, provider: OAuthServer) -> None:
    connection = connect(api, provider)
    sign_in(api, provider, connection)
    (token,) = provider.tokens
    under_way = api.post(f"/connections/{connection}/oauth/start")["url"]
    api.post(f"/connections/{connection}/disable")
    assert provider.revoked == [token.refresh_token, token.access_token]
    assert "disabled" in api.post(f"/connections/{connection}/oauth/start", status=409)["detail"]
    assert api.client.get("/api/v1/oauth/callback", query_string=provider.sign_in(under_way)).status_code == 422


def test_a_provider_that_is_away_keeps_no_connection_alive(api: Api) -> None:
    with OAuthServer() as provider:
        connection = connect(api, provider)
        sign_in(api, provider, connection)
    assert api.call("DELETE", f"/connections/{connection}").status_code == 204


def test_no_token_is_stored_or_told_in_the_clear(
    api: Api, provider: OAuthServer, superuser: psycopg.Connection[Any]
) -> None:
    connection = connect(api, provider)
    started = api.post(f"/connections/{connection}/oauth/start")
    state = dict(parse_qsl(urlsplit(started["url"]).query))["state"]
    kept = str(superuser.execute("SELECT * FROM oauth_states").fetchall())
    assert state not in kept
    sign_in(api, provider, connection)
    (token,) = provider.tokens
    kept = str(superuser.execute("SELECT * FROM oauth_tokens").fetchall())
    told = json.dumps([api.get(f"/connections/{connection}"), api.get("/events"), api.get("/connections")])
    for secret in (token.access_token, token.refresh_token, CLIENT_SECRET):
        assert secret
        assert secret not in kept + told


def test_tokens_are_sealed_anew_with_the_key(
    make_container: Callable[..., Container], api: Api, provider: OAuthServer, bank: ScriptedServer
) -> None:
    connection = connect(api, provider)
    sign_in(api, provider, connection)
    new, old = "another-secret-key-of-this-installation", api.container.settings().secret_key
    rotating = make_container(secret_key=new, former_secret_keys=(old,), http_allow=("127.0.0.1",))
    begun = provider.sign_in(api.post(f"/connections/{connection}/oauth/start")["url"])
    assert rotating.rotate_secrets().resealed == 3  # the configuration's, the tokens, and the sign-in under way
    rotating.seal_events()
    (told,) = api.get("/events?type=SECRETS_ROTATED")["items"]
    assert told["payload"] == {"key": rotating.secrets().key_name, "values": 3}
    alone = make_container(secret_key=new, http_allow=("127.0.0.1",))
    alone.host.override(providers.Object(api.container.host()))
    later = replace_container(api, alone)
    assert client_of(later, connection).request("GET", f"{bank.url}/").json() == "alice"
    assert alone.finish_sign_in(begun["state"], code=begun["code"], error=None).id == UUID(connection)


def test_links_open_while_the_former_key_is_there(make_container: Callable[..., Container], api: Api) -> None:
    new, old = "another-secret-key-of-this-installation", api.container.settings().secret_key
    invited = api.post("/invitations", {"email": "new@example.com", "role": "viewer"}, 201)
    token = invited["url"].rpartition("/")[2]
    rotating = make_container(secret_key=new, former_secret_keys=(old,))
    assert rotating.rotate_secrets().links_until == datetime.fromisoformat(invited["expires_at"])
    invitation, _ = rotating.read_invitation(token)
    assert str(invitation.id) == invited["id"]
    with pytest.raises(LinkInvalid):
        make_container(secret_key=new).read_invitation(token)


def replace_container(api: Api, container: Container) -> Api:
    return Api(client=api.client, container=container, tenant_id=api.tenant_id, key=api.key)


class Talks(Connector):
    """Tells what its source answers."""

    def check(self, ctx: Context) -> list[StreamCheck]:
        said = ctx.http.request("GET", f"{ctx.config['base_url']}/echo").content.decode()
        ctx.log.error("it says %s", said)
        raise ConfigInvalid(said)


def test_a_token_that_a_source_sends_back_is_masked_as_other_secrets_are(
    api: Api, provider: OAuthServer, bank: ScriptedServer
) -> None:
    connection = connect(api, provider)
    sign_in(api, provider, connection)
    basic = api.container.get_connection(api.actor, UUID(connection))
    bank.script("GET", "/echo", lambda asked: Answer(content=f"you are {asked.headers['authorization']}".encode()))
    manifest = replace(BANK, pulls=True, auth=replace(AUTH, token_url=f"{provider.url}/token"))
    api.container.host.override(providers.Object(TestHost((manifest, Talks()))))
    moved = replace(basic, config={**basic.config, "base_url": bank.url})
    with api.container.uow().begin(api.actor) as tx:
        tx.connections.update(moved)
        tx.commit()
    told = api.post(f"/connections/{connection}/check")
    assert told["reason"] == "you are Bearer •••", told
    (line,) = api.get(f"/connections/{connection}/log")["items"]
    assert line["text"] == "it says you are Bearer •••"


def test_what_cannot_be_signed_in_for_is_refused_in_words(api: Api, provider: OAuthServer) -> None:
    assert api.call("POST", f"/connections/{NOBODY}/oauth/start").status_code == 404
    plain = connect(api, provider, "plain")
    assert api.call("POST", f"/connections/{plain}/oauth/start").json["code"] == "conflict"
    without = api.post("/connections", {"connector": "bank", "name": "W", "config": {"base_url": provider.url}}, 201)
    answer = api.call("POST", f"/connections/{without['id']}/oauth/start")
    assert (answer.status_code, answer.json["code"]) == (422, "config_invalid")
    assert "client_id" in answer.json["detail"]


def test_providers_inside_are_not_asked(make_container: Callable[..., Container], provider: OAuthServer) -> None:
    api = new_api(make_container, http_allow=())
    connection = connect(api, provider)
    page = sign_in(api, provider, connection)
    assert page.status_code == 422
    assert "not allowed here" in page.text
    assert provider.asked == []
