from __future__ import annotations

from marshmallow import Schema, fields


class SignInSchema(Schema):
    url = fields.String(metadata={"description": "Where a person signs in at the source, once."})
    expires_at = fields.DateTime(metadata={"description": "Until then; ten minutes."})
