"""Files that were valid once, mutated: no connector of files gives any other error than the typed ones, nor takes long.

`SORTATION_FUZZ_SECONDS=60 make verify ARGS="-k fuzz"` tries each connector for a minute.
"""

from __future__ import annotations

import gc
import gzip
import io
import json
import os
import resource
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.domain.plugins import gaps_of
from core.domain.records import check_draft, identify
from core.errors import Invalid, Transient, UnknownFormat, UnreadableFile
from plugins.camt_file.read import CamtFile
from plugins.csv_file.read import CsvFile
from plugins.json_lines import JsonLines
from plugins.manager import PluginManager
from plugins.mt940_file.read import Mt940File
from plugins.ofx_file import OfxFile
from plugins.qif_file import QifFile
from ports.connectors import Connector
from sortation import Context, ReadRequest
from tests.stubs.host import installed

DATA = Path(__file__).parent.parent / "data"
RECORD = (
    b'{"text":"Shop","occurred_at":"2026-03-01","amount":"-5.00","currency":"EUR","attributes":{"a":[1,2.5,null]}}\n'
)
SEEDS: dict[str, tuple[Callable[[], Connector], list[tuple[str, bytes]]]] = {
    key: (factory, [(name, (DATA / name).read_bytes()) for name in names])
    for key, factory, names in (
        ("camt", CamtFile, ["statement.xml"]),
        ("csv", CsvFile, ["german_bank.csv"]),
        ("mt940", Mt940File, ["statement.sta", "statement.942"]),
        ("ofx", OfxFile, ["broker.ofx", "two_accounts.qfx"]),
        ("qif", QifFile, ["quicken.qif"]),
    )
} | {"json": (JsonLines, [("records.ndjson", RECORD * 3), ("records.json", b"[" + RECORD + b"]")])}
TOKENS = [
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\r", b"\n", b"\t", b"\"", b"'", b",", b";", b"<", b">",
    b"&", b"&#0;", b"&#xD800;", b"</", b"<!--", b"]]>", b"<![CDATA[", b"<?", b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"NaN", b"Infinity", b"1e999999", b"-", b"--", b"0000-00-00", b"9999-99-99",
    b"99999999999999999999999999999999999", b"0.00000000000000000000000001", b"\\ud800", b"[", b"[" * 2_000, b"{",
    b"^", b"!Type:", b"!Account", b":61:", b":86:", b":62F:", b":25:", b":20:", b"?20", b"?32", b"-}", b"<OFX>",
    b"</OFX>", b"<STMTTRN>", b"</STMTTRN>", b"<Ntry>", b"</Ntry>", b"<TxDtls>", b"\xe2\x80\xa8", b"\x1f",
    b"\xd9\xa3", b"\xe9", b"A" * 5_000, b"1" * 5_000, b" " * 5_000, b"\n" * 5_000,
]  # fmt: skip
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["insert", "replace", "delete", "repeat", "cut", "swap", "flip"]),
        st.floats(0, 1),
        st.integers(0, 60),
        st.one_of(st.sampled_from(TOKENS), st.binary(max_size=8)),
    ),
    max_size=8,
)
MAX_SECONDS = 3.0
"""Of this thread's CPU time, for one file: a busy machine makes none of them slower."""
MAX_GROWTH = 256 << 10
"""KiB that all examples of one connector may add to the process."""
FUZZ_SECONDS = float(os.environ.get("SORTATION_FUZZ_SECONDS", "10"))


def mutated(content: bytes, edits: list[tuple[str, float, int, bytes]]) -> bytes:
    for kind, place, length, token in edits:
        at = int(place * len(content))
        part = content[at : at + length]
        if kind == "insert":
            content = content[:at] + token + content[at:]
        elif kind == "replace":
            content = content[:at] + token + content[at + length :]
        elif kind == "delete":
            content = content[:at] + content[at + length :]
        elif kind == "repeat":
            content = content[:at] + part * 20 + content[at:]
        elif kind == "cut":
            content = content[:at]
        elif kind == "swap":
            content = content[at:] + content[:at]
        else:
            content = content[:at] + bytes(byte ^ 0x20 for byte in part) + content[at + length :]
    return content


def try_to_read(connector: Connector, content: bytes, name: str) -> None:
    """Reads as the host does; what comes must be such that the host can go on with it."""
    started = time.thread_time()
    sure = connector.detect(content[: 1 << 16], name)
    assert 0 <= sure <= 1
    try:
        for batch in connector.read(Context(), ReadRequest(file=io.BytesIO(content), filename=name, batch_size=50)):
            assert len(batch.drafts) + len(batch.refusals) <= 50
            gaps_of(batch.statements)
            for refusal in batch.refusals:
                assert refusal.reason
                assert len(refusal.reason) <= 400
            for draft in identify(batch.drafts):
                json.dumps(asdict(draft), default=str)
                try:
                    check_draft(draft)
                except Invalid as error:
                    assert str(error)  # noqa: PT017 (any reason will do)
    except (UnreadableFile, Transient) as error:
        assert str(error)  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
        assert len(str(error)) < 1_000  # noqa: PT017
    assert time.thread_time() - started < MAX_SECONDS


