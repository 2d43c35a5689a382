"""Providers of OpenID Connect: who may sign in by which, and what their word makes of a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from core.domain.names import is_reserved
from core.domain.permissions import Role
from core.domain.tenants import one_line
from core.errors import Invalid

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Those with a key pair. With one of the others (HS256, none) whoever knows a public key could sign."""
SIGN_IN_TIME = timedelta(minutes=10)
_KNOWN = {
    "key",
    "title",
    "issuer",
    "client_id",
    "client_secret",
    "scopes",
    "algorithms",
    "audiences",
    "authorized_parties",
    "groups_claim",
    "groups",
    "email_domains",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityProvider:
    """An issuer that the operator trusts, and what we are there.

    `audiences` and `authorized_parties` are what a bearer token for the API must have as `aud` or `azp`; without
    either, none is taken. `groups` says which groups of the claim `groups_claim` are members of which tenants, as
    what. `email_domains` are those for whose addresses its word is taken: `*` is any.
    """

    key: str
    title: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...]
    algorithms: tuple[str, ...]
    audiences: tuple[str, ...]
    authorized_parties: tuple[str, ...]
    groups_claim: str
    groups: Mapping[str, tuple[UUID, Role]]
    email_domains: tuple[str, ...]

    def speaks_for(self, email: str) -> bool:
        """Whether its word is taken for who has that address."""
        return "*" in self.email_domains or email.rpartition("@")[2] in self.email_domains


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a verified token says. `email` is '' unless the issuer verified it, and its word is taken for it."""

    issuer: str
    subject: str
    email: str
    name: str
    groups: tuple[str, ...]


def providers_from(value: Any) -> Sequence[IdentityProvider]:
    """The providers that a list of JSON objects names; raises `Invalid`, with the place."""
    if not isinstance(value, list):
        raise Invalid("a list of providers is needed")
    providers = [_provider(one, f"provider {number}") for number, one in enumerate(value, start=1)]
    for name in ("key", "issuer"):
        if len({getattr(provider, name) for provider in providers}) < len(providers):
            raise Invalid(f"two providers have the same {name}")
    return providers


def granted(provider: IdentityProvider, claims: Claims) -> Mapping[UUID, Role]:
    """The tenants that the person's groups make them a member of; the highest role, where several groups say so."""
    order = {role: number for number, role in enumerate(Role)}
    roles: dict[UUID, Role] = {}
    for group in claims.groups:
        if group in provider.groups:
            tenant_id, role = provider.groups[group]
            roles[tenant_id] = min(role, roles.get(tenant_id, role), key=order.__getitem__)
    return roles


def claims_from(provider: IdentityProvider, token: Mapping[str, Any]) -> Claims:
    """The claims of a token whose signature, issuer, audience and times were verified. Raises `Invalid`."""
    subject = token.get("sub")
    if not isinstance(subject, str) or not subject:
        raise Invalid("the token names nobody")
    email = token.get("email")
    email = email.strip().lower() if isinstance(email, str) and token.get("email_verified") in (True, "true") else ""
    name = one_line(next((n for n in map(token.get, ("name", "preferred_username")) if isinstance(n, str)), ""))
    return Claims(
        issuer=provider.issuer,
        subject=subject,
        email=email if provider.speaks_for(email) else "",
        name="" if is_reserved(name) else name,  # then they are told by their address
        groups=_texts(_at(token, provider.groups_claim)),
    )


def _provider(value: Any, place: str) -> IdentityProvider:
    if not isinstance(value, Mapping):
        raise Invalid(f"{place} is no object")
    if unknown := value.keys() - _KNOWN:
        raise Invalid(f"{place}: {min(unknown)!r} is not known")
    for name in ("key", "issuer", "client_id"):
        if not isinstance(value.get(name), str) or not value[name]:
            raise Invalid(f"{place}: {name} is needed")
    if not value["key"].replace("-", "").isalnum() or not value["key"].isascii():
        raise Invalid(f"{place}: key has letters, digits and '-'")
    if not value["issuer"].startswith(("https://", "http://")):
        raise Invalid(f"{place}: issuer is a URL")
    algorithms = _texts(value.get("algorithms", ["RS256"]))
    if not algorithms or not set(algorithms) <= set(ALGORITHMS):
        raise Invalid(f"{place}: algorithms are of {', '.join(ALGORITHMS)}")
    return IdentityProvider(
        key=value["key"],
        title=str(value.get("title") or value["key"]),
        issuer=value["issuer"],
        client_id=value["client_id"],
        client_secret=str(value.get("client_secret", "")),
        scopes=_texts(value.get("scopes", ["openid", "email", "profile"])),
        algorithms=algorithms,
        audiences=_texts(value.get("audiences", [])),
        authorized_parties=_texts(value.get("authorized_parties", [])),
        groups_claim=str(value.get("groups_claim", "groups")),
        groups=_groups(value.get("groups", {}), place),
        email_domains=tuple(domain.lower() for domain in _texts(value.get("email_domains", []))),
    )


def _groups(value: Any, place: str) -> Mapping[str, tuple[UUID, Role]]:
    groups = {}
    try:
        for group, grant in value.items():
            groups[group] = (UUID(grant["tenant"]), Role(grant["role"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Invalid(f'{place}: groups are written as {{"group": {{"tenant": ID, "role": ROLE}}}}') from None
    return groups


def _at(token: Mapping[str, Any], path: str) -> Any:
    """The claim of that name, or at that place: `realm_access.roles`."""
    if path in token:
        return token[path]
    value: Any = token
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list | tuple) else ()
