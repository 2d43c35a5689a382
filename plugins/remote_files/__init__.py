"""A folder at a URL (SFTP, FTP, S3, Google Cloud Storage, Azure), whose files are read once each, as uploads are."""

from __future__ import annotations

from typing import Any

from plugins.files import FILE_FIELDS
from sortation import ConnectorManifest, hookimpl

CONFIG_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["url"],
    "properties": {
        "url": {
            "type": "string",
            "pattern": r"^(sftp|ftp|s3|s3\+https?|gs|az)://[^\s]+$",
            "description": "Its URL, at or under one that the operator allows (SORTATION_FOLDER_ROOTS).",
            "examples": [
                "sftp://files.bank.example/outbox",
                "s3://bucket/statements",
                "s3+https://minio.example/bucket/statements",
                "gs://bucket/statements",
                "az://container/statements",
            ],
        },
        "user": {
            "type": "string",
            "minLength": 1,
            "description": "The user's name; of S3 the id of the access key, of Azure the account.",
        },
        "secret": {
            "type": "string",
            "minLength": 1,
            "writeOnly": True,
            "description": "The password, or of SFTP the private key (PEM); of S3 and Azure the secret key, of Google "
            "the JSON of a service account.",
        },
        "host_key": {
            "type": "string",
            "pattern": r"^[a-z0-9@.-]+ [A-Za-z0-9+/=]+$",
            "description": "Of SFTP: the server's public key, as ssh-keyscan prints it behind the name.",
            "examples": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"],
        },
        **FILE_FIELDS,
    },
}


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="files",
            version="1.0.0",
            title="Files at a URL",
            factory="plugins.remote_files.connector:RemoteFiles",
            config_schema=CONFIG_SCHEMA,
            pulls=True,
            sockets=True,
            folder="url",
        )
    ]
