"""What somebody typed into a form, as the value that it stands for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from entrypoints.console.schema_forms.shapes import Schema, Shape, Shaped, resolved, shaped, types_of

_WHOLE = re.compile(r"[+-]?\d{1,30}", re.ASCII)
_MAX_ITEMS = 200


class _Missing:
    """What was left out."""


MISSING: Any = _Missing()


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of several variants was chosen, and what was typed there."""

    index: int
    value: Any


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read, as it was typed."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What was sent: texts by name. `do` is the button: `add:NAME` or `remove:NAME.N`, or something else."""

    values: Callable[[str], Sequence[str]]
    do: str = ""
    faults: dict[str, list[str]] = field(default_factory=dict)
    """What could not be read, by place."""

    def text(self, name: str) -> str:
        found = self.values(name)
        return found[0].replace("\r\n", "\n") if found else ""

    def has(self, name: str) -> bool:
        return bool(self.values(name))


def typed(form: Form, schema: Schema, name: str = "config") -> dict[str, Any]:
    """The whole of a form that was made of the schema: for `plain`, and for being shown again."""
    value = _group(form, schema, schema, name, name, 0)
    return value if isinstance(value, dict) else {}


def plain(value: Any) -> Any:
    """The JSON value that was meant; what was left out is not there."""
    match value:
        case Chosen(value=inner):
            return plain(inner)
        case Unread(text=text):
            return text
        case Mapping():
            told = {name: plain(part) for name, part in value.items()}
            return {name: part for name, part in told.items() if part is not MISSING}
        case list():
            return [plain(part) for part in value]
    return value


def _read(form: Form, schema: Any, root: Schema, name: str, place: str, required: bool, depth: int) -> Any:
    found = shaped(schema, root, depth)
    if form.has(f"{name}!json"):
        return _json(form, name, place)
    match found.shape:
        case Shape.FIXED:
            return found.schema["const"]
        case Shape.GROUP:
            value = _group(form, found.schema, root, name, place, depth)
            return value if required or _told(value) else MISSING
        case Shape.ITEMS:
            return _items(form, found, root, name, place, required, depth)
        case Shape.VARIANTS:
            return _variant(form, found, root, name, place, depth)
        case Shape.FLAG:
            return _flag(form.has(name), found.schema, required)
        case Shape.JSON:
            return _json(form, name, place)
        case Shape.CHOICE:
            return _choice(form.text(name))
        case Shape.PAIRS:
            return _pairs(form, name, place)
        case Shape.LINES:
            return _lines(form.text(name), found, root)
        case _:
            return _scalar(form.text(name), found)


def _group(form: Form, schema: Schema, root: Schema, name: str, place: str, depth: int) -> dict[str, Any]:
    required, told = schema.get("required", ()), {}
    for key, part in schema.get("properties", {}).items():
        value = _read(form, part, root, f"{name}.{key}", f"{place}.{key}", key in required, depth + 1)
        if value is not MISSING:
            told[key] = value
    return told


def _told(value: Mapping[str, Any]) -> bool:
    """Whether somebody said anything in a group: what is fixed does not count."""
    return any(plain(part) not in (MISSING, {}) for part in value.values())


def _items(form: Form, found: Shaped, root: Schema, name: str, place: str, required: bool, depth: int) -> Any:
    items: list[Any] = []
    schema = resolved(found.schema.get("items"), root)
    for index in form.values(f"{name}!item")[:_MAX_ITEMS]:
        if form.do != f"remove:{name}.{index}":
            items.append(_group(form, schema, root, f"{name}.{index}", f"{place}.{len(items)}", depth + 1))
    if form.do == f"add:{name}":
        items.append({})
    return items if items or required else MISSING


def _variant(form: Form, found: Shaped, root: Schema, name: str, place: str, depth: int) -> Any:
    told = form.text(f"{name}!variant")
    if not told.isascii() or not told.isdecimal() or len(told) > 3 or int(told) >= len(found.variants):
        return MISSING
    index = int(told)
    value = _read(form, found.variants[index].schema, root, f"{name}~{index}", place, True, depth + 1)
    return Chosen(index, value)


def _flag(checked: bool, schema: Schema, required: bool) -> Any:
    if required or checked is not bool(schema.get("default", False)):
        return checked
    return MISSING


def _choice(text: str) -> Any:
    if not text:
        return MISSING
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _json(form: Form, name: str, place: str) -> Any:
    text = form.text(name)
    if not text.strip():
        return MISSING
    try:
        return json.loads(text)
    except RecursionError:
        told = "nested too deeply"
    except ValueError as error:
        told = str(error)
    form.faults.setdefault(place, []).append(f"This is not JSON: {told}.")
    return Unread(text)


def _pairs(form: Form, name: str, place: str) -> Any:
    text, told = form.text(name), {}
    for number, line in enumerate(text.split("\n"), start=1):
        key, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or not key.strip():
            form.faults.setdefault(place, []).append(f"Line {number} is no “name: value”.")
            return Unread(text)
        told[key.strip()] = value.strip()
    return told or MISSING


def _lines(text: str, found: Shaped, root: Schema) -> Any:
    lines: list[Any] = [line.strip() for line in text.split("\n") if line.strip()]
    kinds = types_of(resolved(found.schema.get("items"), root))
    if kinds != {"string"}:
        lines = [_meant(line, "string" in kinds) for line in lines]
    if not lines:
        return MISSING
    return lines[0] if found.single and len(lines) == 1 else lines


def _scalar(text: str, found: Shaped) -> Any:
    """What does not read as what is asked for stays text: the schema then says what is wrong with it."""
    if not text.strip():
        return MISSING
    kinds = types_of(found.schema)
    if found.shape is Shape.SECRET and kinds <= {"string", "array"}:
        return text.strip("\n")
    if kinds <= {"string"}:
        return text.strip()
    return _meant(text.strip(), "string" in kinds)


def _meant(text: str, may_be_text: bool) -> Any:
    """A number, or true, false or null, where the text reads so; a text in quotes where that would be another thing."""
    if not may_be_text and _WHOLE.fullmatch(text):
        return int(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    endless = isinstance(value, float) and not math.isfinite(value)
    return text if endless or isinstance(value, dict | list) else value