def fuzz(key: str, examples: int, phases: tuple[Phase, ...] = tuple(Phase)) -> None:
    factory, seeds = SEEDS[key]

    @settings(
        max_examples=examples, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck)
    )
    @given(seed=st.sampled_from(seeds), edits=EDITS)
    def run(seed: tuple[str, bytes], edits: list[tuple[str, float, int, bytes]]) -> None:
        name, content = seed
        try_to_read(factory(), mutated(content, edits), name)

    gc.collect()
    gc.freeze()  # else what other tests left in this process is looked through at a connector's expense
    run()
    gc.unfreeze()


@pytest.mark.parametrize("key", SEEDS)
def test_a_mutated_file_gives_typed_errors_alone(key: str) -> None:
    fuzz(key, 60)


@pytest.mark.slow
@pytest.mark.parametrize("key", SEEDS)
@pytest.mark.timeout(FUZZ_SECONDS + 120)
def test_fuzz_for_a_while(key: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    until = time.monotonic() + FUZZ_SECONDS
    while time.monotonic() < until:
        fuzz(key, 200, (Phase.generate,))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_GROWTH


@pytest.mark.parametrize("key", SEEDS)
def test_the_seeds_are_valid_and_detected_as_their_connectors_own(key: str) -> None:
    host = installed()
    _, seeds = SEEDS[key]
    for name, content in seeds:
        assert host.detect(content[: 1 << 16], name) == key
        assert host.detect(content[: 1 << 16], "upload") == key, "whatever it is called"
        batches = list(host.connector(key).read(Context(), ReadRequest(file=io.BytesIO(content), filename=name)))
        assert sum(len(batch.drafts) for batch in batches)


def laughs(entities: int) -> bytes:
    declared = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, entities))
    return f'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY l0 "ha">{declared}]><OFX>&l{entities - 1};</OFX>'.encode()


def zipped(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b"0" * (64 << 20))
    return packed.getvalue()


HOSTILE = {
    "billion laughs": laughs(30),
    "billion laughs of OFX": b"OFXHEADER:100\n\n" + laughs(30),
    "quadratic blowup": b'<!DOCTYPE a [<!ENTITY a "'
    + b"x" * 50_000
    + b'">]><Document>'
    + b"&a;" * 50_000
    + b"</Document>",
    "elements without end": b"<Document><Stmt>" + b"<a>" * 300_000,
    "elements of OFX without end": b"<OFX>" + b"<A>" * 50_000 + b"</A>" * 50_000 + b"</OFX>",
    "empty elements of OFX": b"<OFX>" + b"<A></A>" * 500_000 + b"</OFX>",
    "empty transactions": b"<OFX><STMTRS>" + b"<STMTTRN></STMTTRN>" * 200_000 + b"</STMTRS></OFX>",
    "names of elements without end": b"<OFX>" + b"".join(b"<A%d>1" % n for n in range(100_000)) + b"</OFX>",
    "nested transactions": b"<OFX><STMTRS>" + b"<STMTTRN>" * 2_000 + b"</STMTTRN>" * 2_000 + b"</STMTRS></OFX>",
    "CDATA without end": b"<OFX>" + b"<A><![CDATA[" * 50_000 + b"</OFX>",
    "splits without end": b"!Type:Bank\nDx\n" + b"S\n$1\nAa\n" * 100_000,
    "arrays without end": b"[" * 1_000_000,
    "an attribute without end": b"<Document a='" + b"x" * (8 << 20),
    "a field without end": b":20:A\n:25:B\n:61:" + b"9" * (1 << 20),
    "a line without end": b"!Type:Bank\nD" + b"9" * (1 << 20),
    "gzip bomb": gzip.compress(b"0" * (64 << 20)),
    "zip bomb": zipped("statement.csv"),
}


def read_nothing(host: PluginManager, content: bytes, name: str) -> None:
    """Reads as an import does; a file of which every part is refused counts as unreadable."""
    request = ReadRequest(file=io.BytesIO(content), filename=name)
    batches = host.connector(host.detect(content[: 1 << 16], name)).read(Context(), request)
    if not any(batch.drafts for batch in batches):
        raise UnreadableFile("every part of it was refused")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_an_error_at_once(name: str) -> None:
    content, host = HOSTILE[name], installed()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for extension in ("xml", "csv", "sta", "ofx", "qif", "json", "csv.gz", "zip"):
        started = time.thread_time()
        with pytest.raises((UnknownFormat, UnreadableFile)):
            read_nothing(host, content, f"x.{extension}")
        assert time.thread_time() - started < MAX_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_GROWTH


@pytest.mark.parametrize("details", [b"Z RACH.: 1;" * 200_000, b"166" + b"?00a" * 500_000, b"/NAME/a" * 300_000])
def test_details_that_could_be_searched_for_ever_are_not(details: bytes) -> None:
    try_to_read(Mt940File(), b":20:A\n:25:B\n:61:260302D1,NMSC\n:86:" + details, "x.sta")
