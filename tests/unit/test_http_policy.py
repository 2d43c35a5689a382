"""Which addresses may be connected to on behalf of others."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http.policy import Policy, parse_policy, public
from core.errors import ConfigInvalid

INSIDE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "192.0.2.1", "203.0.113.9",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1", "2002:7f00:1::", "2002:808:808::1",
    "2001::1", "2001:db8::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "100::1",
    "5f00::1", "::ffff:0:127.0.0.1",
]  # fmt: skip
OUTSIDE = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "193.99.144.80", "2606:4700::1111", "2a00:1450::1",
           "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2400:cb00::1"]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_what_leads_inside_is_not_public(address: str) -> None:
    assert not public(ip_address(address))
    with pytest.raises(ConfigInvalid):
        Policy().usable("https", "example.org", [address])


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_leads_outside_is_public(address: str) -> None:
    assert public(ip_address(address))
    assert Policy().usable("https", "example.org", [address]) == [address]


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_as_public_in_any_ipv6_form(address: IPv4Address) -> None:
    mapped = IPv6Address(f"::ffff:{address}")
    nat64 = IPv6Address(int(IPv6Address("64:ff9b::")) + int(address))
    assert public(mapped) == public(nat64) == public(address)
    if public(address):
        assert address.is_global  # the standard library knows the registries too, if not all forms
        assert not address.is_multicast


@given(st.ip_addresses(v=6))
def test_no_public_ipv6_address_is_special_to_the_standard_library(address: IPv6Address) -> None:
    if public(address) and address.ipv4_mapped is None:
        assert address.is_global
        assert not address.is_multicast


@given(st.lists(st.sampled_from(INSIDE + OUTSIDE), min_size=1, max_size=6))
def test_of_a_name_with_many_addresses_only_public_ones_are_used(addresses: list[str]) -> None:
    wanted = [address for address in addresses if address in OUTSIDE]
    if wanted:
        assert Policy().usable("https", "example.org", addresses) == wanted
    else:
        with pytest.raises(ConfigInvalid, match=r"example\.org") as refused:
            Policy().usable("https", "example.org", addresses)
        assert not any(address in str(refused.value) for address in addresses)  # which would map the inside


def test_plain_http_is_for_what_the_operator_allows() -> None:
    with pytest.raises(ConfigInvalid, match="only https"):
        Policy().usable("http", "example.org", ["8.8.8.8"])
    policy = parse_policy(["erp.internal", "10.1.0.0/16", "::1"])
    assert policy.usable("http", "erp.internal", ["10.9.9.9"]) == ["10.9.9.9"]
    assert policy.usable("http", "anything", ["10.1.2.3", "10.2.0.1", "8.8.8.8"]) == ["10.1.2.3"]
    assert policy.usable("https", "anything", ["10.1.2.3", "10.2.0.1", "8.8.8.8"]) == ["10.1.2.3", "8.8.8.8"]
    assert policy.usable("http", "localhost", ["::1"]) == ["::1"]
    with pytest.raises(ConfigInvalid):
        policy.usable("https", "not.erp.internal", ["10.9.9.9"])


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "https://erp", "a b", "", "10.0.0", "*", "1.2.3.4.5"])
def test_an_allowlist_is_read_strictly(entry: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_policy([entry])
