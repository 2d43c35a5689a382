"""What README prints is what a reader may type."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.stack import ROOT, running_stack

README = (ROOT / "README.md").read_text()


def tour() -> str:
    found = re.search(r"<!-- tour -->\n```bash\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.mark.slow
def test_the_tour_works_as_printed(tmp_path: Path) -> None:
    """Only the address and the place of the key are ours; a curl that fails, or answers an error, fails the test."""
    with running_stack(tmp_path / "data") as stack:
        stack.new_tenant()
        key = tmp_path / "demo-key"
        key.write_text(stack.key)
        stack.upload((ROOT / "examples" / "statement.csv").read_bytes())
        stack.wait_until(stack.idle)
        script = tour().replace("http://127.0.0.1:8080", stack.url).replace("sortation-data/demo-key", str(key))
        assert script.count(stack.url) == 1
        assert str(key) in script
        # Each answer on a line of its own; errors of HTTP end the script.
        script = script.replace("curl -s ", "curl --silent --show-error --fail-with-body -w '\\n' ")
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr
        answers = [json.loads(line) for line in ran.stdout.splitlines() if line.strip()]
        me, records, rule, *about_rules, bulk, dry_run, imported, queue, settled = answers[:-6]
        dashboard, promise, report, reports, events, jobs = answers[-6:]
        tested, preview, run, undoing, conflicts, proposals = about_rules
        assert me["tenant"]["name"] == "Test"
        assert len(records["items"]) == 2
        assert all(record["reasoning_trace"]["stages"] for record in records["items"])
        assert rule["name"] == "The bakery downstairs"
        assert tested["matched"] == len(tested["records"]) > 0
        assert preview["changed"] + preview["newly_decided"] == tested["matched"]
        assert run["status"] == "done"
        assert undoing["status"] == "undoing"
        assert all(pair["records"] > 0 for pair in conflicts["items"])
        assert proposals["items"] == []
        assert dry_run["new"] == 0
        assert dry_run["known"] > 400
        assert queue["items"][0]["id"]
        assert settled["status"] in ("approved", "overridden")
        assert len(dashboard["days"]) == 7
        assert promise["promised"] == 0.95
        assert [one["id"] for one in reports["items"]] == [report["id"]]
        assert [e["seq"] for e in events["items"]] == [1, 2, 3, 4, 5]
        assert jobs["items"]
        stack.wait_until(stack.idle)
        for job in (bulk["job_id"], imported["job_id"]):
            assert stack.call("GET", f"/api/v1/jobs/{job}")[1]["status"] == "done"
        rows = stack.query("SELECT text, stage, tags FROM records WHERE external_id = 'tour-1'")
        assert rows == [("BACKSTUBE SONNENSCHEIN 0417", "rules", ["breakfast"])]


def test_every_setting_is_in_the_readme() -> None:
    source = (ROOT / "entrypoints" / "settings.py").read_text()
    found = re.findall(r'(?:env\.\w+|_\w+)\((?:env, )?"([A-Z][A-Z_]+)"', source)
    names = {name.removesuffix("_FILE") for name in found} - {"OTEL_EXPORTER_OTLP_ENDPOINT"}
    assert len(names) > 20
    missing = sorted(name for name in names if f"SORTATION_{name}" not in README and f"_{name}`" not in README)
    assert missing == []
