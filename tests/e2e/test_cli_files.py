"""`sortation` on files, as a user's shell runs it: parse, classify, and one line for everything that is wrong."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMAND = [sys.executable, "-m", "entrypoints.cli"]
EMPTY_OFX = """OFXHEADER:100
DATA:OFXSGML
VERSION:102
SECURITY:NONE
ENCODING:USASCII
CHARSET:1252
COMPRESSION:NONE
OLDFILEUID:NONE
NEWFILEUID:NONE

<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS><DTSERVER>20260301<LANGUAGE>ENG</SONRS>
</SIGNONMSGSRSV1><BANKMSGSRSV1><STMTTRNRS><TRNUID>1<STATUS><CODE>0<SEVERITY>INFO</STATUS><STMTRS><CURDEF>EUR
<BANKACCTFROM><BANKID>1<ACCTID>22<ACCTTYPE>CHECKING</BANKACCTFROM><BANKTRANLIST><DTSTART>20260301<DTEND>20260302
</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""


def environment(**more: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SORTATION_", "OTEL_"))}
    return ours | more


def sortation(*arguments: str | Path, cwd: Path, code: int = 0, **settings: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def refusal(*arguments: str | Path, cwd: Path, **settings: str) -> str:
    """The one line that a refused command says."""
    done = sortation(*arguments, cwd=cwd, code=2, **settings)
    assert done.stdout == ""
    assert done.stderr.startswith("sortation: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.slow
def test_help_and_version_need_no_settings(tmp_path: Path) -> None:
    bare = sortation(cwd=tmp_path)
    for command in ("classify", "parse", "up", "jobs", "migrate", "api", "worker", "relay"):
        assert f"\n  {command} " in bare.stdout
        assert "Examples:" in sortation(command, "--help", cwd=tmp_path).stdout
    assert sortation("--version", cwd=tmp_path).stdout.startswith("sortation ")


def test_parse_writes_records_as_json(tmp_path: Path) -> None:
    done = sortation("parse", EXAMPLES / "statement.csv", "--json", cwd=tmp_path)
    records = json.loads(done.stdout)
    assert len(records) > 400
    assert {record["currency"] for record in records} >= {"EUR"}
    assert len({(record["account"], record["external_id"]) for record in records}) == len(records)
    for record in records:
        assert isinstance(record["amount"], str)
        Decimal(record["amount"])
        assert {"kind", "account", "occurred_at", "text", "counterparty", "attributes", "pending", "category"} <= set(
            record
        )
    assert list(tmp_path.iterdir()) == []


def test_parse_sums_up_what_it_refused(tmp_path: Path) -> None:
    file = tmp_path / "some.ndjson"
    file.write_text('{"text": "fine", "occurred_at": "2026-01-01"}\n{"text": "bad", "occurred_at": "yesterday"}\n')
    done = sortation("parse", file, "--json", cwd=tmp_path)
    assert [record["text"] for record in json.loads(done.stdout)] == ["fine"]
    assert "1 item was refused" in done.stderr
    assert "at 2: " in done.stderr


@pytest.mark.parametrize("command", ["parse", pytest.param("classify", marks=pytest.mark.slow)])
def test_a_statement_that_does_not_add_up_is_told(tmp_path: Path, command: str) -> None:
    statement = Path(__file__).parents[1] / "data" / "statement.sta"
    done = sortation(command, statement, cwd=tmp_path)
    assert "Kartenzahlung Baeckerei Suess" in done.stdout
    told = "sortation: statement 10020030/0123456789: opening + sum differs from closing by -3.10 EUR\n"
    assert told in done.stderr


def test_parse_shows_a_table(tmp_path: Path) -> None:
    file = tmp_path / "brackets.csv"
    file.write_text("Date,Description,Amount\n2026-01-31,[bold]SHOP[/bold] 12,-5.00\n2026-02-01,KIOSK,-2.50\n")
    out = sortation("parse", file, "--currency", "CHF", cwd=tmp_path).stdout
    assert "[bold]SHOP[/bold] 12" in out
    assert "CHF" in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["frobnicate"], "frobnicate"),
        (["parse"], "FILE"),
        (["parse", "missing.csv"], "missing.csv"),
        (["parse", "picture.png"], "no connector recognises"),
        (["parse", "empty.csv"], "empty"),
        (["parse", "rows.csv", "--bad"], "--bad"),
        (["parse", "rows.csv", "--connector", "fax"], "fax"),
        (["parse", "rows.csv", "--currency", "euro"], "ISO 4217"),
        (["parse", "broken.ofx"], "ofx"),
        (["classify", "picture.png"], "no connector recognises"),
        (["classify", "rows.csv", "--rules", "rows.csv"], "not JSON"),
        (["classify", "rows.csv", "--rules", "rules.json"], "[0].when"),
        (["classify", "rows.csv", "--examples", "blank.csv"], "line 2"),
        (["jobs", "list"], "SORTATION_DATABASE_URL"),
        (["jobs", "replay"], "--all"),
        (["api"], "SORTATION_BROKER_URL"),
        (["worker"], "SORTATION_BROKER_URL"),
        (["relay"], "SORTATION_BROKER_URL"),
        (["migrate"], "SORTATION_DATABASE_URL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_line(arguments: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "rows.csv").write_text("Date,Description,Amount\n2026-01-31,SHOP,-5.00\n2026-02-01,KIOSK,-2.50\n")
    (tmp_path / "broken.ofx").write_text("OFXHEADER:100\n\n<OFX><BANKMSGSRSV1>")
    (tmp_path / "rules.json").write_text('[{"name": "x", "when": {"field": "smell"}, "then": {"review": true}}]')
    (tmp_path / "blank.csv").write_text("text,category\nSHOP,\n")
    assert says.lower() in refusal(*arguments, cwd=tmp_path).lower()


@pytest.mark.slow
def test_wrong_settings_are_one_line_that_names_them(tmp_path: Path) -> None:
    assert "SORTATION_PORT" in refusal("up", cwd=tmp_path, SORTATION_PORT="ninety")
    unreachable = "postgresql://nobody:secret@127.0.0.1:1/nothing"
    said = refusal("migrate", cwd=tmp_path, SORTATION_DATABASE_URL=unreachable)
    assert "SORTATION_DATABASE_URL" in said
    assert "secret" not in said
    assert "database" in refusal("jobs", "dead", cwd=tmp_path, SORTATION_DATABASE_URL=unreachable)
    assert "SORTATION_SECRET_KEY" in refusal("up", cwd=tmp_path, SORTATION_PROFILE="prod")


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    command = " ".join([*COMMAND, "parse", str(EXAMPLES / "statement.csv"), "--json"])
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[\n", "")


@pytest.mark.slow
def test_classify_decides_every_record_with_a_reason(tmp_path: Path) -> None:
    parsed = json.loads(sortation("parse", EXAMPLES / "statement.csv", "--json", cwd=tmp_path).stdout)
    done = sortation("classify", EXAMPLES / "statement.csv", "--json", "-", cwd=tmp_path)
    rows = json.loads(done.stdout)
    assert done.stderr == ""
    assert [row["external_id"] for row in rows] == [record["external_id"] for record in parsed]
    assert [row["amount"] for row in rows] == [record["amount"] for record in parsed]
    for row in rows:
        assert row["reason"]
        assert row["status"] in ("processed", "needs_review")
        assert 0 <= row["confidence"] <= 1
        assert (row["category"] is not None) is (row["status"] == "processed")
    by_rules = [row for row in rows if row["stage"] == "rules"]
    assert len(by_rules) > len(rows) / 2  # the starter pack knows most of what stands on a bank statement
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_classify_learns_from_examples_and_obeys_rules(tmp_path: Path) -> None:
    statement = tmp_path / "new.csv"
    statement.write_text(
        "Date,Description,Amount\n"
        "2026-01-31,ZORBLAX WIDGETS 0815,-5.00\n"
        "2026-02-01,QUUXORAMA KABINETT,-2.50\n"
        "2026-02-02,=VRNTSK(PLKTRM),-9.99\n"
    )
    (tmp_path / "examples.csv").write_text(
        "text,category\n"
        + "".join(f"QUUXORAMA KABINETT {n},Curiosities\n" for n in ("A", "B", "C"))
        + "QUUXORAMA KABINETT,Curiosities\n"
    )
    rule = {
        "name": "Widgets",
        "when": {"field": "text", "op": "contains", "value": "zorblax"},
        "then": {"category": "Curiosities"},
    }
    (tmp_path / "rules.json").write_text(json.dumps([rule]))
    out = tmp_path / "sorted.csv"
    arguments = ["--rules", "rules.json", "--examples", "examples.csv", "--csv", "sorted.csv"]
    sortation("classify", statement, *arguments, cwd=tmp_path)
    rows = list(csv.DictReader(out.open(newline="")))
    assert [row["text"] for row in rows] == ["ZORBLAX WIDGETS 0815", "QUUXORAMA KABINETT", "'=VRNTSK(PLKTRM)"]
    assert [row["stage"] for row in rows][:2] == ["rules", "similarity"]
    assert {row["category"] for row in rows[:2]} == {"Curiosities"}
    assert rows[2]["status"] == "needs_review"


@pytest.mark.slow
def test_classify_does_not_wait_for_an_llm_that_is_tried_again_in_minutes(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("Date,Description,Amount\n2026-02-02,VRNTSK PLKTRM,-9.99\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        away = {
            "SORTATION_LLM_API_KEY": "sk-key",
            "SORTATION_LLM_BASE_URL": f"http://127.0.0.1:{taken.getsockname()[1]}",
        }
        away["SORTATION_JOB_BACKOFF_SECONDS"] = "600"
        done = sortation("classify", "new.csv", "--json", "-", cwd=tmp_path, **away)
    assert done.stderr == "sortation: not waited for, since due only later: records:llm\n"
    assert [row["status"] for row in json.loads(done.stdout)] == ["ingested"]


@pytest.mark.slow
def test_a_rule_for_an_unknown_category_is_named(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(
        '[{"name": "x", "when": {"field": "text", "op": "contains", "value": "x"}, "then": {"category": "nowhere"}}]'
    )
    said = refusal("classify", EXAMPLES / "statement.csv", "--rules", "rules.json", cwd=tmp_path)
    assert "rules.json: [0].then.category" in said


@pytest.mark.slow
def test_a_statement_without_transactions_is_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "empty.ofx").write_text(EMPTY_OFX)
    assert json.loads(sortation("classify", "empty.ofx", "--json", "-", cwd=tmp_path).stdout) == []


@pytest.mark.slow
def test_a_broken_statement_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.ofx").write_text("OFXHEADER:100\n\n<OFX><BANKMSGSRSV1>")
    refusal("classify", "broken.ofx", "--json", "-", cwd=tmp_path)
    refusal("classify", "broken.ofx", "--json", "-", cwd=tmp_path, SORTATION_LOG_FORMAT="console")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_classify_told_to_stop_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    temporary = Path(tempfile.mkdtemp(prefix="sortation-tests-", dir="/tmp"))
    temporary.chmod(0o755)
    process = subprocess.Popen(
        [*COMMAND, "classify", str(EXAMPLES / "statement.csv")],
        cwd=tmp_path,
        env=environment(TMPDIR=str(temporary)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(temporary.glob("sortation-*/postgres/postmaster.pid")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert (out, err) == ("", "")
    assert list(temporary.iterdir()) == []
    temporary.rmdir()
    left = [p.info for p in psutil.process_iter(["cmdline"]) if str(temporary) in " ".join(p.info["cmdline"] or ())]
    assert left == []
