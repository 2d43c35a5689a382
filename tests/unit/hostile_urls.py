"""Addresses that lead inside by somebody's reading, however they are written. `FRIEND` is a name in them that may be
asked: software that takes it for the host connects to another one."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

from hypothesis import strategies as st

FRIEND = "partner.example"

INSIDE_V4 = st.sampled_from(
    ["127.0.0.1", str(IPv4Address(0)), "127.0.0.2", "10.0.0.1", "169.254.169.254", "192.168.0.1"]
)
FULL_WIDTH = str.maketrans(
    "0123456789abcdefghijklmnopqrstuvwxyz.",
    "０１２３４５６７８９ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ．",
)
CIRCLED = str.maketrans("123456789abcdefghijklmnopqrstuvwxyz", "①②③④⑤⑥⑦⑧⑨ⓐⓑⓒⓓⓔⓕⓖⓗⓘⓙⓚⓛⓜⓝⓞⓟⓠⓡⓢⓣⓤⓥⓦⓧⓨⓩ")


@st.composite
def v4_spellings(draw: st.DrawFn) -> str:
    """As `inet_aton` reads it: one to four parts, each decimal, octal or hexadecimal."""
    value, parts = int(IPv4Address(draw(INSIDE_V4))), draw(st.integers(1, 4))
    numbers = [value >> 8 * (3 - place) & 0xFF for place in range(parts - 1)]
    numbers.append(value & (1 << 8 * (5 - parts)) - 1)
    forms = st.sampled_from(["{0}", "0{0:o}", "0x{0:x}", "0X{0:X}", "00000{0:o}", "0x0000{0:x}"])
    return ".".join(draw(forms).format(number) for number in numbers)


@st.composite
def v6_spellings(draw: st.DrawFn) -> str:
    """The IPv4 address in every IPv6 form that holds one, and loopback itself."""
    held = IPv4Address(draw(INSIDE_V4))
    high, low = int(held) >> 16, int(held) & 0xFFFF
    address = draw(
        st.sampled_from(
            [
                "::1",
                "::",
                "0:0:0:0:0:0:0:1",
                "0000:0000:0000:0000:0000:0000:0000:0001",
                f"::ffff:{held}",
                f"::ffff:{high:x}:{low:x}",
                f"0:0:0:0:0:ffff:{high:04x}:{low:04x}",
                f"::ffff:0:{held}",
                f"::{held}",
                f"64:ff9b::{held}",
                f"64:ff9b:1::{held}",
                f"2002:{high:x}:{low:x}::",
                f"2002:{high:x}:{low:x}::1",
                f"2001:0:{high:x}:{low:x}:0:0:{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}",
                f"fe80::5efe:{held}",
                f"2001:db8::5efe:{held}",
                "fe80::1",
                "fd00::1",
            ]
        )
    )
    zone = draw(st.sampled_from(["", "", "", "%lo", "%25lo", "%1", "%251", "%25", "%eth0"]))
    return f"[{draw(st.sampled_from([address, address.upper()]))}{zone}]"


NAMES = st.sampled_from(
    [
        "localhost",
        "ip6-localhost",
        socket.gethostname(),
        "rebinds.example",
        "127.0.0.1.example",
        "localhost.example",
        f"{FRIEND}.attacker.example",
        f"x{FRIEND}",
        "xn--lcalhost-03a",
    ]
)


@st.composite
def disguised(draw: st.DrawFn, hosts: st.SearchStrategy[str]) -> str:
    """A host in letters, digits, dots and escapes that some software takes for the plain ones."""
    host = draw(hosts)
    at = draw(st.integers(0, len(host) - 1))
    return draw(
        st.sampled_from(
            [
                host,
                host.upper(),
                f"{host}.",
                f"{host}..",
                f".{host}",
                host.translate(FULL_WIDTH),
                host.translate(CIRCLED),
                host.replace(".", "。"),
                host.replace(".", "．", 1),
                host.replace(".", "%2e"),
                host[:at] + f"%{ord(host[at]) & 0xFF:02x}" + host[at + 1 :],
                host[:at] + "\u00ad" + host[at:],
                host[:at] + "\u200d" + host[at:],
                host[:at] + "\t" + host[at:],
                host[:at] + "\n" + host[at:],
                host[:at] + "\x00" + host[at:],
                host[:at] + "%00" + host[at:],
                f" {host}",
                f"{host} ",
                f"[{host}]",
                f"[{host}",
                "".join(letter + "\u0301" if letter == "1" else letter for letter in host),
            ]
        )
    )


PLAIN = v4_spellings() | v6_spellings() | NAMES
DISGUISED = disguised(PLAIN)
SCHEMES = st.sampled_from(
    ["HTTPS", "hTTp", "", "ftp", "file", "gopher", "unix", "ws", "wss", "dict", "http:https", "htt\tps", " https"]
)
MARKS = st.sampled_from(["//", ":", ":/", ":///", ":////", ":\\\\", ":/\\", ":\t//", "://\\", "://%2f"])
BEFORE = st.sampled_from(
    ["a@", "a:b@", "@", "a@b@", "8.8.8.8@", "[::1]@", *(f"{FRIEND}{end}" for end in (
        "@", "%40", "\\@", "#@", "?@", ":80@", "/@", "\t@", "\\", "\\\\@", "%00@", "&@"
    ))]
)  # fmt: skip
AFTER = st.sampled_from(
    ["", "/a?b=c", "/../..//", "%2f", "%00", "\x00", " HTTP/1.1\r\nHost: x", "/%0d%0aHost:%20x", ";a", *(
        f"{begin}{FRIEND}/" for begin in ("#@", "?@", "\\@", "@", ".", "%23@", "%40", "\x00.", "%00.")
    )]
)  # fmt: skip


@st.composite
def urls(draw: st.DrawFn, port: int) -> str:
    """An address that leads inside by somebody's reading: in at most two of its parts it is not as usual."""
    number = str(port)
    ports = st.sampled_from(
        ["", ":", f":0{number}", f":{port + 65536}", f": {number}", f":{number.translate(FULL_WIDTH)}", f":+{number}",
         f":%3{number[0]}{number[1:]}", f":-{number}", f":{number}:{number}", f":80@127.0.0.1:{number}", ":443"]
    )  # fmt: skip
    usual: dict[str, tuple[st.SearchStrategy[str], st.SearchStrategy[str]]] = {
        "scheme": (st.sampled_from(["https", "http"]), SCHEMES),
        "mark": (st.just("://"), MARKS),
        "before": (st.just(""), BEFORE),
        "host": (PLAIN, DISGUISED),
        "port": (st.just(f":{number}"), ports),
        "after": (st.just("/"), AFTER),
    }
    odd = draw(st.sets(st.sampled_from(list(usual)), max_size=2))
    return "".join(draw(strategies[name in odd]) for name, strategies in usual.items())
