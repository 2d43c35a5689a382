"""How pages of the console tell what they are told."""

from __future__ import annotations

import pytest

from core.errors import Forbidden
from entrypoints.console.words import as_sentence


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("the last owner stays", "The last owner stays."),
        (" is this meant? ", "Is this meant?"),
        (Forbidden(), "This credential does not carry the permission that is needed."),
        ("und so weiter…", "Und so weiter…"),
        ("", ""),
        (" ", ""),
    ],
)
def test_what_went_wrong_is_told_as_a_sentence(told: object, said: str) -> None:
    assert as_sentence(told) == said
