"""Regular expressions by RE2: linear in the text whatever the pattern, so a tenant's rule can't stall a worker."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import re2

from core.errors import RuleInvalid

MAX_MEMORY = 1 << 20
"""Bytes that one compiled pattern may use (RE2's default is 8 MiB); one that needs more is refused."""


@lru_cache(maxsize=1_024)
def re2_search(pattern: str, case_sensitive: bool = False) -> Callable[[str], bool]:
    """A search for `pattern` (RE2 syntax) anywhere in a text.

    It is given the text as it is stored (whitespace collapsed, NFC), not the normalised form: "É" matches "é" when
    case does not matter, but "fi" does not match the ligature. `\\b`, `\\w` and `\\d` know ASCII only.
    Raises `RuleInvalid` for what RE2 does not serve: look-around, back-references, and patterns that grow too large.
    """
    try:
        found = re2.compile(pattern.encode(), _options(case_sensitive)).search
    except re2.error as error:
        raise RuleInvalid(_explain(error)) from error
    except UnicodeEncodeError as error:
        raise RuleInvalid("the regex has half a surrogate pair") from error
    return lambda text: found(text.encode("utf-8", "replace")) is not None


def _options(case_sensitive: bool) -> re2.Options:
    options = re2.Options()
    options.case_sensitive = case_sensitive
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    options.never_capture = True
    return options


def _explain(error: re2.error) -> str:
    reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
    if reason.startswith("invalid perl operator: (?") and reason[-1:] in "=!<":
        reason = f"look-ahead and look-behind are not supported ({reason.removeprefix('invalid perl operator: ')})"
    elif reason.startswith("invalid escape sequence: \\") and reason[-1:] in "123456789":
        reason = f"back-references are not supported ({reason.removeprefix('invalid escape sequence: ')})"
    elif reason.startswith("pattern too large"):
        reason = "the regex needs too much memory; use smaller repetitions"
    return f"the regex can't be used: {reason}"
