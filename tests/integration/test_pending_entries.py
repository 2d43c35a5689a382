"""Pending entries of CAMT files without references, until they are booked: one record, whatever day that is."""

from __future__ import annotations

from typing import Any

from core.domain.tenants import Actor
from entrypoints.container import Container
from entrypoints.worker.inline import drain
from ports.storage import RecordFilter

ACCOUNT = "<Acct><Id><IBAN>DE02100100100006820101</IBAN></Id></Acct>"


def entry(status: str, value: str, booked: str = "") -> str:
    booking = f"<BookgDt><Dt>{booked}</Dt></BookgDt>" if booked else ""
    return (
        f'<Ntry><Amt Ccy="EUR">9.90</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>{status}</Sts>{booking}'
        f"<ValDt><Dt>{value}</Dt></ValDt><AddtlNtryInf>Kiosk</AddtlNtryInf></Ntry>"
    )


def file(*entries: str) -> bytes:
    statement = f"<Rpt>{ACCOUNT}{''.join(entries)}</Rpt>"
    return (
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.052.001.08"><BkToCstmrAcctRpt>{statement}'
        "</BkToCstmrAcctRpt></Document>"
    ).encode()


def test_a_pending_entry_that_is_booked_on_another_day_stays_one_record(container: Container) -> None:
    tenant, _ = container.create_tenant("Pending")
    actor = Actor(tenant_id=tenant.id, name="a tester")

    def upload(content: bytes) -> list[tuple[Any, bool]]:
        container.receive_import(actor, [content], filename="x.xml")
        drain(container, actor.tenant_id)
        found = container.list_records(actor, RecordFilter(), after=None, limit=10)
        return sorted((str(row["occurred_at"])[:10], row["pending"]) for row in found)

    waiting = file(entry("PDNG", "2026-03-04"), entry("PDNG", "2026-03-04"))
    assert upload(waiting) == [("2026-03-04", True)] * 2
    booked = entry("BOOK", "2026-03-04", "2026-03-02")
    assert upload(file(booked, entry("PDNG", "2026-03-04"))) == [("2026-03-02", False), ("2026-03-04", True)]
    both = [("2026-03-02", False), ("2026-03-05", False)]
    assert upload(file(booked, entry("BOOK", "2026-03-04", "2026-03-05"))) == both
    for again in (waiting, file(booked)):
        assert upload(again) == both
    month_later = file(entry("PDNG", "2026-04-04"))
    assert upload(month_later) == [*both, ("2026-04-04", True)]
