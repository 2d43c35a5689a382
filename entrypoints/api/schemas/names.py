"""Names that people give to things."""

from __future__ import annotations

from marshmallow import validate


def a_name(most: int) -> list[validate.Validator]:
    """1 to `most` characters, and one at least that can be seen."""
    return [validate.Length(1, most), validate.Regexp(r"\s*\S", error="Nothing of it can be seen.")]
