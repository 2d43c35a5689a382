"""People: how they prove who they are, what holds a guesser up, and what may be made of whom."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from core.domain.permissions import ROLE_PERMISSIONS, Role
from core.domain.tenants import Actor
from core.errors import Forbidden, Invalid

MIN_PASSWORD, MAX_PASSWORD = 12, 128
"""NIST SP 800-63B asks for 8 at least and 64 at most, and for no rules on what is in it; ASVS 2.1.1 for 12."""
FREE_FAILURES = 5
"""Wrong passwords in a row that cost nothing: people mistype."""
FIRST_LOCK, LONGEST_LOCK = timedelta(minutes=1), timedelta(hours=1)
"""Each further wrong one locks twice as long: 40 guesses a day at most, and nobody is locked out for good."""
INVITATION_TIME = timedelta(days=7)
RESET_TIME = timedelta(hours=1)
SEEN_EVERY = timedelta(minutes=1)
"""How exact a session's `seen_at` is: one write a minute, however busy it is."""
SECOND_STEP_TIME = timedelta(minutes=5)
"""How long somebody has for the second factor after the first."""
ENROLMENT_TIME = timedelta(minutes=15)
RECOVERY_CODES = 8
RECOVERY_BYTES = 15
"""120 random bits, so that a digest of them need not be slow (ASVS 6.5.2 asks for 112)."""
LOCAL = "local"
"""How a session began that a password opened; others have the issuer's URL."""
MOST_DEVICES = 20
"""How many browsers a person is known by: with one more, the one that was seen longest ago is none of them."""
DEVICE_TIME = timedelta(days=365)
"""How long a browser is known without a sign-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAccount:
    """A person who signs in with a password. `failures` are those since they last did by a browser that was not known,
    and none that were counted on a known one.

    `second_factor` is the sealed key of their one-time codes, None without; `recovery` are the digests of the codes
    that stand in for one, each once.
    """

    user_id: UUID
    email: str
    password_hash: str = field(repr=False)
    failures: int
    locked_until: datetime | None
    second_factor: bytes | None = field(default=None, repr=False)
    recovery: tuple[bytes, ...] = field(default=(), repr=False)

    def locked(self, now: datetime) -> bool:
        return self.locked_until is not None and now < self.locked_until


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDevice:
    """A browser that the person signed in with by their password, and what went wrong there since. `secret_hash` is the
    SHA-256 of what it holds. It proves nobody: it says whose guesses are counted, and nothing else."""

    id: UUID
    user_id: UUID
    secret_hash: bytes = field(repr=False)
    failures: int = 0
    locked_until: datetime | None = None
    created_at: datetime
    seen_at: datetime

    def locked(self, now: datetime) -> bool:
        return self.locked_until is not None and now < self.locked_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """A tenant that a person is a member of."""

    tenant_id: UUID
    tenant_name: str
    role: Role
    granted_by: str | None = None

    def open_to(self, via: str) -> bool:
        """Whether who proved themselves that way may go there. What a provider's groups grant is open by that provider
        alone: it is the one that says when it ends."""
        return self.granted_by in (None, via)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysIn:
    """How a member proves who they are: by a password, with a second factor or without, and by which issuers. `seen_at`
    is when they were last at the console in the tenant; None where no session of theirs there is kept any more."""

    password: bool = False
    second_factor: bool = False
    issuers: tuple[str, ...] = ()
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A person at the console, in one of their tenants. `secret_hash` is the SHA-256 of what their browser holds.

    It ends at `expires_at`, and before that when it was not seen for the idle time. `via` is how they proved who they
    are: `LOCAL`, or the issuer.
    """

    id: UUID
    secret_hash: bytes = field(repr=False)
    user_id: UUID
    tenant_id: UUID
    via: str
    address: str
    user_agent: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None

    def live(self, now: datetime, idle: timedelta) -> bool:
        return self.ended_at is None and now < self.expires_at and now < self.seen_at + idle


class InvitationStatus(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Somebody was asked to become a member. An open one can be accepted until `expires_at`."""

    id: UUID
    tenant_id: UUID
    email: str
    role: Role
    status: InvitationStatus
    invited_by: str
    created_at: datetime
    expires_at: datetime
    invited_by_id: UUID | None = None
    """The person's, also where one of their API keys did it."""

    def acceptable(self, now: datetime) -> bool:
        return self.status is InvitationStatus.OPEN and now < self.expires_at


def lock_after(failures: int, now: datetime) -> datetime | None:
    """Until when an account, or a browser that is known, is locked after so many wrong passwords in a row."""
    beyond = failures - FREE_FAILURES
    if beyond < 0:
        return None
    wait: timedelta = min(FIRST_LOCK * 2 ** min(beyond, 10), LONGEST_LOCK)
    return now + wait


def check_password(password: str, email: str) -> str:
    """Raises `Invalid` for one that is too short or long, or is the person's own address.

    Spaces and every other character count; nothing is cut off.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Invalid(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    folded, name = password.casefold(), email.casefold()
    if folded in (name, name.partition("@")[0]) or len(set(folded)) < 5:
        raise Invalid("this password is too easily guessed: take another")
    return password


def check_email(email: str) -> str:
    """The address in lower case; raises `Invalid` for what can't be one."""
    name, at, host = email.strip().lower().rpartition("@")
    if not name or not at or "." not in host.strip(".") or any(c.isspace() or c in "<>,;" for c in name + host):
        raise Invalid("this is no e-mail address")
    if len(email) > 254:
        raise Invalid("an e-mail address has at most 254 characters")
    return f"{name}@{host}"


def hash_browser_secret(secret: str) -> bytes:
    """SHA-256 of what a browser holds of a session, or is known by: it is random, so a slow hash would only slow every
    page."""
    return hashlib.sha256(secret.encode()).digest()


def recovery_code(random: bytes) -> str:
    """As it is shown: `K3QX-...`, six groups of four."""
    text = base64.b32encode(random).decode().rstrip("=")
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def hash_recovery_code(code: str) -> bytes:
    """Of a code as somebody types it: with or without hyphens and spaces, in small letters or large ones."""
    return hashlib.sha256("".join(c for c in code.upper() if c.isalnum()).encode()).digest()


def check_may_assign(actor: Actor, *roles: Role) -> None:
    """That the actor may give and take these roles: owners all, all others nothing that concerns owners, and no role
    that may more than they do. Raises `Forbidden`."""
    if actor.role is Role.OWNER:
        return
    if Role.OWNER in roles:
        raise Forbidden("only an owner makes or unmakes owners")
    if any(not ROLE_PERMISSIONS[role] <= actor.permissions for role in roles):
        raise Forbidden("nobody gives or takes a role that may more than they do")
