"""Forms made of JSON Schemas: what is typed becomes the configuration, which becomes the same form again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from entrypoints.console.schema_forms.fields import Field, fields_of, told_nowhere
from entrypoints.console.schema_forms.shapes import Shape, shaped
from entrypoints.console.schema_forms.typed import Form, plain, typed
from plugins.csv_file import CONFIG_SCHEMA as CSV
from plugins.remote_files import CONFIG_SCHEMA as FILES
from plugins.rest.schema import config_schema
from plugins.schemas import check_against
from plugins.stripe_balance import CONFIG_SCHEMA as STRIPE
from plugins.webhook import CONFIG_SCHEMA as WEBHOOK

REST = config_schema({"api_key": {"type": "string", "minLength": 1, "writeOnly": True}})


def read(schema: Mapping[str, Any], sent: Mapping[str, Any], do: str = "") -> tuple[Any, Form]:
    """What the form means; values are texts, or lists of texts."""
    lists = {name: [value] if isinstance(value, str) else list(value) for name, value in sent.items()}
    form = Form(values=lambda name: lists.get(name, []), do=do)
    return typed(form, schema), form


def meant(schema: Mapping[str, Any], sent: Mapping[str, Any], do: str = "") -> Any:
    return plain(read(schema, sent, do)[0])


def walk(fields: Sequence[Field]) -> Iterator[Field]:
    for one in fields:
        yield one
        yield from walk(one.children)


def sent_by(fields: Sequence[Field]) -> dict[str, list[str]]:
    """What a browser sends of a form that nobody touched."""
    sent: dict[str, list[str]] = {}
    for one in fields:
        match one.shape:
            case Shape.GROUP:
                sent |= sent_by(one.children)
            case Shape.ITEMS:
                sent[f"{one.name}!item"] = [str(n) for n in range(len(one.children))]
                sent |= sent_by(one.children)
            case Shape.VARIANTS:
                sent[f"{one.name}!variant"] = ["" if one.chosen is None else str(one.chosen)]
                sent |= sent_by(one.children)
            case Shape.FLAG:
                sent |= {one.name: ["on"]} if one.checked else {}
            case Shape.FIXED:
                pass
            case _:
                sent[one.name] = [one.value]
                sent |= {f"{one.name}!json": ["1"]} if one.unfit else {}
    return sent


STREAM = {
    "name": "payments",
    "path": "/v1/payments",
    "params": {"limit": "100"},
    "records": "$.data",
    "pagination": {"type": "cursor", "param": "after", "path": "$.next"},
    "max_pages": 3,
    "incremental": {"path": "$.at", "param": "since", "format": "unix", "overlap": 60, "start": "2026-01-01"},
    "deleted": {"path": "$.gone", "equals": [True, "yes", 1, None, "true"]},
    "fields": {
        "external_id": ["$.id", "$.part"],
        "text": "$.description",
        "occurred_at": {"path": "$.created", "format": "%d.%m.%Y", "zone": "Europe/Berlin"},
        "amount": {"path": "$.amount", "minor_units": True, "outflow": {"path": "$.kind", "equals": ["debit"]}},
        "currency": "EUR",
        "attributes": {"project": "$.project.key"},
    },
}


@pytest.mark.parametrize(
    ("schema", "config"),
    [
        (CSV, {}),
        (CSV, {"mapping": {"text": ["A", "B"], "date": "D"}, "delimiter": ";", "decimal": ",", "skip_rows": 2}),
        (CSV, {"mapping": {"text": "A"}}),
        (FILES, {"url": "s3://bucket/x", "user": "me"}),
        (STRIPE, {"account": "acct_1", "fees": "attributes", "start": "2026-01-01"}),
        (REST, {"base_url": "https://a.example/v1", "streams": [STREAM], "headers": {"Accept": "a: b"}}),
        (
            REST,
            {
                "base_url": "https://a.example",
                "streams": [
                    {"name": "a", "path": "/", "fields": {"external_id": "$.i", "text": "$.t", "occurred_at": "$.d"}},
                    {**STREAM, "name": "b", "pagination": {"type": "page", "first": 0}},
                    {**STREAM, "name": "c", "pagination": {"type": "none"}},
                ],
            },
        ),
    ],
)
def test_a_form_that_nobody_touched_means_what_it_shows(schema: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    fields = fields_of(schema, config, {})
    assert meant(schema, sent_by(fields)) == config
    again = fields_of(schema, read(schema, sent_by(fields))[0], {})
    assert again == fields, "what was typed is shown as it was"


def test_secrets_never_go_back_to_a_browser() -> None:
    for schema in (STRIPE, WEBHOOK, FILES, REST):
        secrets = [name for name, part in schema["properties"].items() if part.get("writeOnly")]
        fields = fields_of(schema, dict.fromkeys(secrets, "canary-5f3a9c"), {}, secrets=secrets)
        found = [one for one in walk(fields) if one.shape is Shape.SECRET]
        assert [one.place for one in found] == [f"config.{name}" for name in secrets]
        assert all(one.is_set for one in found)
        assert "canary-5f3a9c" not in repr(fields)


def test_a_secret_may_have_several_lines_and_a_number_is_one() -> None:
    schema = {
        "properties": {"key": {"type": "string", "writeOnly": True}, "pin": {"type": "integer", "writeOnly": True}}
    }
    sent = {"config.key": "-----BEGIN-----\r\nabc\r\n", "config.pin": "17"}
    assert meant(schema, sent) == {"key": "-----BEGIN-----\nabc", "pin": 17}


def test_what_is_left_out_is_not_there() -> None:
    assert meant(CSV, {"config.encoding": "  ", "config.mapping.date": ""}) == {}
    assert meant(WEBHOOK, {}) == {}


def test_items_are_added_and_removed_in_their_order() -> None:
    base = {"config.streams!item": ["0", "1"], "config.streams.0.name": "a", "config.streams.1.name": "b"}
    streams = meant(REST, base, "add:config.streams")["streams"]
    assert [one.get("name") for one in streams] == ["a", "b", None]
    assert [one["name"] for one in meant(REST, base, "remove:config.streams.0")["streams"]] == ["b"]
    gone = meant(REST, {"config.streams!item": ["0"], "config.streams.0.name": "a"}, "remove:config.streams.0")
    assert gone["streams"] == []


def test_a_variant_that_was_chosen_stays_whatever_is_typed_there() -> None:
    sent = {
        "config.streams!item": "0",
        "config.streams.0.pagination!variant": "2",
        "config.streams.0.pagination~2.first": "soon",
        "config.streams.0.fields.occurred_at!variant": "1",
    }
    value, _ = read(REST, sent)
    fields = {one.place: one for one in walk(fields_of(REST, value, {})) if one.shape is Shape.VARIANTS}
    assert fields["config.streams.0.pagination"].chosen == 2
    assert fields["config.streams.0.fields.occurred_at"].chosen == 1
    assert plain(value)["streams"][0]["pagination"] == {"type": "page", "first": "soon"}
    shown = {one.name: one.value for one in walk(fields_of(REST, value, {}))}
    assert shown["config.streams.0.pagination~2.first"] == "soon"


@pytest.mark.parametrize("variant", ["", "9", "-1", "x", "1" * 99, "²"])
def test_a_variant_that_there_is_not_is_left_out(variant: str) -> None:
    sent = {"config.streams!item": "0", "config.streams.0.pagination!variant": variant}
    assert "pagination" not in meant(REST, sent)["streams"][0]


def test_what_cannot_be_read_is_told_at_its_field_and_shown_again() -> None:
    schema = {"properties": {"odd": {"type": "array"}, "headers": {"additionalProperties": {"type": "string"}}}}
    value, form = read(schema, {"config.odd": "[1, {", "config.headers": "no colon here\n"})
    assert set(form.faults) == {"config.odd", "config.headers"}
    assert "not JSON" in form.faults["config.odd"][0]
    fields = {one.place: one for one in fields_of(schema, value, form.faults)}
    assert (fields["config.odd"].value, fields["config.headers"].value) == ("[1, {", "no colon here\n")
    assert fields["config.odd"].errors == tuple(form.faults["config.odd"])
    assert "nested too deeply" in read(schema, {"config.odd": "[" * 100_000})[1].faults["config.odd"][0]


def test_errors_stand_at_their_fields_and_what_has_none_is_told_apart() -> None:
    errors = {
        "config.streams.0.fields.text": ["'text' is a required property"],
        "config.headers.Accept": ["7 is not of type 'string'"],
        "config": ["Additional properties are not allowed ('x' was unexpected)"],
    }
    fields = fields_of(REST, {"streams": [{}]}, errors)
    told = {one.place: one.errors for one in walk(fields) if one.errors}
    assert told == {
        "config.streams.0.fields.text": ("This is needed.",),
        "config.headers": ("7 is not of type 'string'.",),
    }
    assert told_nowhere(fields, errors) == ["config: Additional properties are not allowed ('x' was unexpected)"]


def test_a_value_that_fits_no_field_is_shown_as_json_and_kept() -> None:
    config = {"delimiter": {"odd": True}, "mapping": ["x"]}
    fields = fields_of(CSV, config, {})
    assert {one.name: one.shape for one in fields if one.unfit} == dict.fromkeys(
        ("config.delimiter", "config.mapping"), Shape.JSON
    )
    assert meant(CSV, sent_by(fields)) == config


def test_references_are_followed_and_those_in_circles_end() -> None:
    schema = {
        "$defs": {
            "node": {"type": "object", "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/node"}}}
        },
        "properties": {"first": {"$ref": "#/$defs/node"}, "loop": {"$ref": "#/properties/loop"}, "far": {"$ref": "x"}},
    }
    names = [one.name for one in walk(fields_of(schema, {}, {}))]
    assert "config.first.next.name" in names
    assert len(names) < 100
    assert meant(schema, {"config.first.next.name": "b"}) == {"first": {"next": {"name": "b"}}}


@pytest.mark.parametrize(
    ("schema", "shape"),
    [
        ({"type": "string"}, Shape.TEXT),
        ({"type": ["string", "null"]}, Shape.TEXT),
        ({"type": "boolean"}, Shape.FLAG),
        ({"type": ["integer", "null"]}, Shape.NUMBER),
        ({"enum": ["a", 1, None]}, Shape.CHOICE),
        ({"oneOf": [{"const": "a", "title": "First"}, {"const": "b"}]}, Shape.CHOICE),
        ({"const": "a"}, Shape.FIXED),
        ({"type": "array", "items": {"type": "string"}}, Shape.LINES),
        ({"type": "array", "items": {"type": "array"}}, Shape.JSON),
        ({"type": "object", "additionalProperties": {"type": "string"}}, Shape.PAIRS),
        ({"type": "object"}, Shape.JSON),
        ({"not": {}}, Shape.JSON),
        (True, Shape.JSON),
        ({"oneOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "integer"}]}, Shape.VARIANTS),
    ],
)
def test_each_schema_has_its_field(schema: Any, shape: Shape) -> None:
    assert shaped(schema, {}).shape is shape


def test_choices_may_be_of_any_type() -> None:
    schema = {"properties": {"level": {"enum": [1, "1", True]}}, "required": ["level"]}
    for value in (1, "1", True):
        [field] = fields_of(schema, {"level": value}, {})
        assert meant(schema, {"config.level": field.value}) == {"level": value}
        assert type(meant(schema, {"config.level": field.value})["level"]) is type(value)
    assert meant(schema, {"config.level": "made up"}) == {"level": "made up"}, "the schema says what is wrong with it"


def test_a_switch_that_stands_as_usual_is_left_out() -> None:
    on = {"properties": {"it": {"type": "boolean", "default": True}}}
    assert (meant(on, {}), meant(on, {"config.it": "on"})) == ({"it": False}, {})
    needed = {"properties": {"it": {"type": "boolean"}}, "required": ["it"]}
    assert (meant(needed, {}), meant(needed, {"config.it": "on"})) == ({"it": False}, {"it": True})


@pytest.mark.parametrize("text", ["1e999", "nan", "NaN", "Infinity", "-Infinity", "9" * 400, "[1]", "abc"])
def test_what_is_no_number_stays_text_and_the_schema_refuses_it(text: str) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "number"}}}
    found = meant(schema, {"config.n": text})
    if not isinstance(found["n"], int):
        assert found == {"n": text}
        with pytest.raises(Exception, match="is not of type 'number'"):
            check_against(schema, found, "config")
