"""The HTTP client of connections, over real HTTP on loopback."""

from __future__ import annotations

import gzip
import logging
import threading
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from adapters.http.client import ConnectionHttp, Patience, retry_after
from adapters.http.credentials import Bearer, Token, credentials_of
from adapters.http.names import Lookup, resolve
from adapters.http.policy import parse_policy
from adapters.http.rates import LocalRates
from adapters.http.redaction import Redactor
from adapters.http.transport import GuardedTransport, Limits
from core.domain.plugins import Auth, AuthKind, RateLimit
from core.errors import ConfigInvalid, PermissionDenied, RateLimited, ReauthRequired, SortationError, Transient
from ports.connectors import HttpResponse
from tests.stubs.scripted_http import Answer, Asked, ScriptedServer

SECRET = "canary/secret+of a=source"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


class Clients:
    """Makes clients; `pauses` are the seconds that they would have slept."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.transports: list[GuardedTransport] = []

    def __call__(
        self,
        *,
        allow: Sequence[str] = ("127.0.0.1",),
        auth: Auth | None = None,
        token: Token | None = None,
        limits: Limits | None = None,
        lookup: Lookup = resolve,
        rate: RateLimit | None = None,
        patience: Patience | None = None,
    ) -> ConnectionHttp:
        def none(rejected: str | None = None) -> str:
            raise AssertionError("no token is needed here")

        self.transports.append(GuardedTransport(parse_policy(allow), limits=limits, lookup=lookup))
        return ConnectionHttp(
            self.transports[-1],
            credentials=credentials_of(auth or Auth(), {"api_key": SECRET}, token or none),
            redactor=Redactor([SECRET]),
            rates=LocalRates(),
            rate_key="k",
            rate_limit=rate,
            patience=patience,
            sleep=self.pauses.append,
            jitter=lambda: 0.5,
        )


@pytest.fixture
def clients() -> Iterator[Clients]:
    clients = Clients()
    yield clients
    for transport in clients.transports:
        transport.close()


API_KEY = Auth(kind=AuthKind.API_KEY)


def test_a_request_goes_out_as_it_was_meant(server: ScriptedServer, clients: Clients) -> None:
    server.script("POST", "/a%20b/%C3%BC", Answer(status=201, json={"ok": "ja"}, headers={"X-Page": "2"}))
    answer = clients(auth=API_KEY).request(
        "post",
        f"{server.url}/a b/ü?x=1",
        params={"q": "ä&b"},
        headers={"X-Own": "1", "Host": "elsewhere", "Content-Length": "7", "Authorization": "mine"},
        content=b"body",
    )
    assert (answer.status, answer.json(), answer.headers["x-page"]) == (201, {"ok": "ja"}, "2")
    (asked,) = server.requests
    assert (asked.method, asked.path, asked.query, asked.body) == (
        "POST",
        "/a%20b/%C3%BC",
        {"x": "1", "q": "ä&b"},
        b"body",
    )
    assert asked.headers["host"] == f"127.0.0.1:{server.port}"
    assert asked.headers["authorization"] == f"Bearer {SECRET}"  # the host's, whatever the plugin sets
    assert asked.headers["x-own"] == "1"


def test_an_api_key_goes_where_the_manifest_says(server: ScriptedServer, clients: Clients) -> None:
    server.script("GET", "/", Answer())
    client = clients(auth=Auth(kind=AuthKind.API_KEY, header="X-Token", value="key={key}"))
    client.request("GET", f"{server.url}/")
    client.request("GET", f"{server.url}/", authenticated=False)
    assert [asked.headers.get("x-token") for asked in server.requests] == [f"key={SECRET}", None]


def test_connections_are_kept_and_used_again(server: ScriptedServer, clients: Clients) -> None:
    server.script("GET", "/", Answer(content=b"x" * 100_000))
    client = clients()
    for _ in range(5):
        assert len(client.request("GET", f"{server.url}/").content) == 100_000
    assert server.connections == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ConfigInvalid),
        (404, ConfigInvalid),
        (401, ReauthRequired),
        (403, PermissionDenied),
        (429, RateLimited),
        (500, Transient),
        (503, Transient),
    ],
)
def test_statuses_become_the_errors_of_the_contract(
    status: int, error: type[SortationError], server: ScriptedServer, clients: Clients
) -> None:
    server.script("GET", "/x", Answer(status=status, json={"message": f"no {SECRET} here"}))
    with pytest.raises(error, match=rf"GET http://127.0.0.1:{server.port}/x answers {status}: .*no \*\*\* here") as e:
        clients(auth=API_KEY).request("GET", f"{server.url}/x?token={SECRET}")
    assert type(e.value) is error
    accepted = clients().request("GET", f"{server.url}/x", accept={status})
    assert accepted.status == status


def test_a_passing_fault_is_tried_again_and_other_requests_are_not_repeated(
    server: ScriptedServer, clients: Clients
) -> None:
    faults = (Answer(status=500), Answer(fault="drop"), Answer(json=1))
    client = clients()
    for method in ("GET", "PUT", "DELETE"):
        server.script(method, "/", *faults)
        assert client.request(method, f"{server.url}/").json() == 1
    assert clients.pauses == [0.375, 0.75] * 3  # growing, with half of it drawn at random
    server.requests.clear()
    for fault in faults[:2]:
        server.script("POST", "/", fault, Answer())
        with pytest.raises(Transient):
            client.request("POST", f"{server.url}/", content=b"once")
    assert len(server.requests) == 2


def test_three_tries_are_all(server: ScriptedServer, clients: Clients) -> None:
    server.script("GET", "/", Answer(status=502))
    with pytest.raises(Transient, match="502"):
        clients().request("GET", f"{server.url}/")
    assert len(server.requests) == 3


def test_what_was_not_sent_is_sent_again_whatever_it_is(clients: Clients) -> None:
    with ScriptedServer() as gone:
        url = gone.url
    with pytest.raises(Transient, match="cannot be reached"):
        clients().request("POST", f"{url}/", content=b"x")
    assert len(clients.pauses) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_source_is_waited_for_at_its_word(status: int, server: ScriptedServer, clients: Clients) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    server.script(
        "POST",
        "/",
        Answer(status=status, headers={"Retry-After": "7"}),
        Answer(status=status, headers={"Retry-After": soon}),
        Answer(json="at last"),
    )
    assert clients().request("POST", f"{server.url}/", content=b"x").json() == "at last"
    assert clients.pauses[0] == 7
    assert 17 < clients.pauses[1] <= 20


def test_a_long_wait_is_left_to_the_job(server: ScriptedServer, clients: Clients) -> None:
    server.script("GET", "/", *[Answer(status=429, headers={"Retry-After": "40"})] * 3)
    with pytest.raises(RateLimited) as limited:
        clients().request("GET", f"{server.url}/")
    assert limited.value.details["retry_after"] == 40
    assert clients.pauses == [40]  # two of them would be more than a minute


def test_a_source_that_always_says_at_once_is_not_asked_for_ever(server: ScriptedServer, clients: Clients) -> None:
    server.script("GET", "/", Answer(status=429, headers={"Retry-After": "0"}))
    with pytest.raises(RateLimited):
        clients().request("GET", f"{server.url}/")
    assert len(server.requests) == 11


@pytest.mark.parametrize("value", ["soon", "", "-5", "1e9", "Thu, 99 Nov", "Mon, 01 Jan 99999999999 00:00:00 GMT"])
def test_a_retry_after_that_is_none_is_none(value: str) -> None:
    assert retry_after(value, datetime.now(UTC)) is None


def test_the_rate_limit_of_the_manifest_is_kept(server: ScriptedServer, clients: Clients) -> None:
    server.script("GET", "/", Answer())
    client = clients(rate=RateLimit(requests=2, seconds=20), patience=Patience(rate=30))
    for _ in range(4):
        client.request("GET", f"{server.url}/")
    assert [round(pause) for pause in clients.pauses] == [20, 20]
    with pytest.raises(RateLimited, match="rate limit") as limited:
        client.request("GET", f"{server.url}/")
    assert 30 < limited.value.details["retry_after"] <= 40
    assert len(server.requests) == 4


def test_a_token_is_renewed_once_when_it_is_rejected(server: ScriptedServer, clients: Clients) -> None:
    def guarded(asked: Asked) -> Answer:
        good = asked.headers["authorization"] == "Bearer token-2"
        return Answer(json="in") if good else Answer(status=401, json={"was": asked.headers["authorization"]})

    server.script("POST", "/", guarded)
    rejections: list[str | None] = []

    def token(rejected: str | None = None) -> str:
        rejections.append(rejected)
        return f"token-{len(rejections)}"

    oauth = Auth(kind=AuthKind.OAUTH2)
    assert clients(auth=oauth, token=token).request("POST", f"{server.url}/", content=b"x").json() == "in"
    assert rejections == [None, "token-1"]
    with pytest.raises(ReauthRequired) as rejected:
        clients(auth=oauth, token=token).request("POST", f"{server.url}/")
    assert rejections == [None, "token-1", None, "token-3"]
    assert "token-" not in str(rejected.value)


def test_a_token_is_kept_for_half_of_the_time_that_it_is_good_for_at_least() -> None:
    now, asked = [0.0], []

    def token(rejected: str | None = None) -> str:
        asked.append(rejected)
        return f"token-{len(asked)}"

    bearer = Bearer(token, lambda: now[0])
    assert [bearer.header(None) for _ in range(3)] == [("Authorization", "Bearer token-1", "token-1")] * 3
    now[0] = 30.0
    assert bearer.header(None) == ("Authorization", "Bearer token-2", "token-2")
    assert bearer.header("token-2") == ("Authorization", "Bearer token-3", "token-3")
    assert bearer.header(None) == ("Authorization", "Bearer token-3", "token-3")
    assert asked == [None, None, "token-2"]


@pytest.mark.parametrize("url", ["ftp://example.org/", "file:///etc/passwd", "//example.org", "/x", "https://",
                                 "http://a:b@127.0.0.1/", "http://[::1", "gopher://127.0.0.1/",
                                 "http://127.0.0.1:99999/"])  # fmt: skip
def test_what_is_no_address_is_refused(url: str, clients: Clients) -> None:
    with pytest.raises(ConfigInvalid):
        clients().request("GET", url)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]",
             "0", "127.0.0.1.", "LOCALHOST", "①②⑦.0.0.1", "[0:0:0:0:0:ffff:7f00:1]"]
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_spelling_leads_to_loopback(host: str, scheme: str, server: ScriptedServer, clients: Clients) -> None:
    with pytest.raises((ConfigInvalid, Transient)):  # or a name that the resolver doesn't know
        clients(allow=()).request("GET", f"{scheme}://{host}:{server.port}/")
    assert server.connections == 0


def test_a_name_that_changes_its_address_after_the_check_gains_nothing(
    server: ScriptedServer, clients: Clients
) -> None:
    answers = iter([["127.0.0.2"], ["10.0.0.1"], ["127.0.0.1"]])
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    server.script("GET", "/", Answer(json=1))
    client = clients(allow=["127.0.0.1"], lookup=rebinding)
    for _ in range(2):
        with pytest.raises(ConfigInvalid, match=r"rebinds\.example"):
            client.request("GET", f"http://rebinds.example:{server.port}/")
    assert server.connections == 0
    assert client.request("GET", f"http://rebinds.example:{server.port}/").json() == 1
    assert len(asked) == 3  # once for each connection: what was checked is what was connected to
    assert server.requests[0].headers["host"] == f"rebinds.example:{server.port}"


def test_redirects_are_followed_within_reason(server: ScriptedServer, clients: Clients) -> None:
    for step in range(6):
        server.script("GET", f"/{step}", Answer(status=302, headers={"Location": f"/{step + 1}"}))
    server.script("GET", "/6", Answer(json="there"))
    client = clients(auth=API_KEY)
    assert client.request("GET", f"{server.url}/1").json() == "there"
    assert all(asked.headers["authorization"] for asked in server.requests)
    with pytest.raises(ConfigInvalid, match="redirects more than 5 times"):
        client.request("GET", f"{server.url}/0")


def test_a_redirect_to_where_nobody_may_go_is_not_followed(
    server: ScriptedServer, other: ScriptedServer, clients: Clients
) -> None:
    places = [
        f"http://127.0.0.2:{other.port}/",
        "http://169.254.169.254/latest/",
        "file:///etc/passwd",
        "http://[::1]/",
    ]
    for place in places:
        server.script("GET", "/", Answer(status=302, headers={"Location": place}))
        with pytest.raises(ConfigInvalid):
            clients(allow=["127.0.0.1"]).request("GET", f"{server.url}/")
    assert other.connections == 0


def test_credentials_stay_with_the_host_that_they_are_for(
    server: ScriptedServer, other: ScriptedServer, clients: Clients
) -> None:
    other.script("GET", "/", Answer(json="public"))
    other.script("GET", "/private", Answer(status=401))
    server.script("GET", "/", Answer(status=307, headers={"Location": f"{other.url}/"}))
    server.script("GET", "/private", Answer(status=307, headers={"Location": f"{other.url}/private"}))
    server.script("POST", "/", Answer(status=307, headers={"Location": f"{other.url}/"}))
    client = clients(auth=API_KEY)
    assert client.request("GET", f"{server.url}/", headers={"X-Secret": "1", "Accept": "text/x"}).json() == "public"
    with pytest.raises(ConfigInvalid, match=f"moved to {other.url}/private"):
        client.request("GET", f"{server.url}/private")
    with pytest.raises(ConfigInvalid, match="another host"):
        client.request("POST", f"{server.url}/", content=b"body")
    assert [(asked.method, "authorization" in asked.headers) for asked in other.requests] == [("GET", False)] * 2
    assert "x-secret" not in other.requests[0].headers
    assert other.requests[0].headers["accept"] == "text/x"


def test_after_a_form_the_answer_is_read_with_get(server: ScriptedServer, clients: Clients) -> None:
    server.script("POST", "/form", Answer(status=303, headers={"Location": "/done"}))
    server.script("GET", "/done", Answer(json="done"))
    assert clients().request("POST", f"{server.url}/form", content=b"a=b").json() == "done"
    assert "content-length" not in server.asked("/done")[0].headers


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b"hello" * 1000)),
        ("deflate", zlib.compress(b"hello" * 1000)),
        ("deflate", _deflated(b"hello" * 1000)),
        ("identity", b"hello" * 1000),
    ],
    ids=["gzip", "zlib", "deflate", "identity"],
)
def test_packed_answers_are_unpacked(coding: str, packed: bytes, server: ScriptedServer, clients: Clients) -> None:
    server.script("GET", "/", Answer(content=packed, headers={"Content-Encoding": coding}))
    answer = clients().request("GET", f"{server.url}/")
    assert answer.content == b"hello" * 1000
    assert "content-encoding" not in answer.headers
    assert server.requests[0].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "gzip"])
def test_an_answer_that_cannot_be_unpacked_is_a_passing_fault(
    coding: str, server: ScriptedServer, clients: Clients
) -> None:
    content = gzip.compress(b"hello" * 1000)[:20] if coding == "gzip" else b"x"
    server.script("GET", "/", Answer(content=content, headers={"Content-Encoding": coding}))
    with pytest.raises(Transient):
        clients().request("GET", f"{server.url}/")


def test_answers_are_bounded_also_once_unpacked(server: ScriptedServer, clients: Clients) -> None:
    bomb = gzip.compress(bytes(64 << 20), compresslevel=9)
    assert len(bomb) < 100_000
    server.script("GET", "/bomb", Answer(content=bomb, headers={"Content-Encoding": "gzip"}))
    server.script("GET", "/big", Answer(content=bytes((1 << 20) + 1)))
    server.script("GET", "/just", Answer(content=bytes(1 << 20)))
    client = clients(limits=Limits(answer_bytes=1 << 20))
    for path in ("/bomb", "/big"):
        with pytest.raises(ConfigInvalid, match="larger than 1 MiB"):
            client.request("GET", f"{server.url}{path}")
    assert len(client.request("GET", f"{server.url}/just").content) == 1 << 20


@pytest.mark.parametrize(
    "answer", [Answer(fault="hang"), Answer(fault="drip", content=b"x" * 10_000, drip_seconds=0.02)]
)
def test_a_slow_source_is_not_waited_for_longer_than_agreed(
    answer: Answer, server: ScriptedServer, clients: Clients
) -> None:
    server.script("POST", "/", answer)
    started = datetime.now(UTC)
    with pytest.raises(Transient, match="did not answer in time"):
        clients(limits=Limits(read=0.2, total=0.5)).request("POST", f"{server.url}/")
    assert datetime.now(UTC) - started < timedelta(seconds=5)


@pytest.mark.parametrize("content", [b"", b"\xff", b"<html>", b"[" * 100_000])
def test_an_answer_that_is_no_json_says_so(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        HttpResponse(status=200, headers={}, content=content).json()


def test_an_answer_that_breaks_off_is_asked_for_again(server: ScriptedServer, clients: Clients) -> None:
    whole = Answer(json=["x" * 1000])
    server.script("GET", "/", Answer(json=["x" * 1000], fault="cut"), whole)
    assert clients().request("GET", f"{server.url}/").json() == whole.json


def test_no_secret_is_in_what_is_told(
    server: ScriptedServer, clients: Clients, caplog: pytest.LogCaptureFixture
) -> None:
    server.script("GET", f"/{SECRET.replace(' ', '%20')}", Answer(status=400, json={"got": SECRET}))
    client = clients(auth=API_KEY)
    with caplog.at_level(logging.INFO), pytest.raises(ConfigInvalid) as refused:
        client.request("GET", f"{server.url}/{SECRET}", params={"key": SECRET})
    told = f"{refused.value!r} {refused.value} {refused.value.details} {caplog.text} {client!r}"
    assert "answers 400" in told
    assert "canary" not in told


@pytest.mark.parametrize("headers", [{"X-Bad": "a\r\nX-Injected: 1"}, {"X Bad": "1"}, {"X-Bad": "\x00"}, {"X": "☃"}])
def test_headers_cannot_be_smuggled(headers: dict[str, Any], server: ScriptedServer, clients: Clients) -> None:
    with pytest.raises((ConfigInvalid, Transient)):
        clients().request("GET", f"{server.url}/", headers=headers)
    assert all("x-injected" not in asked.headers for asked in server.requests)


def test_threads_share_a_client(server: ScriptedServer, clients: Clients) -> None:
    server.script("GET", "/", lambda asked: Answer(json=asked.query["n"]))
    client, answers = clients(), {}

    def ask(n: int) -> None:
        answers[n] = client.request("GET", f"{server.url}/", params={"n": str(n)}).json()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: str(n) for n in range(20)}
