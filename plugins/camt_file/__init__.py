"""CAMT.052, 053 and 054: ISO 20022's reports, statements and notifications of an account, in any version."""

from __future__ import annotations

from sortation import ConnectorManifest, hookimpl


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="camt",
            version="1.0.0",
            title="CAMT.052, 053 or 054 file",
            factory="plugins.camt_file.read:CamtFile",
            file_extensions=(".xml", ".camt", ".c52", ".c53", ".c54"),
        )
    ]
