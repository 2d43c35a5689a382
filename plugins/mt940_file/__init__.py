"""MT940 and MT942: SWIFT's statements and interim reports of an account, as banks write them."""

from __future__ import annotations

from sortation import ConnectorManifest, hookimpl


@hookimpl
def sortation_connectors() -> list[ConnectorManifest]:
    return [
        ConnectorManifest(
            key="mt940",
            version="1.0.0",
            title="MT940 or MT942 file",
            factory="plugins.mt940_file.read:Mt940File",
            file_extensions=(".sta", ".mt940", ".940", ".mt942", ".942", ".swi", ".txt"),
        )
    ]
