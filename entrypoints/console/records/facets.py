"""How many records of each there are, for a list that is shown already: of very many, counting takes seconds."""

from __future__ import annotations

from flask import Blueprint, Response, request

from core.domain.facets import LOOKED_AT, Facet
from core.domain.permissions import Permission
from core.errors import Invalid
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import json_response, polled
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.records.filters import read_filters

blp = Blueprint("record_facets", __name__)
_FIELDS = {
    Facet.STATUS: "status",
    Facet.CATEGORY: "category_id",
    Facet.STAGE: "stage",
    Facet.CONNECTION: "connection_id",
    Facet.CURRENCY: "currency",
    Facet.KIND: "kind",
    Facet.MONTH: "month",
}
"""What each is called in the list's form."""


@blp.get("/records/facets")
@limited(Kind.COSTLY)
@page_for(Permission.RECORDS_READ)
def count_facets() -> Response:
    """By field and value; each field without its own part of the filter. `newest` is how many were looked at, where
    that is not all. Raises `Invalid` for a filter that does not hold."""
    filters = read_filters(request.args)
    if filters.where is None:
        raise Invalid("this filter does not hold: see the list", fields=dict(filters.errors))
    found = container().record_facets(me(), filters.where)
    counts = {
        field: {str(value): count for value, count in found.counts[facet].items() if value is not None}
        for facet, field in _FIELDS.items()
    }
    polled()
    return json_response({"counts": counts, "newest": LOOKED_AT if found.approximate else None})
