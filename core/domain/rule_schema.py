"""The published JSON Schema of rules: what editors complete and what clients check before they send.

Made of the constants that the parsers use. It says all that a schema can; what is left to `parse_condition` and
`parse_action` is how deep conditions nest, how many leaves they have, that ranges are not upside down, that dates
exist, and that categories do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.domain.condition_text import MAX_TEXT
from core.domain.conditions import (
    DATE_PARTS,
    EITHER_OPS,
    MAX_DAYS,
    MAX_DEPTH,
    MAX_LEAVES,
    MAX_LITERAL,
    MAX_VALUES,
    NUMBER,
    ORDER_OPS,
    TEXT_FIELDS,
    TEXT_OPS,
)
from core.domain.records import MAX_AMOUNT
from core.domain.rules import (
    MAX_FIELD_NAME,
    MAX_FIELD_VALUE,
    MAX_FIELDS,
    MAX_NAME,
    MAX_PRIORITY,
    MAX_TAG,
    MAX_TAGS,
    RuleStage,
)

SCHEMA_ID = "urn:sortation:rule"

Json = dict[str, Any]

_NOT_BLANK = {"type": "string", "minLength": 1, "pattern": r"\S"}
_NO_NUL = r"^[^\u0000]*$"


def rule_schema() -> Json:
    """The schema (draft 2020-12) of a rule as it is sent to `POST /rules`; `#/$defs/condition` in it is that of a
    condition alone. Anew each time, so the caller may change it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Rule",
        "description": "Which records it is about (when), and what becomes of them (then).",
        "type": "object",
        "properties": {
            "name": {**_NOT_BLANK, "maxLength": MAX_NAME, "description": "How people know it."},
            "when": {
                "description": "The condition, in JSON or in one line of text.",
                "anyOf": [
                    _ref("condition"),
                    {
                        "title": "The text form",
                        "type": "string",
                        "minLength": 1,
                        "maxLength": MAX_TEXT,
                        "examples": ['text contains "UBER" and amount < 0 and not (currency = EUR)'],
                    },
                ],
            },
            "then": _ref("action"),
            "stage": {
                "enum": [stage.value for stage in RuleStage],
                "default": RuleStage.MAIN.value,
                "description": "pre rules are asked first, post rules last.",
            },
            "priority": {
                "type": "integer",
                "minimum": -MAX_PRIORITY,
                "maximum": MAX_PRIORITY,
                "description": "Lower is asked first, within the stage.",
            },
            "stop": _flag("Where it matches, no later rule is asked."),
            "enabled": {"type": "boolean", "default": True, "description": "A rule that is off is never asked."},
        },
        "required": ["name", "when", "then"],
        "additionalProperties": False,
        "$defs": {"action": _action(), **_conditions(), **_values()},
    }


def _action() -> Json:
    properties = {
        "category": {"type": ["string", "null"], "description": "The id, key, path or name of a category."},
        "tags": {
            "type": "array",
            "items": {**_NOT_BLANK, "maxLength": MAX_TAG},
            "maxItems": MAX_TAGS,
            "description": "Tags that the record gets.",
        },
        "fields": {
            "type": "object",
            "propertyNames": {**_NOT_BLANK, "maxLength": MAX_FIELD_NAME},
            "additionalProperties": {**_NOT_BLANK, "maxLength": MAX_FIELD_VALUE},
            "maxProperties": MAX_FIELDS,
            "description": "Attributes that are set, by name.",
        },
        "review": _flag("A person decides; the category, if any, is suggested."),
        "skip": _flag("The record stays unsorted."),
    }
    return {
        "title": "Action",
        "description": "What a matching rule does: at least one of these.",
        "type": "object",
        "properties": properties,
        "minProperties": 1,
        "additionalProperties": False,
    }


