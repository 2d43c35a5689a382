"""Links that prove who got them: what they say is sealed, so that nobody makes or reads one, and nothing is stored."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from core.domain.people import RESET_TIME, SECOND_STEP_TIME, Invitation, LocalAccount
from core.domain.tenants import User
from core.errors import LinkInvalid, SecretUnreadable
from ports.secrets import SecretBox

INVITATION, PASSWORD = "invitation", "password"
HALF_WAY, ENROLMENT = "second_factor", "second_factor/new"
"""What links are for."""


def invitation_token(invitation: Invitation, box: SecretBox) -> str:
    """Of the link that accepts it."""
    says = {"tenant_id": str(invitation.tenant_id), "invitation_id": str(invitation.id)}
    return write_link(INVITATION, says, invitation.expires_at, box)


def password_token(user: User, account: LocalAccount | None, now: datetime, box: SecretBox) -> str:
    """Of the link that sets their password: good for an hour, and once, since it names the present one."""
    return write_link(PASSWORD, {"user_id": str(user.id), "present": fingerprint(account)}, now + RESET_TIME, box)


def half_way_token(user: User, account: LocalAccount, tenant_id: UUID | None, now: datetime, box: SecretBox) -> str:
    """Says that somebody knew the password, and where they were going; good until that is another one."""
    says = {"user_id": str(user.id), "present": fingerprint(account), "tenant_id": str(tenant_id or "")}
    return write_link(HALF_WAY, says, now + SECOND_STEP_TIME, box)


def fingerprint(account: LocalAccount | None) -> str:
    """Changes when the password does, and tells nothing of it."""
    return hashlib.sha256((account.password_hash if account else "").encode()).hexdigest()[:16]


def write_link(purpose: str, says: Mapping[str, str], until: datetime, box: SecretBox) -> str:
    """A token for a URL, good until then and for this purpose alone."""
    plain = json.dumps({**says, "until": until.isoformat()}).encode()
    return base64.urlsafe_b64encode(box.seal(plain, _bound(purpose))).decode().rstrip("=")


def read_link(purpose: str, token: str, now: datetime, box: SecretBox) -> Mapping[str, str]:
    """What it says. Raises `LinkInvalid` for one of another purpose, too old, or not ours."""
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        says: dict[str, str] = json.loads(box.open(sealed, _bound(purpose)))
    except (binascii.Error, ValueError, SecretUnreadable):
        raise LinkInvalid from None
    if now >= datetime.fromisoformat(says.pop("until")):
        raise LinkInvalid
    return says


def _bound(purpose: str) -> str:
    return f"link/{purpose}"
