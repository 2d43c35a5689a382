"""The console's own style sheet and scripts: ES modules as they stand here, with no step that builds them.

Their address changes with their content, so that browsers may keep them for ever.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, send_from_directory

from core.errors import NotFound
from entrypoints.api.auth import public

FOLDER = Path(__file__).parent / "static"
_FOR_EVER = "public, max-age=31536000, immutable"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

blp = Blueprint("assets", __name__)


@cache
def version() -> str:
    """Of all of them together: modules name each other by their place."""
    digest = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*.*")):
        digest.update(path.relative_to(FOLDER).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def asset_url(name: str) -> str:
    return f"/console/{version()}/{name}"


@blp.get("/console/<string:wanted>/<path:name>")
@public
def asset(wanted: str, name: str) -> Response:
    """A page that is open while a release changes them gets the new ones, which nobody keeps under the old address."""
    if Path(name).suffix not in _TYPES:
        raise NotFound
    answer = send_from_directory(FOLDER, name, mimetype=_TYPES[Path(name).suffix])
    answer.headers["Cache-Control"] = _FOR_EVER if wanted == version() else "no-cache"
    return answer
