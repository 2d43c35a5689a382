"""API keys: those that there are, and making one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from flask import Blueprint, Response, request
from marshmallow import ValidationError

from core.domain.permissions import GRANTABLE, Permission
from core.domain.tenants import ApiKey
from core.errors import Forbidden, Invalid, NotFound
from core.usecases.shared.keys import IssuedKey
from entrypoints.api.denials import note
from entrypoints.api.schemas.tenants import NewApiKeySchema
from entrypoints.api.state import container
from entrypoints.console.asked import asked_id, day_in, following
from entrypoints.console.fields import said_of
from entrypoints.console.guard import me, page_for
from entrypoints.console.settings.sections import PATH, show_section
from entrypoints.console.settings.words import AREAS, key_state

blp = Blueprint("settings_keys", __name__)
KEYS = f"{PATH}/keys"
SHOWN = 50
LASTS = {
    "30": "for 30 days",
    "90": "for 90 days",
    "365": "for a year",
    "day": "until the end of a day",
    "": "until it is revoked",
}
"""How long a key serves, as the form has it."""


@blp.get(KEYS)
@page_for(Permission.KEYS_READ)
def list_keys() -> Response:
    every, now = the_keys(), container().clock().now()
    ended = request.args.get("state") == "ended"
    fitting = [key for key in every if key.usable(now) is not ended]
    after = asked_id("after")
    places = [place for place, key in enumerate(fitting) if key.id == after]
    rows = fitting[places[0] + 1 if places else 0 :]
    usable = sum(key.usable(now) for key in every)
    return show_section(
        "settings/keys.html",
        keys=rows[:SHOWN],
        states={key.id: key_state(key, now) for key in rows[:SHOWN]},
        makers=makers(),
        ended=ended,
        counts={"usable": usable, "ended": len(every) - usable},
        more=following(KEYS, rows[SHOWN - 1].id, state="ended" if ended else "") if len(rows) > SHOWN else None,
    )


@blp.get(f"{KEYS}/new")
@page_for(Permission.KEYS_WRITE)
def new_key() -> Response:
    return _form({"lasts": "90"}, [])


@blp.post(f"{KEYS}/new")
@page_for(Permission.KEYS_WRITE)
def make_key() -> Response:
    """The secret is on the page that answers, and on no other one."""
    typed = {name: request.form.get(name, "").strip() for name in ("name", "lasts", "day")}
    scopes = request.form.getlist("scopes")
    try:
        ends = _ends(typed)
        asked = NewApiKeySchema().load(
            {"name": typed["name"], "scopes": scopes, "expires_at": None if ends is None else ends.isoformat()}
        )
        issued: IssuedKey = container().create_api_key(
            me(), name=asked["name"], scopes=frozenset(asked["scopes"]), expires_at=asked["expires_at"]
        )
    except ValidationError as wrong:
        return _form(typed, scopes, 422, _in_words(said_of(wrong)))
    except Invalid as error:
        return _form(typed, scopes, error.status, error.details.get("fields") or _beside(error))
    except Forbidden as error:
        note(error)
        return _form(typed, scopes, error.status, {"scopes": "A key may do no more than who makes it."})
    return secret_page(issued)


def the_keys() -> Sequence[ApiKey]:
    """The latest first."""
    found: Sequence[ApiKey] = container().list_api_keys(me())
    return sorted(found, key=lambda key: key.id, reverse=True)


def the_key(key_id: UUID) -> ApiKey:
    """Raises `NotFound`."""
    found = next((key for key in the_keys() if key.id == key_id), None)
    if found is None:
        raise NotFound("this API key does not exist")
    return found


def makers() -> dict[UUID, str]:
    """What the people are called who may have made keys."""
    if Permission.MEMBERS_READ not in me().permissions:
        return {}
    return {user.id: user.name or user.email for user, _ in container().list_members(me())}


def secret_page(issued: IssuedKey, former: ApiKey | None = None) -> Response:
    """Of a key that was just made, perhaps in place of a former one: its secret, once."""
    return show_section("settings/key_secret.html", key=issued.key, secret=issued.secret, former=former)


def _form(
    typed: Mapping[str, str], scopes: Sequence[str], status: int = 200, errors: Mapping[str, str] | None = None
) -> Response:
    mine = me().permissions & GRANTABLE
    areas = [(title, {p: said for p, said in permissions.items() if p in mine}) for title, permissions in AREAS]
    return show_section(
        "settings/new_key.html",
        status,
        typed={"name": "", "lasts": "", "day": ""} | dict(typed),
        scopes=scopes,
        errors=errors or {},
        areas=[(title, permissions) for title, permissions in areas if permissions],
        lasts=LASTS,
        today=datetime.now(container().get_tenant(me()).zone).date(),
    )


def _ends(typed: Mapping[str, str]) -> datetime | None:
    """When the key is to end. Raises `Invalid`."""
    lasts = typed["lasts"]
    if lasts not in LASTS:
        raise Invalid("lasts: choose one of the list", fields={"expires_at": "Choose one of the list."})
    if not lasts:
        return None
    if lasts != "day":
        return container().clock().now() + timedelta(days=int(lasts))
    try:
        ends = day_in(typed["day"], container().get_tenant(me()).zone, days=1)
    except ValueError:
        raise Invalid("day: choose one", fields={"expires_at": "Choose a day."}) from None
    if ends <= container().clock().now():
        raise Invalid("day: it is over", fields={"expires_at": "This day is over: choose a later one."})
    return ends


def _in_words(errors: Mapping[str, str]) -> dict[str, str]:
    """Of what is left out, what to do."""
    said = {"name": "Give it a name of up to 200 characters.", "scopes": "Choose one thing at least that it may do."}
    return {name: said.get(name, error) for name, error in errors.items()}


def _beside(error: Invalid) -> dict[str, str]:
    return {"name" if "name" in str(error) else "scopes": str(error)}
