"""Which addresses may be connected to on behalf of others: public ones by https, and what the operator allows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from core.errors import ConfigInvalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The registries of special-purpose addresses of IANA, without those that lead to public hosts; and the one public
# address at which a cloud (Azure's) answers its own machines.
_NOT_PUBLIC_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")
"""All that is given out as global unicast; everything else of IPv6 is special."""
_NOT_PUBLIC_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_NAT64 = IPv6Network("64:ff9b::/96")


def public(address: Address) -> bool:
    """Whether an address belongs to the public internet. One that only wraps an IPv4 address is as public as that."""
    if isinstance(address, IPv6Address):
        wrapped = address.ipv4_mapped
        if wrapped is None and address in _NAT64:
            wrapped = IPv4Address(int(address) & 0xFFFF_FFFF)
        if wrapped is None:
            return address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)
        address = wrapped
    return not any(address in network for network in _NOT_PUBLIC_V4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator allows beside public addresses by https: `hosts` by their very name (wherever that leads), and
    `networks`. There http:// is allowed too."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def usable(self, scheme: str, host: str, addresses: Iterable[str]) -> Sequence[str]:
        """Those of the `addresses` that `host` resolved to which may be connected to, in their order.

        Raises `ConfigInvalid` when none may; it does not tell what the name resolved to.
        """
        found = [(text, ip_address(text.partition("%")[0])) for text in addresses]
        if host in self.hosts:
            return [text for text, _ in found]
        allowed = [
            text
            for text, address in found
            if any(address in network for network in self.networks) or (scheme == "https" and public(address))
        ]
        if allowed:
            return allowed
        if scheme != "https" and any(public(address) for _, address in found):
            raise ConfigInvalid(f"{host}: only https:// is allowed here")
        raise ConfigInvalid(f"{host}: requests to this address are not allowed here")


def parse_policy(allowed: Iterable[str]) -> Policy:
    """The policy of an allowlist of host names and networks, as `erp.internal`, `10.1.0.0/16` or `::1`; raises
    `ValueError` naming what is neither."""
    hosts: set[str] = set()
    networks: list[Network] = []
    for entry in allowed:
        try:
            networks.append(ip_network(entry))
        except ValueError:
            labels = entry.removesuffix(".").split(".")
            if not all(label and label.replace("-", "").replace("_", "").isalnum() for label in labels):
                raise ValueError(f"{entry!r} is neither a host nor a network such as 10.0.0.0/8") from None
            if labels[-1].isdecimal():
                raise ValueError(f"{entry!r} is no network: are bits set behind its prefix?") from None
            hosts.add(entry.removesuffix(".").lower())
    return Policy(hosts=frozenset(hosts), networks=tuple(networks))
