"""Names that people may not give themselves."""

from __future__ import annotations

import pytest

from core.domain.names import RESERVED, check_name
from core.errors import Invalid


@pytest.mark.parametrize("name", [*sorted(RESERVED), "Operator", " erased   Person ", "key Console", "KEY\tx", "key"])
def test_nobody_takes_the_name_of_what_the_log_calls_otherwise(name: str) -> None:
    with pytest.raises(Invalid, match="calls others by this name"):
        check_name(name)


@pytest.mark.parametrize("name", ["", "Ada Lovelace", "Keynes", "Somebody Else"])
def test_other_names_are_taken(name: str) -> None:
    assert check_name(name) == name
