"""The conformance suite of connectors."""

from __future__ import annotations

from sortation.testing.checks_basic import BasicChecks
from sortation.testing.checks_failures import FailureChecks
from sortation.testing.checks_files import FileChecks
from sortation.testing.checks_pulls import PullChecks
from sortation.testing.checks_secrets import SecretChecks
from sortation.testing.checks_webhooks import WebhookChecks


class ConnectorConformance(WebhookChecks, FailureChecks, PullChecks, FileChecks, SecretChecks, BasicChecks):
    """Subclass it in a test module, as `class TestMine(ConnectorConformance)`, and say what your connector is:
    `plugin`, `config`, and of each way in which it comes by records some examples: `samples` of files, `deliveries` of
    a webhook, and for a source that is asked `serve(source, asked)`, which answers as its API does.

    Each check is a test of its own. Those of ways that your manifest does not have are skipped.
    """
