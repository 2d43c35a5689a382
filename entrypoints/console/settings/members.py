"""The people of the tenant."""

from __future__ import annotations

from flask import Blueprint, Response

from core.domain.permissions import Permission
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.settings.sections import PATH, show_section

blp = Blueprint("settings_members", __name__)


@blp.get(f"{PATH}/members")
@page_for(Permission.MEMBERS_READ)
def list_members() -> Response:
    return show_section("settings/members.html", members=container().list_members(me()))
