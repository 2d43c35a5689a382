"""The sections of the settings, and the frame that their pages have around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Response

from core.domain.permissions import Permission
from core.domain.tenants import Actor
from entrypoints.console.guard import me
from entrypoints.console.places import existing
from entrypoints.console.shell import is_here, show

PATH = "/settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the settings; `permission` is what its page asks for."""

    path: str
    title: str
    permission: Permission


SECTIONS = (
    Section(path=PATH, title="Workspace", permission=Permission.TENANT_READ),
    Section(path=f"{PATH}/promise", title="Promise", permission=Permission.TENANT_READ),
    Section(path=f"{PATH}/members", title="Members", permission=Permission.MEMBERS_READ),
    Section(path=f"{PATH}/keys", title="API keys", permission=Permission.KEYS_READ),
    Section(path=f"{PATH}/notifications", title="Notifications", permission=Permission.NOTIFICATIONS_READ),
    Section(path=f"{PATH}/privacy", title="Privacy", permission=Permission.TENANT_READ),
)


def sections_of(actor: Actor) -> list[Section]:
    """Those that have a page and that they may see, in their order."""
    return [one for one in SECTIONS if one.permission in actor.permissions and existing(one.path)]


def show_section(template: str, status: int = 200, **context: Any) -> Response:
    """A page within `settings/frame.html`, which says by `section` where one is."""
    shown = sections_of(me())
    around = [one for one in shown if is_here(one.path)]
    section = max(around, key=lambda one: len(one.path), default=None)
    return show(template, status, sections=shown, section=section, **context)
