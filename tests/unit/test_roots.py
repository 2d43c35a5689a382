"""Which folders connections may read: at and under those that the operator names, for all tenants or for one."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from core.errors import ConfigInvalid
from plugins.roots import Roots

MINE, OTHERS = UUID("01890000-0000-7000-8000-000000000001"), UUID("01890000-0000-7000-8000-000000000002")


@pytest.mark.parametrize("name", ["sftp://bank.example/out", "sftp://bank.example/out/", "sftp://bank.example/out/a/b"])
def test_a_url_is_allowed_at_and_under_its_root(name: str) -> None:
    for root in ("sftp://bank.example/out", "sftp://bank.example/out/", f"{MINE}=sftp://bank.example/out"):
        assert Roots([root]).folder(name, MINE) is None
    assert Roots(["sftp://bank.example"]).folder(name, MINE) is None


@pytest.mark.parametrize(
    "name",
    [
        "sftp://bank.example",
        "sftp://bank.example/",
        "sftp://bank.example/outer",
        "sftp://bank.example/in/out",
        "ftp://bank.example/out",
        "sftp://bank.example:23/out",
        "sftp://bank.example.evil.example/out",
        "sftp://user:pw@bank.example/out",
        "sftp://bank.example@evil.example/out",
        "sftp://bank.example/out/../in",
        "sftp://bank.example/out/./a",
        "sftp://bank.example/out//a",
        "sftp://bank.example/out/%2e%2e/in",
        "sftp://bank.example/out?x",
        "sftp://bank.example/out#x",
        "sftp://bank.example/out/*",
        "sftp://bank.example/out/[a]",
        "sftp://bank.example/out\\..\\in",
        "sftp://bank.example/out\n",
        "simplecache::sftp://bank.example/out",
        "sftp://bank.example/out::file:///etc",
        "sftp:///out",
    ],
)
def test_a_url_is_refused_elsewhere_and_where_it_may_mean_something_else(name: str) -> None:
    with pytest.raises(ConfigInvalid):
        Roots(["sftp://bank.example/out"]).folder(name, MINE)


def test_buckets_differ() -> None:
    roots = Roots(["s3://bucket/acme", "s3+https://minio.example/bucket"])
    assert roots.folder("s3://bucket/acme/2026", MINE) is None
    assert roots.folder("s3+https://minio.example/bucket/acme", MINE) is None
    for name in (
        "s3://bucket",
        "s3://bucket2/acme",
        "s3+https://minio.example/bucket2",
        "s3+http://minio.example/bucket",
    ):
        with pytest.raises(ConfigInvalid, match="the operator allows no connection"):
            roots.folder(name, MINE)


def test_a_root_may_be_one_tenants(tmp_path: Path) -> None:
    for place in (str(tmp_path), "sftp://bank.example/out"):
        roots = Roots([f"{MINE}={place}"])
        assert roots.folder(place, MINE) == (None if "://" in place else tmp_path)
        for other in (OTHERS, None):
            with pytest.raises(ConfigInvalid, match="the operator allows no connection"):
                roots.folder(place, other)


def test_a_folder_is_where_it_really_is(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    roots = Roots([tmp_path / "in"])
    assert roots.folder(str(tmp_path / "in"), MINE) == tmp_path / "in"
    for name in (tmp_path / "in" / "link", tmp_path / "in" / ".." / "out", Path("in"), Path("/")):
        with pytest.raises(ConfigInvalid, match="the operator allows no connection"):
            roots.folder(str(name), MINE)
    with pytest.raises(ConfigInvalid, match="there is no folder"):
        roots.folder(str(tmp_path / "in" / "none"), MINE)


@pytest.mark.parametrize(
    "entry", ["statements", "sftp://user:pw@host/in", "sftp://host/../in", "acme=/srv", f"{MINE}=srv"]
)
def test_what_is_no_root_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"neither an absolute path nor a URL|no plain URL"):
        Roots([entry])
