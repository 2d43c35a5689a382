"""Names that people give to things."""

from __future__ import annotations

from marshmallow import validate

_BLANK = r"\s\u001c-\u001f\u0085\ufeff"
"""What is blank in Python or in ECMAScript, whose regexes the document has: they differ in these."""


def a_name(most: int) -> list[validate.Validator]:
    """1 to `most` characters, and one at least that can be seen."""
    return [validate.Length(1, most), validate.Regexp(f"[{_BLANK}]*[^{_BLANK}]", error="Nothing of it can be seen.")]
