"""Where the table stands in a file: its encoding, delimiter, header and first row."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from core.domain.date_texts import is_date
from core.errors import UnreadableFile
from plugins.csv_file.encodings import as_text, find_encoding
from plugins.csv_file.headers import distinct, roles_of

DELIMITERS = ",;\t|"
SAMPLE_ROWS = 500
_SAMPLE_CHARACTERS = 1 << 18
_PREAMBLE_ROWS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`skip_lines` are the physical lines before the first row; `header` has a distinct name for each column.

    `titled` is False when the file has no header and the names were made up. `sample` holds the first rows.
    """

    encoding: str
    delimiter: str
    skip_lines: int
    header: tuple[str, ...]
    titled: bool
    sample: tuple[tuple[str, ...], ...]


def find_table(
    file: BinaryIO,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    skip_rows: int | None = None,
    wanted: frozenset[str] = frozenset(),
) -> Table:
    """Finds the table; what is given is not guessed.

    `skip_rows` are the lines above the header; `wanted` are names (case-folded) that the header is known to hold.
    Raises `UnreadableFile` when the file is empty, binary, or no table.
    """
    codec = find_encoding(file, encoding)
    head = _head(file, codec)
    best: tuple[tuple[int, float, int], Table] | None = None
    for candidate in delimiter or DELIMITERS:
        rows = _rows(head, candidate, skip_rows or 0)
        found = _find_header(rows, wanted, exact=skip_rows is not None)
        if found is None:
            continue
        at, known = found
        names, titled = _trimmed(rows[at][1]), known > 0
        body = [tuple(row) for _, row in rows[at + titled :] if any(row)][:SAMPLE_ROWS]
        fitting = tuple(row[: len(names)] for row in body if _fits(row, len(names)))
        table = Table(
            encoding=codec,
            delimiter=candidate,
            skip_lines=rows[at - 1 + titled][0] if at + titled else skip_rows or 0,
            header=_named(names if titled else [""] * len(names)),
            titled=titled,
            sample=fitting,
        )
        score = (known, round(len(fitting) / (len(body) or 1), 1), len(names))
        if best is None or score > best[0]:
            best = (score, table)
    if best is None:
        raise UnreadableFile("there is no table in this file: no row names a date and what happened")
    return best[1]


def stream_rows(file: BinaryIO, table: Table) -> Iterator[tuple[int, list[str] | None]]:
    """Every row after the header with the physical line it ends on; None for what is no row of CSV."""
    with as_text(file, table.encoding) as text:
        for _ in range(table.skip_lines):
            text.readline()
        reader = csv.reader(text, delimiter=table.delimiter, skipinitialspace=True)
        above = table.skip_lines
        while True:
            try:
                for row in reader:
                    yield above + reader.line_num, row
            except csv.Error:
                yield above + reader.line_num, None
            else:
                return


def _head(file: BinaryIO, encoding: str) -> str:
    with as_text(file, encoding) as text:
        head = text.read(_SAMPLE_CHARACTERS)
    if not head.strip():
        raise UnreadableFile("the file is empty")
    if len(head) == _SAMPLE_CHARACTERS:
        whole = max(head.rfind("\n"), head.rfind("\r")) + 1
        if not whole:
            raise UnreadableFile(f"the first line is longer than {_SAMPLE_CHARACTERS:,} characters")
        head = head[:whole]
    return head


def _rows(head: str, delimiter: str, skip: int) -> list[tuple[int, list[str]]]:
    """The first rows, each with the physical line it ends on."""
    text = io.StringIO(head, newline="")
    for _ in range(skip):
        text.readline()
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        rows.extend((skip + reader.line_num, row) for row in islice(reader, SAMPLE_ROWS + _PREAMBLE_ROWS))
    except csv.Error:
        return rows
    return rows


def _find_header(rows: list[tuple[int, list[str]]], wanted: frozenset[str], *, exact: bool) -> tuple[int, int] | None:
    """The header's index and how many of its names are known; (first row, 0) where the table has no header."""
    best: tuple[int, int] | None = None
    for at, (_, row) in enumerate(rows[: 1 if exact else _PREAMBLE_ROWS]):
        roles = [roles_of(cell) for cell in row]
        named = sum(cell.strip().casefold() in wanted for cell in row)
        dated = any("date" in names or "value_date" in names for names in roles)
        known = sum(map(bool, roles)) + 2 * named
        if known >= 2 and (dated or named) and (best is None or known > best[1]):
            best = (at, known)
    return best or _find_by_shape(rows, exact=exact)


def _find_by_shape(rows: list[tuple[int, list[str]]], *, exact: bool) -> tuple[int, int] | None:
    """Where no name is known: the first row of the commonest width, if rows of dates follow it."""
    widths = Counter(len(row) for _, row in rows if len(row) > 1)
    if not widths:
        return None
    width = widths.most_common(1)[0][0]
    shaped = [at for at, (_, row) in enumerate(rows) if len(row) == width or (exact and at == 0)]
    if _is_data(rows[shaped[0]][1]):
        return shaped[0], 0
    if len(shaped) > 1 and _is_data(rows[shaped[1]][1]):
        return shaped[0], 1
    return None


def _is_data(row: list[str]) -> bool:
    dates = sum(map(is_date, row))
    return dates > 0 and sum(bool(cell.strip()) for cell in row) > dates


def _fits(row: tuple[str, ...], width: int) -> bool:
    return len(row) >= width and not any(row[width:])


def _trimmed(row: list[str]) -> list[str]:
    """Without the empty cells that a trailing delimiter leaves."""
    width = len(row)
    while width > 1 and not row[width - 1].strip():
        width -= 1
    return row[:width]


def _named(cells: list[str]) -> tuple[str, ...]:
    return tuple(distinct([" ".join(cell.split()) or f"column_{i}" for i, cell in enumerate(cells, start=1)], " "))
