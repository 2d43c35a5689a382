"""What is written in any dialect that banks use is read back exactly."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.csv_file.read import CsvFile
from sortation import Context, ReadRequest

_NOTATIONS = {
    ".": lambda amount: f"{amount:,.2f}",
    ",": lambda amount: f"{amount:,.2f}".translate(str.maketrans(",.", ".,")),
    " ,": lambda amount: f"{amount:,.2f}".translate(str.maketrans(",.", "\u00a0,")),
}
_WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\r", exclude_categories=("Cs", "Zs", "Zl", "Zp", "Cc")),
    min_size=1,
    max_size=20,
)
_ROWS = st.lists(
    st.tuples(
        st.dates(date(1970, 1, 1), date(2069, 12, 31)),
        st.lists(_WORDS, min_size=1, max_size=4).map(" ".join),
        st.decimals(Decimal("-9999999.99"), Decimal("9999999.99"), places=2),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150)
@given(
    rows=_ROWS,
    delimiter=st.sampled_from(",;\t|"),
    date_format=st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%d.%m.%y", "%d %b %Y"]),
    notation=st.sampled_from(list(_NOTATIONS)),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_written_in_any_dialect_is_read_back_exactly(
    rows: list[tuple[date, str, Decimal]],
    delimiter: str,
    date_format: str,
    notation: str,
    quoting: int,
    encoding: str,
    line_end: str,
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=line_end)  # type: ignore[arg-type]
    writer.writerow(["Date", "Description", "Amount"])
    writer.writerows([day.strftime(date_format), text, _NOTATIONS[notation](amount)] for day, text, amount in rows)
    file = io.BytesIO(out.getvalue().encode(encoding))
    batches = list(CsvFile().read(Context(), ReadRequest(file=file, batch_size=7)))
    drafts = [draft for batch in batches for draft in batch.drafts]
    assert [batch.refusals for batch in batches if batch.refusals] == []
    assert [(d.occurred_at, d.text, d.amount) for d in drafts] == rows
