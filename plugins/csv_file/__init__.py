"""CSV files of any bank: encoding, delimiter, header, dates, amounts and the columns' meaning are detected."""

from __future__ import annotations

from sortation import ConnectorManifest, hookimpl

_COLUMN = {"type": "string", "minLength": 1, "description": "The column's name in the header, in any case."}

CONFIG_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "description": "All of it is optional: what is left out is detected from the file.",
    "properties": {
        "mapping": {
            "type": "object",
            "additionalProperties": False,
            "description": "Which column means what. A column without a meaning becomes an attribute.",
            "properties": {
                "text": {
                    "description": "The column, or the columns to join, that say what happened.",
                    "anyOf": [_COLUMN, {"type": "array", "items": _COLUMN, "minItems": 1}],
                },
                "date": _COLUMN,
                "amount": _COLUMN | {"description": "The signed amount: money out is negative."},
                "debit": _COLUMN | {"description": "Money out; with credit, in the place of amount."},
                "credit": _COLUMN | {"description": "Money in."},
                "currency": _COLUMN,
                "account": _COLUMN,
                "external_id": _COLUMN | {"description": "An id that never changes and is unique within the account."},
                "counterparty": _COLUMN,
                "category": _COLUMN | {"description": "The category of history that is sorted already."},
                "pending": _COLUMN | {"description": "A status such as pending or booked."},
            },
        },
        "delimiter": {"type": "string", "minLength": 1, "maxLength": 1, "description": "What stands between columns."},
        "encoding": {"type": "string", "examples": ["utf-8", "cp1252", "utf-16"]},
        "date_format": {
            "type": "string",
            "description": "As strptime takes it. Without it the column itself must show whether the day or the month "
            "comes first; where it does not, the month does in US dollars, and the day in all else.",
            "examples": ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y"],
        },
        "decimal": {"type": "string", "enum": [".", ","], "description": "The decimal mark of the amounts."},
        "skip_rows": {"type": "integer", "minimum": 0, "description": "How many lines stand above the header."},
        "currency": {
            "type": "string",
            "pattern": "^[A-Z]{3}$",
            "description": "ISO 4217 code of amounts whose row names none.",
        },
    },
}


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="csv",
            version="1.0.0",
            title="CSV file",
            factory="plugins.csv_file.read:CsvFile",
            config_schema=CONFIG_SCHEMA,
            file_extensions=(".csv", ".tsv", ".txt"),
        )
    ]
