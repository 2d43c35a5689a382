"""The connector passes Sortation's conformance kit."""

from __future__ import annotations

from decimal import Decimal

from sortation.testing import ConnectorConformance, Sample


class TestPipes(ConnectorConformance):
    plugin = "sortation_pipes"
    samples = (
        Sample(
            content="2026-03-01|Corner shop|-12.50\n2026-03-02|Salary|2000\n2026-03-02|Café|-3.20\n"
            "2026-03-02|Café|-3.20\n2026-03-03|Rent|lots\n".encode(),
            filename="march.pipes",
            drafts=4,
            refusals=1,
            total=Decimal("1981.10"),
        ),
    )
