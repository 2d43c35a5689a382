"""Names that people give themselves and their tenants: one line, and no trick in it."""

from __future__ import annotations

import pytest

from core.domain.tenants import check_person_name, check_tenant, one_line
from core.errors import Invalid

TRICKS = ("a\nb", "a\r\nb", "a\x00b", "a\x1b[2Jb", "a\x85b", "a\u2028b", "a\u2029b", "a\u202eb", "a\u2066b", "a\ud800b")


@pytest.mark.parametrize("name", TRICKS)
def test_a_name_is_one_line_that_reads_as_it_is_written(name: str) -> None:
    with pytest.raises(Invalid, match="line breaks"):
        check_person_name(name)
    with pytest.raises(Invalid, match="line breaks"):
        check_tenant(name, "UTC")
    assert one_line(name) in ("a b", "a [2Jb")


@pytest.mark.parametrize("name", ["", "Ada Lovelace", "علی‌رضا", "林", "Zoë O'Hara-Müller", "👩\u200d💻", "x" * 80])
def test_names_are_of_all_languages(name: str) -> None:
    assert check_person_name(f" {name} ") == one_line(f" {name} ") == name


def test_names_have_an_end() -> None:
    with pytest.raises(Invalid, match="80"):
        check_person_name("x" * 81)
    assert one_line("x" * 81) == "x" * 80
    check_tenant("x" * 200, "UTC")
    with pytest.raises(Invalid, match="200"):
        check_tenant("x" * 201, "UTC")
