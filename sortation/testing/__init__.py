"""The conformance kit: what a plugin's own tests prove, before it ships. It needs pytest.

Subclass `ConnectorConformance` or `RuleTypeConformance` in a test module; pytest, or `run_checks`, does the rest.
"""

from __future__ import annotations

from sortation.testing.connectors import ConnectorConformance
from sortation.testing.rule_records import SampleHistory, SampleRecord
from sortation.testing.rule_types import Example, RuleTypeConformance
from sortation.testing.samples import Delivery, Sample
from sortation.testing.scripted_http import Answer, Asked, ScriptedServer
from sortation.testing.source import Item, Source, expected
from sortation.testing.suite import Outcome, Result, checks, run_checks

__all__ = [
    "Answer",
    "Asked",
    "ConnectorConformance",
    "Delivery",
    "Example",
    "Item",
    "Outcome",
    "Result",
    "RuleTypeConformance",
    "Sample",
    "SampleHistory",
    "SampleRecord",
    "ScriptedServer",
    "Source",
    "checks",
    "expected",
    "run_checks",
]