def _conditions() -> Json:
    kinds = {
        "all": _several("all", "All hold", "Holds when each of the conditions does."),
        "any": _several("any", "Any holds", "Holds when at least one of the conditions does."),
        "not": _object("Does not hold", {"not": _ref("condition")}, ["not"]),
        "rule_type": _object(
            "Rule type of a plugin",
            {
                "type": {"type": "string", "minLength": 1, "maxLength": MAX_LITERAL, "description": "Its key."},
                "params": {"type": "object", "description": "As its own schema says."},
            },
            ["type"],
        ),
    }
    text_field = {"enum": sorted(TEXT_FIELDS)}
    attribute = {
        "type": "string",
        "pattern": rf"^attributes(\.[^.\u0000]+){{1,{MAX_DEPTH - 1}}}$",
        "maxLength": MAX_LITERAL,
        "examples": ["attributes.mcc"],
    }
    is_text = {"case_sensitive": _flag("Texts are compared as they are stored.")}
    leaves = {
        **_leaves("text", text_field, TEXT_OPS, "word", is_text),
        **_leaves("attribute", attribute, TEXT_OPS, "word", is_text),
        **_leaves("ordered_attribute", attribute, ORDER_OPS, "bound"),
        **_leaves("amount", {"const": "amount"}, EITHER_OPS | ORDER_OPS, "number"),
        **_leaves("date", {"const": "date"}, EITHER_OPS | ORDER_OPS, "date"),
    }
    for part in DATE_PARTS:
        leaves |= _leaves(part, {"const": part}, EITHER_OPS | ORDER_OPS, f"{part}_number")
    condition = {
        "title": "Condition",
        "description": f"Nested at most {MAX_DEPTH} deep, with at most {MAX_LEAVES} leaves.",
        "type": "object",
        "anyOf": [_ref(name) for name in (*kinds, *leaves)],
    }
    return {"condition": condition, **kinds, **leaves}


def _leaves(
    name: str, field: Json, ops: frozenset[str], value: str, more: Mapping[str, Json] | None = None
) -> dict[str, Json]:
    """The leaves of a field by the shape of their value: one, a list, a range, and what is looked for in a text."""
    case = more or {"case_sensitive": {"const": False}}
    found: dict[str, Json] = {}
    shapes = (
        ("one", ops - {"in", "between", "regex"} - (TEXT_OPS - EITHER_OPS), _ref(value)),
        ("in", ops & {"in"}, {"type": "array", "items": _ref(value), "minItems": 1, "maxItems": MAX_VALUES}),
        ("between", ops & {"between"}, _range(value)),
        ("phrase", ops & (TEXT_OPS - EITHER_OPS - {"regex"}), _ref("phrase")),
        ("regex", ops & {"regex"}, _ref("regex")),
    )
    for shape, known, written in shapes:
        if known:
            properties = {"field": field, "op": {"enum": sorted(known)}, "value": written, **case}
            title = f"{name.replace('_', ' ')}: {', '.join(sorted(known))}"
            found[f"{name}_{shape}"] = _object(title, properties, ["field", "op", "value"])
    return found


def _range(value: str) -> Json:
    ends = [_ref("number"), {"anyOf": [_ref("date"), _ref("relative_date")]}] if value == "bound" else [_ref(value)]
    shapes = [{"type": "array", "items": end, "minItems": 2, "maxItems": 2} for end in ends]
    return {"description": "[low, high]", "anyOf": shapes}


def _values() -> Json:
    limit = int(MAX_AMOUNT)
    text = {"type": "string", "maxLength": MAX_LITERAL, "pattern": _NO_NUL}
    number = {"type": "number", "exclusiveMinimum": -limit, "exclusiveMaximum": limit}
    written = {"type": "string", "maxLength": MAX_LITERAL, "pattern": f"^{NUMBER.pattern}$"}
    values = {
        "word": {"description": "A whole text, in any case.", "anyOf": [text, number, {"type": "boolean"}]},
        "phrase": {"description": "A part of a text, in any case.", "allOf": [text, _NOT_BLANK]},
        "regex": {**text, "minLength": 1, "format": "regex", "description": "RE2 syntax, found anywhere in the text."},
        "number": {"description": "A number, or one written as text.", "anyOf": [number, written]},
        "date": {"type": "string", "format": "date", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        "relative_date": _object(
            "The record's day and so many days",
            {"days": {"type": "integer", "minimum": -MAX_DAYS, "maximum": MAX_DAYS}},
            ["days"],
        ),
        "bound": {"anyOf": [_ref("number"), _ref("date"), _ref("relative_date")]},
    }
    for part, (low, high) in DATE_PARTS.items():
        whole = {"type": "number", "multipleOf": 1, "minimum": low, "maximum": high}
        values[f"{part}_number"] = {"description": f"From {low} to {high}.", "anyOf": [whole, written]}
    return values


def _several(name: str, title: str, description: str) -> Json:
    items = {"type": "array", "items": _ref("condition"), "minItems": 1, "maxItems": MAX_LEAVES}
    return {**_object(title, {name: items}, [name]), "description": description}


def _object(title: str, properties: Mapping[str, Json], required: list[str]) -> Json:
    return {
        "title": title,
        "type": "object",
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
    }


def _flag(description: str) -> Json:
    return {"type": "boolean", "default": False, "description": description}


def _ref(name: str) -> Json:
    return {"$ref": f"#/$defs/{name}"}
