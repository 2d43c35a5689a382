"""A receipt that is brought for a record: it is linked to it at once."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint
from werkzeug.wrappers import Response

from core.domain.permissions import Permission
from core.errors import Invalid, TooLarge
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for, with_file
from entrypoints.console.receipts.uploads import kept, most, said_of
from entrypoints.console.records.one import record_page
from entrypoints.console.shell import done

blp = Blueprint("record_receipts", __name__)


@blp.post("/records/<uuid:record_id>/receipts")
@page_for(Permission.RECEIPTS_WRITE)
@with_file(most)
def upload(record_id: UUID) -> Response:
    me().require(Permission.RECORDS_READ)
    record = container().get_record(me(), record_id)
    try:
        receipt, new = kept()
        container().link_receipt(me(), receipt.id, record_id)
    except (Invalid, TooLarge) as error:
        return record_page(record, error.status, errors={"file": str(error)})
    return done(f"/records/{record_id}", f"{said_of(receipt, new)} It is linked to this record.")
