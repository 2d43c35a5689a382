"""What every page has around it: where one may go, who one is, and what was just done."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from flask import Response, g, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from core.domain.billing import Access
from core.domain.billing_words import Standing
from core.domain.permissions import Permission
from core.domain.tenants import Actor
from entrypoints.api.responses import json_response
from entrypoints.api.state import container
from entrypoints.console.guard import known

THEME_COOKIE = "sortation-theme"
"""Which of `THEMES` the person chose: the browser's script writes it."""
THEMES = ("auto", "light", "dark")
SAID_COOKIE = "__Host-sortation-said"
"""What the next page says: that of who was just sent on to it."""
_SAID_SECONDS = 60
MAX_SAID = 300
Tone = Literal["success", "warning", "danger", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one may go by the menu. `key` after `g` goes there, too."""

    path: str
    title: str
    icon: str
    permission: Permission
    key: str = ""


MENU = (
    Place(path="/", title="Overview", icon="speedometer2", permission=Permission.RECORDS_READ, key="o"),
    Place(path="/review", title="Review", icon="check2-square", permission=Permission.APPROVALS_READ, key="r"),
    Place(path="/imports", title="Imports", icon="cloud-upload", permission=Permission.RECORDS_READ, key="i"),
    Place(path="/records", title="Records", icon="list-ul", permission=Permission.RECORDS_READ, key="e"),
    Place(path="/receipts", title="Receipts", icon="receipt", permission=Permission.RECEIPTS_READ, key="t"),
    Place(path="/rules", title="Rules", icon="signpost-split", permission=Permission.RULES_READ, key="u"),
    Place(path="/categories", title="Categories", icon="diagram-3", permission=Permission.CATEGORIES_READ, key="c"),
    Place(path="/connections", title="Connections", icon="plug", permission=Permission.CONNECTIONS_READ, key="n"),
    Place(path="/reports", title="Reports", icon="bar-chart-line", permission=Permission.REPORTS_READ, key="a"),
    Place(path="/billing", title="Billing", icon="credit-card", permission=Permission.BILLING_READ, key="b"),
    Place(path="/events", title="Events", icon="clock-history", permission=Permission.EVENTS_READ, key="v"),
    Place(path="/jobs", title="Jobs", icon="gear-wide-connected", permission=Permission.JOBS_READ, key="j"),
    Place(path="/plugins", title="Plugins", icon="puzzle", permission=Permission.CONNECTIONS_READ, key="p"),
    Place(path="/settings", title="Settings", icon="sliders", permission=Permission.TENANT_READ, key="s"),
)


def show(template: str, status: int = 200, **context: Any) -> Response:
    """A page within the shell."""
    page = Response(render_template(template, **(shell() | context)), status, mimetype="text/html")
    if "said" in g:
        page.delete_cookie(SAID_COOKIE, secure=True, httponly=True, samesite="Strict")
    return page


def shell() -> dict[str, Any]:
    session, actor, user, belongings = known()
    here = next((one.tenant_name for one in belongings if one.tenant_id == session.tenant_id), "")
    return {
        "me": user,
        "actor": actor,
        "tenant_name": here,
        "belongings": belongings,
        "menu": [place for place in MENU if place.permission in actor.permissions],
        "may": lambda permission: _may(actor, permission),
        "standing": lambda: _standing(actor),
        "said": _said(),
        "theme": theme(),
    }


def done(to: str, text: str, tone: Tone = "success", **more: Any) -> AnyResponse:
    """Sends the person on, and has the next page say what was done; a script is told both instead, and what is `more`
    for it."""
    if request.headers.get("Accept") == "application/json":
        return json_response({"to": to, "said": text, "tone": tone, **more})
    answer = redirect(to, 303)
    said = json.dumps([tone, text[:MAX_SAID]])
    answer.set_cookie(SAID_COOKIE, said, max_age=_SAID_SECONDS, secure=True, httponly=True, samesite="Strict")
    return answer


def is_here(path: str) -> bool:
    """Whether the page at hand is that of the menu's place, or one below it."""
    return request.path == path or (path != "/" and request.path.startswith(f"{path}/"))


def theme() -> str:
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "auto"


def _standing(actor: Actor) -> Standing | None:
    """What a page warns of: all people of a tenant of that it is read-only, and who sees its billing of that it will
    be."""
    found: Standing = container().show_standing(actor)
    warned = found.access is Access.READ_ONLY or Permission.BILLING_READ in actor.permissions
    return found if found.access is not Access.FULL and warned else None


def _may(actor: Actor, permission: str) -> bool:
    return Permission(permission) in actor.permissions


def _said() -> tuple[str, str] | None:
    kept = request.cookies.get(SAID_COOKIE)
    if kept is None:
        return None
    g.said = True
    try:
        tone, text = json.loads(kept)
    except (ValueError, TypeError):
        return None
    return (tone, text) if tone in ("success", "warning", "danger", "info") and isinstance(text, str) else None
