"""The fields of a form, each with what it is called, what stands in it, and what is wrong with that."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from entrypoints.console.schema_forms.shapes import Schema, Shape, Shaped, Variant, resolved, shaped
from entrypoints.console.schema_forms.typed import MISSING, Chosen, Unread

Errors = Mapping[str, Sequence[str]]
_CAPITALS = {"url": "URL", "id": "id", "api": "API", "iban": "IBAN", "json": "JSON", "sftp": "SFTP"}
_INPUTS = {"date": "date", "email": "email", "uri": "url"}
_LEAVES = frozenset(Shape) - {Shape.GROUP, Shape.ITEMS, Shape.VARIANTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """`name` is that of its input; `place` where its value stands, by which errors tell it."""

    name: str
    place: str
    shape: Shape
    label: str
    hint: str = ""
    required: bool = False
    value: str = ""
    checked: bool = False
    input: str = "text"
    placeholder: str = ""
    choices: Sequence[tuple[str, str]] = ()
    """(what is sent, what is read) of a `CHOICE`; of a `TEXT` what may be meant."""
    default: str = ""
    children: Sequence[Field] = ()
    """The fields of a `GROUP`, a group for each of `ITEMS`, a field for each of `VARIANTS`."""
    titles: Sequence[str] = ()
    chosen: int | None = None
    """The index of the variant."""
    errors: Sequence[str] = ()
    is_set: bool = False
    """Of a `SECRET`: there is one already, which may stay."""
    unfit: bool = False
    """What stands there fits no field of its kind: it is JSON text."""

    @property
    def id(self) -> str:
        return self.name.translate(_ID)


_ID = str.maketrans({".": "-", "~": "_", " ": "_"})


def fields_of(
    schema: Schema, value: Mapping[str, Any], errors: Errors, *, secrets: Collection[str] = (), name: str = "config"
) -> Sequence[Field]:
    """`value` is a configuration, or what was typed; `secrets` names those that are set."""
    top = _group(schema, schema, value, errors, name, name, 0)
    return [replace(one, is_set=one.shape is Shape.SECRET and one.name.split(".")[1] in secrets) for one in top]


def told_nowhere(fields: Sequence[Field], errors: Errors) -> list[str]:
    """What is wrong and stands at no field."""
    shown = {place for one in _all(fields) for place in _shown_at(one, errors)}
    return [f"{place}: {message}" for place, said in errors.items() if place not in shown for message in said]


def _all(fields: Sequence[Field]) -> Iterator[Field]:
    for one in fields:
        yield one
        yield from _all(one.children)


def _shown_at(field: Field, errors: Errors) -> list[str]:
    below = field.shape in _LEAVES
    return [place for place in errors if place == field.place or (below and place.startswith(f"{field.place}."))]


def _group(
    schema: Schema, root: Schema, value: Any, errors: Errors, name: str, place: str, depth: int
) -> Sequence[Field]:
    given: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    required = schema.get("required", ())
    return [
        _field(
            part, root, given.get(key, MISSING), errors, f"{name}.{key}", f"{place}.{key}", key in required, depth + 1
        )
        for key, part in schema.get("properties", {}).items()
    ]


def _field(
    schema: Any, root: Schema, value: Any, errors: Errors, name: str, place: str, required: bool, depth: int
) -> Field:
    found = shaped(schema, root, depth)
    told = found.schema
    made = Field(
        name=name,
        place=place,
        shape=found.shape,
        label=_label(told, place),
        hint=_text(told.get("description")),
        required=required,
        placeholder=_example(told),
        default=_written(told["default"]) if told.get("default") not in (None, "", {}, []) else "",
    )
    made = _filled(made, found, root, value, errors, depth)
    messages = [_said(message) for at in _shown_at(made, errors) for message in errors[at]]
    return replace(made, errors=tuple(dict.fromkeys(messages)))


def _filled(made: Field, found: Shaped, root: Schema, value: Any, errors: Errors, depth: int) -> Field:
    """With what stands in it, or with the fields that it has."""
    if isinstance(value, Unread):
        return replace(made, value=value.text)
    match found.shape:
        case Shape.GROUP if value is MISSING or isinstance(value, Mapping):
            return replace(made, children=_group(found.schema, root, value, errors, made.name, made.place, depth))
        case Shape.ITEMS if value is MISSING or isinstance(value, list):
            items = [{}] if value is MISSING and made.required else [] if value is MISSING else value
            return replace(made, children=_items(made, found, root, items, errors, depth))
        case Shape.VARIANTS:
            return _varied(made, found, root, value, errors, depth)
        case Shape.SECRET | Shape.FIXED:
            return made  # what is secret never goes back to a browser
        case Shape.FLAG if value is MISSING or isinstance(value, bool):
            return replace(made, checked=bool(found.schema.get("default", False)) if value is MISSING else value)
        case Shape.CHOICE:
            titles = found.schema.get("x-titles") or [_written(one) for one in found.schema["enum"]]
            choices = [(json.dumps(one), title) for one, title in zip(found.schema["enum"], titles, strict=True)]
            return replace(made, choices=choices, value="" if value is MISSING else json.dumps(value))
        case Shape.LINES if value is MISSING or isinstance(value, list | str | int | float):
            lines = [] if value is MISSING else value if isinstance(value, list) else [value]
            texts = "items" in found.schema and resolved(found.schema["items"], root).get("type") == "string"
            return replace(
                made, value="\n".join(one if texts and isinstance(one, str) else _line(one) for one in lines)
            )
        case Shape.PAIRS if value is MISSING or _pairs(value):
            return replace(made, value="" if value is MISSING else "\n".join(f"{k}: {v}" for k, v in value.items()))
        case Shape.TEXT | Shape.NUMBER if value is MISSING or not isinstance(value, dict | list):
            shown = "" if value is MISSING else _written(value)
            suggested = [(one, one) for one in found.suggestions]
            kind = _INPUTS.get(str(found.schema.get("format")), "text") if found.shape is Shape.TEXT else "number"
            return replace(made, value=shown, input=kind, choices=suggested)
    shown = "" if value is MISSING else json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return replace(made, shape=Shape.JSON, value=shown, unfit=found.shape is not Shape.JSON)


def _items(
    made: Field, found: Shaped, root: Schema, items: Sequence[Any], errors: Errors, depth: int
) -> Sequence[Field]:
    schema = resolved(found.schema.get("items"), root)
    return [
        Field(
            name=(name := f"{made.name}.{n}"),
            place=(place := f"{made.place}.{n}"),
            shape=Shape.GROUP,
            label=f"{made.label.removesuffix('s')} {n + 1}",
            children=_group(schema, root, item, errors, name, place, depth + 1),
            errors=tuple(_said(message) for message in errors.get(place, ())),
        )
        for n, item in enumerate(items)
    ]


def _varied(made: Field, found: Shaped, root: Schema, value: Any, errors: Errors, depth: int) -> Field:
    chosen: int | None
    if isinstance(value, Chosen):
        chosen, inner = value.index, value.value
    elif value is MISSING:
        chosen, inner = (0 if made.required else None), MISSING
    else:
        chosen, inner = _which(found.variants, root, value), value
    children = [
        replace(
            _field(
                one.schema, root, inner if n == chosen else MISSING, errors if n == chosen else {},
                f"{made.name}~{n}", made.place, True, depth + 1,
            ),
            label=one.title,
        )
        for n, one in enumerate(found.variants)
    ]  # fmt: skip
    return replace(made, children=children, chosen=chosen, titles=[one.title for one in found.variants])


def _which(variants: Sequence[Variant], root: Schema, value: Any) -> int:
    """The first variant that the value fits, or else the first that has fields if it has some."""
    definitions = {name: root[name] for name in ("$defs", "definitions") if name in root}
    for n, one in enumerate(variants):
        try:
            if Draft202012Validator({**definitions, **one.schema}).is_valid(value):
                return n
        except (SchemaError, RecursionError):
            continue
    return next((n for n, one in enumerate(variants) if isinstance(value, Mapping) == ("properties" in one.schema)), 0)


def _label(schema: Schema, place: str) -> str:
    title = schema.get("title")
    if isinstance(title, str) and title:
        return title
    words = place.rsplit(".", 1)[-1].replace("_", " ").replace("-", " ").split()
    named = " ".join(_CAPITALS.get(word, word) for word in words)
    return f"{named[:1].upper()}{named[1:]}"


def _example(schema: Schema) -> str:
    examples = schema.get("examples")
    one = examples[0] if isinstance(examples, list) and examples else None
    if isinstance(one, Mapping) and _pairs(one):
        return "\n".join(f"{key}: {value}" for key, value in one.items())
    if isinstance(one, list):
        return "\n".join(map(_line, one))
    return "" if one is None else _written(one)


def _pairs(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(part, str) and "\n" not in part and ":" not in key for key, part in value.items()
    )


def _line(value: Any) -> str:
    """A text that would read as something else stands in quotes."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value)


def _written(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _said(message: str) -> str:
    """As it is told beside the field: it need not be named again."""
    if message.endswith("is a required property"):
        return "This is needed."
    if message.endswith("should be non-empty"):
        return "This must not be empty."
    return message if message.endswith((".", "!")) else f"{message}."
