"""What a configuration breaks of its connector's JSON Schema: all of it at once, by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from core.errors import Invalid

MOST = 50
"""Faults that are told; whoever mends these sees the others."""
_MAX_MESSAGE = 300


def check_against(schema: Mapping[str, Any], value: Mapping[str, Any], name: str) -> None:
    """Raises `Invalid`: its message tells the worst fault and how many others there are, its `fields` each of them by
    its place, as `name.items.0`."""
    faults = list(Draft202012Validator(dict(schema)).iter_errors(value))
    if not faults:
        return
    fields: dict[str, list[str]] = {}
    for fault in faults[:MOST]:
        telling = best_match(iter([fault])) or fault
        fields.setdefault(_place(telling, name), []).append(telling.message[:_MAX_MESSAGE])
    worst = best_match(iter(faults)) or faults[0]
    more = f" (and {len(faults) - 1} more: see errors)" if len(faults) > 1 else ""
    where = ".".join(map(str, (name, *worst.absolute_path)))
    raise Invalid(f"{where}: {worst.message[:_MAX_MESSAGE]}{more}", fields=fields)


def _place(fault: ValidationError, name: str) -> str:
    """Where a form shows it: a field that is missing is told at that field."""
    missing: list[str] = []
    if fault.validator == "required" and isinstance(fault.validator_value, list):
        missing = [field for field in fault.validator_value if fault.message == f"{field!r} is a required property"]
    return ".".join(map(str, (name, *fault.absolute_path, *missing)))
