from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.categories import MAX_NAME
from core.domain.connections import MAX_SCHEDULE, MAX_STREAMS, MIN_SCHEDULE
from core.domain.webhooks import MAX_OVERLAP
from entrypoints.api.schemas.base import ChangeSchema, LimitSchema, Whole
from entrypoints.api.schemas.names import a_name

_NAME = a_name(MAX_NAME)


class ConnectorSchema(Schema):
    key = fields.String()
    version = fields.String()
    title = fields.String()
    docs_url = fields.String()
    config_schema = fields.Dict(metadata={"description": "JSON Schema of a connection's configuration."})
    file_extensions = fields.List(fields.String())
    pulls = fields.Boolean(metadata={"description": "It is asked for records: it can be checked and synced."})
    secrets = fields.List(fields.String(), metadata={"description": "Fields of the configuration that are secrets."})


class PluginSchema(Schema):
    name = fields.String()
    distribution = fields.String()
    version = fields.String()
    state = fields.String(metadata={"description": "loaded, blocked, incompatible or failed"})
    connectors = fields.List(fields.String())
    rule_types = fields.List(fields.String())
    error = fields.String(allow_none=True)


class ApartSchema(Schema):
    offer = fields.String(metadata={"description": "`connector:key` or `rule_type:key`."})
    role = fields.String(metadata={"description": "Of the other process: api or worker."})
    here = fields.String(metadata={"description": "Distribution, version and digest, or `nothing`."})
    there = fields.String()


class ConnectorsSchema(Schema):
    items = fields.List(fields.Nested(ConnectorSchema))
    next = fields.String(allow_none=True)
    plugins = fields.List(fields.Nested(PluginSchema))
    present = fields.List(
        fields.String(), metadata={"description": "Which kinds of processes run now: api and worker."}
    )
    apart = fields.List(
        fields.Nested(ApartSchema),
        metadata={"description": "What other processes have otherwise than the one that answers: such jobs wait."},
    )


class ConnectionSchema(Schema):
    id = fields.UUID()
    connector = fields.String()
    name = fields.String()
    config = fields.Dict(metadata={"description": "Without its secrets."})
    secrets = fields.List(fields.String(), metadata={"description": "The secrets that are set; never their values."})
    schedule_seconds = fields.Integer(allow_none=True, metadata={"description": "Null: synced on demand alone."})
    streams = fields.List(fields.String(), allow_none=True, metadata={"description": "Null: all that there are."})
    health = fields.String(metadata={"description": "healthy, degraded, reauth, paused or plugin_missing"})
    failures = fields.Integer(metadata={"description": "Syncs that failed in a row."})
    next_sync_at = fields.DateTime(allow_none=True)
    last_synced_at = fields.DateTime(allow_none=True)
    disabled_at = fields.DateTime(allow_none=True, metadata={"description": "Since when nothing comes in by it."})
    created_at = fields.DateTime()
    version = fields.Integer()


_SCHEDULE = validate.Range(MIN_SCHEDULE, MAX_SCHEDULE)
_STREAMS = validate.Length(1, MAX_STREAMS)
_STREAM = fields.String(validate=validate.Length(1, 200))


class CheckConfigurationSchema(Schema):
    connector = fields.String(required=True)
    config = fields.Dict(keys=fields.String(), load_default=dict, metadata={"description": "With its secrets."})


class NewConnectionSchema(CheckConfigurationSchema):
    name = fields.String(required=True, validate=_NAME)
    schedule_seconds = Whole(load_default=None, allow_none=True, validate=_SCHEDULE)
    streams = fields.List(_STREAM, load_default=None, allow_none=True, validate=_STREAMS)


class ConnectionChangeSchema(ChangeSchema):
    name = fields.String(validate=_NAME)
    config = fields.Dict(
        keys=fields.String(),
        metadata={"description": "Replaces the former one; secrets that it leaves out stay, null removes one."},
    )
    schedule_seconds = Whole(allow_none=True, validate=_SCHEDULE)
    streams = fields.List(_STREAM, allow_none=True, validate=_STREAMS)


class WebhookSecretSchema(Schema):
    secret = fields.String(required=True, validate=validate.Length(1, 1_000))
    overlap_seconds = Whole(
        load_default=86_400,
        validate=validate.Range(0, int(MAX_OVERLAP.total_seconds())),
        metadata={"description": "How long the former secret serves on; 0 ends it at once, and those of before."},
    )


class WebhookSecretChangedSchema(ConnectionSchema):
    former_until = fields.DateTime(allow_none=True, metadata={"description": "When the last former secret ends."})


class StreamCheckSchema(Schema):
    stream = fields.String()
    ok = fields.Boolean()
    reason = fields.String()


class CheckedSchema(Schema):
    ok = fields.Boolean()
    streams = fields.List(fields.Nested(StreamCheckSchema))
    code = fields.String(metadata={"description": "`ok`, `unreadable` (a stream of it), or why it could not be asked."})
    reason = fields.String(metadata={"description": "Of the first stream that can't be read, or of them all."})
    action = fields.String(metadata={"description": "What to do about it."})


class StreamSchema(Schema):
    name = fields.String()
    title = fields.String()
    kind = fields.String(metadata={"description": "Of its records."})


class StreamsSchema(Schema):
    items = fields.List(fields.Nested(StreamSchema))
    next = fields.String(allow_none=True)


class SyncSchema(Schema):
    anew = fields.Boolean(
        load_default=False,
        metadata={"description": "Read all from the beginning; what is known stays as it is."},
    )


class HealthEntrySchema(Schema):
    id = fields.UUID()
    at = fields.DateTime()
    health = fields.String()
    code = fields.String()
    message = fields.String()
    action = fields.String(metadata={"description": "What to do about it."})


class CountsSchema(Schema):
    imports = fields.Integer(metadata={"description": "Files, syncs that brought something new, and deliveries."})
    inserted = fields.Integer()
    known = fields.Integer()
    refused = fields.Integer()


class TotalsSchema(CountsSchema):
    last_24_hours = fields.Nested(CountsSchema)
    last_30_days = fields.Nested(CountsSchema)


class RefusedDeliveriesSchema(Schema):
    count = fields.Integer(metadata={"description": "Noted once a minute: a few may be missing."})
    reason = fields.String(metadata={"description": "Of the last one."})
    at = fields.DateTime(metadata={"description": "When that was."})


class CursorSchema(Schema):
    stream = fields.String()
    cursor = fields.Dict(metadata={"description": "As its connector writes it, without secrets."})
    state_version = fields.Integer(metadata={"description": "Of the cursor's form."})


class ConnectionHealthSchema(Schema):
    health = fields.String()
    code = fields.String()
    message = fields.String()
    action = fields.String()
    failures = fields.Integer()
    next_sync_at = fields.DateTime(allow_none=True)
    last_synced_at = fields.DateTime(allow_none=True)
    totals = fields.Nested(TotalsSchema, metadata={"description": "What it brought, but for what was undone."})
    refused_deliveries = fields.Nested(
        RefusedDeliveriesSchema,
        allow_none=True,
        metadata={"description": "Webhooks that were not taken: null, if there were none."},
    )
    cursors = fields.List(fields.Nested(CursorSchema), metadata={"description": "How far each stream was read."})
    history = fields.List(fields.Nested(HealthEntrySchema), metadata={"description": "Newest first, at most 100."})


class LogLineSchema(Schema):
    id = fields.UUID()
    at = fields.DateTime()
    level = fields.String()
    text = fields.String()


class LogQuerySchema(LimitSchema):
    before = fields.UUID(load_default=None, metadata={"description": "`next` of the page before."})
