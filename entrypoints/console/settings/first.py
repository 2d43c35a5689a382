"""Where the settings begin."""

from __future__ import annotations

from flask import Blueprint, redirect
from werkzeug.wrappers import Response

from core.domain.permissions import Permission
from entrypoints.console.guard import page_for
from entrypoints.console.settings.sections import PATH

blp = Blueprint("settings_first", __name__)


@blp.get(PATH)
@page_for(Permission.TENANT_READ)
def settings() -> Response:
    return redirect(f"{PATH}/members", 303)
