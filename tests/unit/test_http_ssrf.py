"""Whatever is asked for, resolved to or redirected to, nothing leads inside.

The client is the real one, and so are the servers. Two witnesses tell of each example: servers on loopback that nobody
may reach, and the sockets themselves, which tell what they are connected to. All that is outside is one HTTPS server,
so that no test asks the internet.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.http.client import ConnectionHttp
from adapters.http.credentials import NoCredentials
from adapters.http.names import resolve
from adapters.http.policy import parse_policy
from adapters.http.rates import LocalRates
from adapters.http.redaction import Redactor
from adapters.http.transport import GuardedTransport, Limits
from core.errors import SortationError
from tests.stubs.certificates import self_signed
from tests.stubs.scripted_http import Answer, ScriptedServer
from tests.unit.hostile_urls import DISGUISED, FRIEND, urls

PARTNER, PARTNER_ADDRESS = FRIEND, "127.0.0.9"
"""Allowed by name, and inside: at an address where nothing else is."""
OUTSIDE = ("8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1")
LONG = pytest.param(3_000, marks=pytest.mark.slow)
CONNECT = socket.socket.connect


def outside(text: str) -> bool:
    """By the standard library's registry, in which no address of ours is looked up."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if wrapped is None and int(address) >> 32 in (0, 0x64FF9B << 64, 0xFFFF << 16):
            wrapped = IPv4Address(int(address) & 0xFFFF_FFFF)
        if wrapped is not None:
            address = wrapped
    return address.is_global and not address.is_multicast


