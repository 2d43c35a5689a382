"""The body of POST /records, read record by record."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from core.errors import Invalid
from entrypoints.api.errors import MalformedJson
from entrypoints.api.record_lists import MAX_RECORD, MAX_RECORDS, lines_of


def lines(body: bytes) -> list[bytes]:
    return list(lines_of(body))


@pytest.mark.parametrize("space", ["", " ", "\n\t\r "])
@pytest.mark.parametrize("filler", ["x", "é", "€", "😀", '\\"', "\\ud83d\\ude00"])
def test_records_come_one_by_one_wherever_a_piece_of_the_body_ends(space: str, filler: str) -> None:
    """Records of some hundred KiB, so that pieces end within them, and between bytes of their characters."""
    texts = [filler * (90_000 // len(filler) + n) for n in range(40)]
    records = [f'{{"text":{space}"{text}","n":{n}}}' for n, text in enumerate(texts)]
    body = f'{{{space}"records"{space}:{space}[{space}' + f"{space},{space}".join(records) + f"{space}]{space}}}{space}"
    assert len(body.encode()) > 3 * MAX_RECORD
    assert [json.loads(line) for line in lines(body.encode())] == [json.loads(record) for record in records]


def test_amounts_keep_their_digits_and_a_mark_of_byte_order_is_no_matter() -> None:
    body = b'\xef\xbb\xbf{"records": [{"amount": 0.10000000000000000001}, {"amount": "1", "attributes": {"a": 1.5}}]}'
    assert lines(body) == [b'{"amount":"0.10000000000000000001"}\n', b'{"amount":"1","attributes":{"a":1.5}}\n']


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b'{"records": ',
        b'{"records": [',
        b'{"records": [{}',
        b'{"records": [{},',
        b'{"records": [{},]}',
        b'{"records": [{} {}]}',
        b'{"records": [{}]',
        b'{"records": [{}]}}',
        b'{"records": [{}]} x',
        b'{"records": [NaN]}',
        b'{"records": [{"a": "\xff"}]}',
        b'{"records": [{"a": bad}' + b" " * MAX_RECORD + b"]}",
        b'{"records": [' + b"[" * 2_000_000,
    ],
)
def test_what_is_not_json(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        lines(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b'{"records": {}}',
        b'{"records": []}',
        b'{"more": 1, "records": [{}]}',
        b'{"records": [{}], "more": 1}',
        b'{"records": [1]}',
        b'{"records": [{"a": "' + b"x" * MAX_RECORD + b'"}, {}]}',
        b'{"records": [{"a": [' + b"1," * MAX_RECORD + b"1]}, {}]}",
        b'{"records": [{"a": [' + b"true," * MAX_RECORD + b"1]}, {}]}",
        b'{"records": [{' + b" " * MAX_RECORD + b"}, {}]}",
        b'{"records": [{}' + b" " * MAX_RECORD + b", {}]}",
    ],
)
def test_what_is_json_and_no_list_of_records(body: bytes) -> None:
    with pytest.raises(Invalid):
        lines(body)


def test_a_number_is_not_cut_in_two() -> None:
    body = b'{"records": [' + b" " * 20 + b"1" * 4_000 + b"," + b"1," * MAX_RECORD + b"1]}"
    with pytest.raises(Invalid, match="10000"):
        lines(body)


@pytest.mark.slow
@pytest.mark.parametrize("small", [b"{}", b"[]", b"1.5", b'"ab"', b'{"a":{}}', b'{"a":[[],[],[1.5,2.5]]}'])
@pytest.mark.parametrize("inside", [False, True])
def test_no_body_takes_much_more_memory_than_its_bytes(small: bytes, inside: bool) -> None:
    listed = (small + b",") * ((8 << 20) // (len(small) + 1)) + small
    body = b'{"records":[' + (b'{"a":[' + listed + b"]}" if inside else listed) + b"]}"
    tracemalloc.start()
    try:
        with pytest.raises(Invalid):
            lines(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20  # 250 MiB and more, if all were read at once


def test_as_many_records_as_may_come_and_one_more() -> None:
    assert lines(b'{"records": [' + b"{}," * (MAX_RECORDS - 1) + b"{}]}") == [b"{}\n"] * MAX_RECORDS
    with pytest.raises(Invalid, match=str(MAX_RECORDS)):
        lines(b'{"records": [' + b"{}," * MAX_RECORDS + b"{}]}")
