"""`sortation plugin new`, `test` and `install`, as an author's shell runs them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from entrypoints.cli.main import main
from entrypoints.cli.scaffold import MAX_NAME, AuthChoice, NewPlugin, PluginKind, files_of, write
from plugins.loading import offers
from sortation import AuthKind
from tests.e2e.test_cli_files import refusal, sortation

LONGEST = f"a-b{'c' * (MAX_NAME - 5)}-d"
VARIANTS = [
    *(
        NewPlugin(kind=PluginKind.CONNECTOR, name=name, auth=auth, webhook=webhook)
        for name in ("x", LONGEST)
        for auth in AuthChoice
        for webhook in (False, True)
    ),
    *(NewPlugin(kind=PluginKind.RULE, name=name) for name in ("x", LONGEST)),
]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A package as the scaffold writes it."""
    write(files_of(NewPlugin(kind=PluginKind.CONNECTOR, name="shop")), tmp_path / "shop")
    return tmp_path / "shop"


def test_new_writes_a_package_and_says_what_to_do_next(tmp_path: Path) -> None:
    said = sortation("plugin", "new", "connector", "my_shop", "--auth", "key", "--webhook", cwd=tmp_path).stdout
    *written, _, hint = said.splitlines()
    folder = tmp_path / "sortation-my-shop"
    assert [str(folder.relative_to(tmp_path) / path) for path in ("README.md", "tests/test_my_shop.py")] == [
        path for path in written if "README" in path or "tests/" in path
    ]
    assert sorted(written) == sorted(str(p.relative_to(tmp_path)) for p in folder.rglob("*") if p.is_file())
    assert hint == "Try it: sortation plugin test sortation-my-shop"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {"sortation": {"my_shop": "sortation_my_shop.plugin"}}
    assert "license" not in project, "that is the author's to say"
    assert project["optional-dependencies"].keys() >= {"test"}
    assert (folder / ".github" / "workflows" / "ci.yaml").read_text().count("${{ matrix.python }}") == 1


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: f"{v.kind}-{v.auth}-{v.webhook}-{len(v.name)}")
def test_what_is_written_is_tidy_whatever_its_name(variant: NewPlugin, tmp_path: Path) -> None:
    write(files_of(variant), tmp_path / "new")
    for tool in (("check",), ("format", "--check")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *tool, "--no-cache", "new"], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("auth", list(AuthChoice))
def test_the_manifest_is_what_was_asked_for(auth: AuthChoice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = NewPlugin(kind=PluginKind.CONNECTOR, name=f"asked-{auth}", auth=auth, webhook=True)
    write(files_of(new), tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    ((manifest,), rule_types) = offers("new", f"{new.package}.plugin")
    assert not rule_types
    assert manifest.key == new.name
    assert manifest.auth.kind is {"none": AuthKind.NONE, "key": AuthKind.API_KEY, "oauth2": AuthKind.OAUTH2}[auth]
    secret = {"none": set(), "key": {"api_key"}, "oauth2": {"client_secret"}}[auth]
    assert manifest.secret_fields() == secret | {"webhook_secret"}
    assert (manifest.api_min, manifest.api_max) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["connector", "Shop"], "'Shop' is no name"),
        (["connector", "a" * (MAX_NAME + 1)], "is no name"),
        (["connector", "shop-"], "is no name"),
        (["connector", "../shop"], "is no name"),
        (["connector", "csv"], "Sortation itself has something called 'csv'"),
        (["rule", "recurring"], "Sortation itself has something called 'recurring'"),
        (["rule", "round", "--webhook"], "for connectors"),
        (["thing", "shop"], "connector"),
        (["connector", "shop", "--auth", "magic"], "oauth2"),
        (["connector", "shop", "--directory", "."], "not empty"),
        (["connector", "shop", "--directory", "file"], "file is there already"),
        (["connector"], "NAME"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_new_refuses_in_one_line_and_writes_nothing(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(["plugin", "new", *arguments]) == 2
    out, err = capfd.readouterr()
    assert says in err
    assert (out, err.count("\n")) == ("", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
def test_test_shows_what_each_check_says(shop: Path, tmp_path: Path) -> None:
    said = sortation("plugin", "test", shop, cwd=tmp_path)
    rows = [line.split() for line in said.stdout.splitlines()]
    assert ["TestShop", "resumes_after_every_batch", "passed"] in rows
    assert ["TestShop", "reads_its_files", "skipped", "the", "connector", "reads", "no", "files"] in rows
    assert re.fullmatch(r"[1-9]\d+ passed, 0 failed, [1-9]\d* skipped", said.stdout.splitlines()[-1])

    broken = next(shop.glob("src/*/payments.py"))
    broken.write_text(broken.read_text().replace('_text(payment, "id")', '_text(payment, "payer")'))
    failed = sortation("plugin", "test", shop, "--json", cwd=tmp_path, code=1)
    results = {one["check"]: one for one in json.loads(failed.stdout)}
    assert results["test_ids_are_stable_and_distinct"]["outcome"] == "failed"
    assert "two records have the same account and external_id" in results["test_ids_are_stable_and_distinct"]["said"]
    assert results["test_import_is_cheap"]["outcome"] == "passed"
    assert "Traceback" not in failed.stderr


@pytest.mark.slow
def test_test_repeats_what_is_deprecated_and_tells_of_modules_that_fail(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(
        "import warnings\n\n\ndef test_one():\n    warnings.warn('this goes', DeprecationWarning)\n"
    )
    done = sortation("plugin", "test", cwd=tmp_path)
    assert done.stdout.endswith("\n1 passed, 0 failed, 0 skipped\n")
    assert done.stderr == "sortation: DeprecationWarning: this goes\n"
    (tmp_path / "test_two.py").write_text("import nothing_of_this_name\n")
    done = sortation("plugin", "test", cwd=tmp_path, code=1)
    assert "1 failed" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_test_says_what_is_missing(tmp_path: Path) -> None:
    assert "there is no folder nowhere" in refusal("plugin", "test", "nowhere", cwd=tmp_path)
    assert "has no tests" in refusal("plugin", "test", cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["./nowhere"], "nowhere"),
        (["no such name !"], "Invalid requirement"),
        (["--editable", "./broken"], "broken does not appear to be a Python project"),
    ],
)
def test_what_pip_refuses_is_one_line(arguments: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    done = sortation("plugin", "install", *arguments, cwd=tmp_path, code=1, PIP_NO_INDEX="1")
    assert done.stdout == ""
    assert done.stderr.startswith("sortation: pip failed: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


def test_install_without_a_name_is_refused(tmp_path: Path) -> None:
    assert "SPEC" in refusal("plugin", "install", cwd=tmp_path)


def test_where_nothing_can_be_installed_pip_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path / "read-only"))
    assert main(["plugin", "install", "sortation-shop"]) == 2
    refused = capfd.readouterr().err
    assert "read-only here" in refused
    assert refused.count("\n") == 1