@dataclass(slots=True, kw_only=True)
class World:
    """`inside` listens where nobody may connect; `connected` is whom sockets were connected to, in order."""

    inside: list[socket.socket]
    outside: ScriptedServer
    partner: ScriptedServer
    tls: ssl.SSLContext
    connected: list[tuple[str, int]] = field(default_factory=list)
    answers: Callable[[], Sequence[str]] = lambda: ["127.0.0.1", "::1"]
    """What is said of a name that is none of the machine's own."""

    @property
    def port(self) -> int:
        return int(self.inside[0].getsockname()[1])

    def lookup(self, host: str, port: int) -> Sequence[str]:
        name = host.lower().rstrip(".")
        if name == PARTNER:
            return [PARTNER_ADDRESS]
        if name in ("localhost", "ip6-localhost", socket.gethostname().lower()):
            return [*resolve(host, port), "127.0.0.1"]
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            return self.answers()
        return [str(address[0]) for *_, address in found]

    def connect(self, opened: socket.socket, address: Any) -> None:
        """What a socket does instead of connecting: it tells, and finds all that is outside at one server."""
        if opened.family not in (socket.AF_INET, socket.AF_INET6):
            return CONNECT(opened, address)
        self.connected.append((address[0], address[1]))
        if not outside(address[0]):
            return CONNECT(opened, address)
        there = (PARTNER_ADDRESS, self.outside.port)
        return CONNECT(opened, there if opened.family == socket.AF_INET else (f"::ffff:{there[0]}", there[1]))

    def client(self) -> ConnectionHttp:
        return ConnectionHttp(
            GuardedTransport(
                parse_policy([PARTNER]),
                limits=Limits(connect=1, read=1, total=2),
                lookup=self.lookup,
                tls=self.tls,
            ),
            credentials=NoCredentials(),
            redactor=Redactor([]),
            rates=LocalRates(),
            rate_key="k",
            rate_limit=None,
            sleep=lambda seconds: None,
            jitter=lambda: 0.5,
        )

    def ask(self, url: str, client: ConnectionHttp | None = None) -> bool:
        """Whether an answer came; anything but an error of the contract is one of the client's own."""
        used = client or self.client()
        try:
            used.request("GET", url)
        except SortationError:
            return False
        finally:
            if client is None:
                used._transport.close()
        return True

    def check(self) -> None:
        """Neither witness saw anybody inside, since it was asked last."""
        connected, asked = list(self.connected), list(self.partner.requests)
        for seen in (self.connected, self.partner.requests, self.outside.requests):
            seen.clear()
        for listening in self.inside:
            with suppress(BlockingIOError):
                listening.accept()
                raise AssertionError("somebody came inside")
        for address, _ in connected:
            assert outside(address) or address == PARTNER_ADDRESS, f"{address} was connected to"
        for one in asked:
            assert one.headers["host"].lower().rpartition(":")[0].rstrip(".") == PARTNER


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Made once: it is told apart by example, not by test."""
    certificate = self_signed(tmp_path_factory.mktemp("tls"), "outside.example")
    trusting = ssl.create_default_context(cafile=str(certificate))
    trusting.check_hostname = False  # one server stands for all
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    inside = [_listening(socket.AF_INET, "127.0.0.1", 0)]
    with suppress(OSError):  # a machine without IPv6
        inside.append(_listening(socket.AF_INET6, "::1", inside[0].getsockname()[1]))
    with (
        ScriptedServer(host=PARTNER_ADDRESS, tls=serving) as anywhere,
        ScriptedServer(host=PARTNER_ADDRESS) as partner,
        pytest.MonkeyPatch.context() as patch,
    ):
        made = World(
            inside=inside,
            outside=anywhere,
            partner=partner,
            tls=trusting,
        )
        patch.setattr(socket.socket, "connect", lambda opened, address: made.connect(opened, address))
        yield made
    for listening in inside:
        listening.close()


def _listening(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.bind((address, port))
    listening.listen()
    listening.setblocking(False)
    return listening


def test_what_may_be_reached_is_reached(world: World) -> None:
    """Or all that follows would prove nothing."""
    world.answers = lambda: ["8.8.8.8"]
    world.outside.script("GET", "/", Answer(status=302, headers={"Location": "//moved.example/there"}))
    world.outside.script("GET", "/there", Answer(json=1))
    world.partner.script("GET", "/", Answer(json=2))
    assert world.ask("https://somewhere.example/")
    assert [asked.headers["host"] for asked in world.outside.requests] == ["somewhere.example", "moved.example"]
    assert world.ask(f"http://{PARTNER}:{world.partner.port}/")
    assert len(world.inside) == 1 or world.ask("https://[2606:4700::1111]/there")
    world.check()


@pytest.mark.parametrize("examples", [250, LONG])
def test_no_spelling_of_an_address_leads_inside(world: World, examples: int) -> None:
    world.answers = lambda: ["127.0.0.1", "::1"]

    @settings(max_examples=examples, deadline=None)
    @given(urls(world.port))
    def holds(url: str) -> None:
        world.ask(url)
        world.check()

    holds()


ADDRESSES = st.sampled_from(
    [
        *OUTSIDE,
        *OUTSIDE,
        *(
            "127.0.0.1",
            "::1",
            str(IPv4Address(0)),
            "::",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::1",
        ),
        *("fe80::1%lo", "::1%lo", "10.0.0.1", "169.254.169.254", "2001:0:7f00:1:0:0:80ff:fffe", "fd00:ec2::254"),
    ]
)


@pytest.mark.parametrize("examples", [100, LONG])
def test_no_answer_of_a_name_server_leads_inside(world: World, examples: int) -> None:
    """Answers of many addresses, others each time; one client, whose connections are kept and used again."""
    world.outside.script("GET", "/", Answer(json=1))
    answered: list[int] = []

    @settings(max_examples=examples, deadline=None)
    @given(
        st.lists(st.lists(ADDRESSES, max_size=5), min_size=1, max_size=5),
        st.lists(st.sampled_from(["a.example", "b.example", "A.EXAMPLE.", "a.example:444"]), min_size=1, max_size=4),
    )
    def holds(answers: list[list[str]], hosts: list[str]) -> None:
        told = iter([*answers, *answers, *answers])
        world.answers = lambda: next(told, [])
        client = world.client()
        for host in hosts:
            world.ask(f"https://{host}/", client)
        client._transport.close()
        answered.append(len(world.outside.requests))
        world.check()

    holds()
    assert sum(answered) > examples / 4, "nobody was let outside either"


@pytest.mark.parametrize("examples", [100, LONG])
def test_no_redirect_leads_inside(world: World, examples: int) -> None:
    """Chains of them over servers that may be asked, which end at an address that leads inside: by whatever status and
    in whatever header it stands."""
    world.answers = lambda: ["8.8.8.8"]
    hops = st.sampled_from(
        ["/{n}", "{n}", "./{n}", "//next.example/{n}", "https://next.example/{n}", "?{n}", "\\\\next.example/{n}",
         f"http://{PARTNER}:{world.partner.port}/{{n}}", "HTTPS:/{n}", "https:{n}", "#{n}"]
    )  # fmt: skip
    slashes = st.sampled_from(["//", "\\\\", "/\\", "///"])
    ends = urls(world.port) | st.builds("{}{}:{}/".format, slashes, DISGUISED, st.just(world.port))
    statuses = st.sampled_from([301, 302, 303, 307, 308, 300, 304, 305, 306, 200, 201])
    fields = st.sampled_from(["Location", "LOCATION", "Content-Location", "Refresh", "Link", "Alt-Svc", "URI"])

    ended: list[bool] = []

    @settings(max_examples=examples, deadline=None)
    @given(
        st.booleans(),
        st.lists(st.tuples(st.sampled_from([301, 302, 303, 307, 308]), hops), max_size=5),
        statuses,
        st.dictionaries(fields, ends, min_size=1, max_size=3),
    )
    def holds(by_partner: bool, chain: list[tuple[int, str]], status: int, last: Mapping[str, str]) -> None:
        for server in (world.outside, world.partner):
            for n, (moved, hop) in enumerate(chain):
                server.script("GET", f"/{n}", Answer(status=moved, headers={"Location": hop.format(n=n + 1)}))
            server.script("GET", f"/{len(chain)}", Answer(status=status, headers=_headers(last, world.port)))
        start = f"http://{PARTNER}:{world.partner.port}" if by_partner else "https://first.example"
        world.ask(f"{start}/0")
        ended.append(bool(world.outside.asked(f"/{len(chain)}") or world.partner.asked(f"/{len(chain)}")))
        world.check()

    holds()
    assert sum(ended) > examples / 10, "hardly a chain came to its end"


def _headers(places: Mapping[str, str], port: int) -> dict[str, str]:
    """Written as the bytes of UTF-8, without what would end a header."""
    written = {
        "Refresh": "0; url={}",
        "Link": '<{}>; rel="canonical"',
        "Alt-Svc": f'h2="127.0.0.1:{port}"; ma=60, h3=":{port}"',
    }
    return {
        name: written.get(name, "{}").format(place).translate({10: None, 13: None}).encode().decode("latin-1")
        for name, place in places.items()
    }


def test_a_redirect_to_what_is_no_name_is_the_sources_fault(world: World) -> None:
    world.answers = lambda: ["8.8.8.8"]
    for host in ("%00xn--lcalhost-03a", "xn--lcalhost-03a%", "xn--\u00ad", "a" * 300):
        place = f"//{host}:{world.port}/".encode().decode("latin-1")
        world.outside.script("GET", "/", Answer(status=301, headers={"Location": place}))
        assert not world.ask("https://first.example/")
    world.check()


def test_proxies_of_the_environment_are_not_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would connect to what nobody judged."""
    world.answers = lambda: ["8.8.8.8"]
    for scheme in ("http", "https", "all", "ftp", "socks"):
        for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper()):
            monkeypatch.setenv(name, f"http://127.0.0.1:{world.port}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    world.outside.script("GET", "/", Answer(json=1))
    world.partner.script("GET", "/", Answer(json=2))
    assert world.ask("https://somewhere.example/")
    assert world.ask(f"http://{PARTNER}:{world.partner.port}/")
    assert not world.ask("http://somewhere.example/")
    world.check()


def test_both_witnesses_would_tell(world: World) -> None:
    for listening in world.inside:
        socket.create_connection(listening.getsockname()[:2], 1).close()
        with pytest.raises(AssertionError, match="somebody came inside"):
            world.check()
    with socket.socket() as stray, suppress(ConnectionRefusedError):
        stray.connect(("127.0.0.2", world.port))
    with pytest.raises(AssertionError, match=r"127\.0\.0\.2 was connected to"):
        world.check()
