"""requirements.lock names all that the image installs: each dependency, in a version that we ask for, with hashes."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.test_imports import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
LOCKED = {
    canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", LOCK, re.MULTILINE)
}


def test_every_dependency_is_locked_in_a_version_that_we_ask_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(one) for one in (*project["dependencies"], *project["optional-dependencies"]["sftp"])]
    assert len(wanted) > 40
    for one in wanted:
        version = LOCKED.get(canonicalize_name(one.name))
        assert version is not None, f"make lock: {one.name} is missing"
        assert one.specifier.contains(version, prereleases=True), f"make lock: {one} and not {version}"


def test_everything_has_its_hashes_and_comes_from_an_index() -> None:
    for entry in re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in entry, entry.splitlines()[0]
    assert not re.search(
        r"^(-e|--|\.|/|git\+)|://", re.sub(r"^ +--hash=\S+.*$", "", LOCK, flags=re.MULTILINE), re.MULTILINE
    )


def test_the_image_installs_the_lock_and_runs_as_nobody_special() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes --requirement requirements.lock" in dockerfile
    assert re.search(r"^USER sortation$", dockerfile, re.MULTILINE)
    compose = (ROOT / "compose.yaml").read_text()
    for hardening in ("read_only: true", "cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]'):
        assert hardening in compose
