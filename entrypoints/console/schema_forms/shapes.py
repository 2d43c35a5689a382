"""Which field of a form a JSON Schema is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Schema = Mapping[str, Any]
MAX_DEPTH = 12
"""How deep fields go; what is deeper is JSON text. References may lead round in circles."""
_MAX_REFERENCES = 20
_SCALARS = frozenset({"string", "number", "integer", "boolean", "null"})
_NUMBERS = frozenset({"number", "integer"})


class Shape(StrEnum):
    TEXT = "text"
    SECRET = "secret"  # noqa: S105 - a kind of field
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"
    FIXED = "fixed"
    """One value and no other: nothing is asked."""
    LINES = "lines"
    """A list of texts or numbers, one a line."""
    PAIRS = "pairs"
    """Texts by name, one a line."""
    GROUP = "group"
    ITEMS = "items"
    """A list of things that have fields of their own."""
    VARIANTS = "variants"
    """One of several schemas."""
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    title: str
    schema: Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """A schema with its references followed, and what it is. `variants` are those of `VARIANTS`; `single` says of
    `LINES` that one line alone is no list; `suggestions` are texts that a `TEXT` may be, among others."""

    shape: Shape
    schema: Schema
    variants: Sequence[Variant] = ()
    single: bool = False
    suggestions: Sequence[str] = ()


def shaped(schema: Any, root: Schema, depth: int = 0) -> Shaped:
    found = resolved(schema, root)
    if found.get("writeOnly") is True:
        return Shaped(shape=Shape.SECRET, schema=found)
    if depth >= MAX_DEPTH:
        return Shaped(shape=Shape.JSON, schema=found)
    if "const" in found:
        return Shaped(shape=Shape.FIXED, schema=found)
    if isinstance(found.get("enum"), list) and found["enum"]:
        return Shaped(shape=Shape.CHOICE, schema=found)
    if told_apart := _told_apart(found):
        return Shaped(shape=Shape.VARIANTS, schema=found, variants=told_apart)
    several = found.get("oneOf") or found.get("anyOf")
    if isinstance(several, list) and several:
        return _several(found, [resolved(one, root) for one in several])
    return _typed(found, root)


def resolved(schema: Any, root: Schema) -> Schema:
    """With what its `$ref` leads to within the document; what stands beside the reference comes first."""
    found: Schema = schema if isinstance(schema, Mapping) else {}
    for _ in range(_MAX_REFERENCES):
        reference = found.get("$ref")
        if not isinstance(reference, str):
            return found
        beside = {name: value for name, value in found.items() if name != "$ref"}
        found = {**_at(reference, root), **beside}
    return {}


def types_of(schema: Schema) -> frozenset[str]:
    """The types that it names, without null; empty where it names none."""
    named = schema.get("type", ())
    return frozenset([named] if isinstance(named, str) else named) - {"null"}


def _at(reference: str, root: Schema) -> Schema:
    found: Any = root
    if not reference.startswith("#"):
        return {}
    for part in reference.removeprefix("#").strip("/").split("/") if len(reference) > 1 else ():
        found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _typed(schema: Schema, root: Schema) -> Shaped:
    types, single = types_of(schema), False
    if types == {"string", "array"}:
        types, single = frozenset({"array"}), True
    if types == {"boolean"}:
        return Shaped(shape=Shape.FLAG, schema=schema)
    if types and types <= _NUMBERS:
        return Shaped(shape=Shape.NUMBER, schema=schema)
    if types and types <= _SCALARS:
        return Shaped(shape=Shape.TEXT, schema=schema)
    if types == {"array"}:
        items = resolved(schema.get("items"), root)
        if types_of(items) and types_of(items) <= _SCALARS:
            return Shaped(shape=Shape.LINES, schema=schema, single=single)
        if types_of(items) == {"object"} and items.get("properties"):
            return Shaped(shape=Shape.ITEMS, schema=schema)
    if types in ({"object"}, frozenset()):
        if schema.get("properties"):
            return Shaped(shape=Shape.GROUP, schema=schema)
        if types_of(resolved(schema.get("additionalProperties"), root)) == {"string"}:
            return Shaped(shape=Shape.PAIRS, schema=schema)
    return Shaped(shape=Shape.JSON, schema=schema)


def _several(schema: Schema, ones: Sequence[Schema]) -> Shaped:
    """Of `anyOf` and `oneOf`."""
    kinds = [_kind(one) for one in ones]
    if sorted(kinds) == ["lines", "text"]:
        return Shaped(shape=Shape.LINES, schema={**schema, "items": {"type": "string"}}, single=True)
    if set(kinds) == {"enum", "text"}:
        suggestions = [str(value) for one in ones for value in one.get("enum", ())]
        return Shaped(shape=Shape.TEXT, schema=schema, suggestions=suggestions)
    if set(kinds) == {"const"}:
        titled = [(one["const"], str(one.get("title") or one["const"])) for one in ones]
        enum = {"enum": [value for value, _ in titled], "x-titles": [title for _, title in titled]}
        return Shaped(shape=Shape.CHOICE, schema={**schema, **enum})
    shared = {name: schema[name] for name in ("properties", "required", "additionalProperties") if name in schema}
    variants = [Variant(title=_title(one, n), schema=_joined(shared, one)) for n, one in enumerate(ones, start=1)]
    return Shaped(shape=Shape.VARIANTS, schema=schema, variants=variants)


def _joined(shared: Schema, one: Schema) -> Schema:
    """A variant with the fields that all of them have."""
    if not shared:
        return one
    return {
        **shared,
        **one,
        "type": "object",
        "properties": {**shared.get("properties", {}), **one.get("properties", {})},
        "required": [*shared.get("required", ()), *one.get("required", ())],
    }


def _kind(schema: Schema) -> str:
    if "const" in schema:
        return "const"
    if "enum" in schema and all(isinstance(value, str) for value in schema["enum"]):
        return "enum"
    types = types_of(schema)
    if types == {"string"}:
        return "text"
    items = schema.get("items")
    if types == {"array"} and isinstance(items, Mapping) and types_of(items) == {"string"}:
        return "lines"
    return "other"


def _title(schema: Schema, number: int) -> str:
    """What tells a variant from the others: its title, or what it says of itself, or its number."""
    title = schema.get("title") or schema.get("description")
    if isinstance(title, str) and title:
        return title
    for name, part in schema.get("properties", {}).items():
        if isinstance(part, Mapping) and "const" in part:
            return f"{name}: {part['const']}"
    return next(iter(types_of(schema)), f"Kind {number}").capitalize()


def _told_apart(schema: Schema) -> Sequence[Variant]:
    """The variants of `allOf` with an `if` of one field's value in each; empty where it is something else."""
    parts = schema.get("allOf")
    if not isinstance(parts, list) or not parts or types_of(schema) not in ({"object"}, frozenset()):
        return ()
    variants = []
    for part in parts:
        asked = part.get("if", {}).get("properties", {}) if isinstance(part, Mapping) else {}
        then = part.get("then", {}) if isinstance(part, Mapping) else {}
        if len(asked) != 1 or not isinstance(then, Mapping):
            return ()
        [(name, test)] = asked.items()
        if not isinstance(test, Mapping) or "const" not in test:
            return ()
        given = schema.get("properties", {})
        properties = {**given, **then.get("properties", {}), name: {"const": test["const"]}}
        required = list(dict.fromkeys([name, *schema.get("required", ()), *then.get("required", ())]))
        told = then.get("description")
        title = f"{test['const']}: {told}" if isinstance(told, str) else str(test["const"])
        joined = {**then, "type": "object", "properties": properties, "required": required}
        variants.append(Variant(title=title, schema=joined))
    return variants
