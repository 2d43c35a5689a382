"""The files of reports."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint
from werkzeug.wrappers import Response

from core.domain.permissions import Permission
from core.domain.reports import Format
from entrypoints.api.limits import Kind, limited
from entrypoints.api.reports import report_file
from entrypoints.console.guard import me, page_for

blp = Blueprint("report_files", __name__)


@blp.get("/reports/<uuid:run_id>/files/<string:format>")
@limited(Kind.COSTLY)
@page_for(Permission.REPORTS_READ)
def download(run_id: UUID, format: str) -> Response:
    """To be kept; the page to print is shown, within a policy that lets it do nothing else."""
    return report_file(me(), run_id, format, shown=format == Format.HTML)
