"""docs/limits.md tells the limits that the code has."""

from __future__ import annotations

import pytest

from adapters.http.client import _MAX_REDIRECTS
from adapters.http.names import MOST
from adapters.http.transport import Limits
from adapters.matching import regex
from adapters.oidc.issuer import PAUSE_SECONDS
from adapters.postgres.engine import IDLE_SECONDS
from core.domain import conditions
from core.domain.billing import MAX_REASON
from core.domain.condition_text import MAX_TEXT
from core.domain.endpoint_checks import MAX_NAME, MAX_URL, MOST_ENDPOINTS
from core.domain.nesting import MAX_NESTING
from core.domain.payments import MAX_RETURN_URL
from core.domain.rules import MAX_RULE_WEIGHT, MAX_RULES, MAX_WEIGHT
from core.usecases.imports import MAX_DRY_RUN
from core.usecases.notifications import REDELIVERED_AT_ONCE
from core.usecases.relay import SENDS_OF_TENANT
from entrypoints.api import blueprint, record_lists, records, responses, state, waiting
from entrypoints.api.schemas import billing
from entrypoints.api.schemas.events import MAX_WAIT
from entrypoints.api.schemas.rules import MAX_LAST
from entrypoints.chosen import IDENTITY_LIMITS, RECEIVER_LIMITS, TOKEN_SECONDS
from entrypoints.cli.services import HEADER_BYTES, HEADER_SECONDS
from entrypoints.console.guard import MAX_FORM_BYTES
from entrypoints.settings import load_settings
from entrypoints.worker import aside
from plugins import json_lines, ofx_file, qif_file
from plugins.camt_file import xml
from plugins.isolation import host, sandbox
from plugins.mt940_file import read as mt940
from tests.architecture.test_imports import ROOT

PAGE = (ROOT / "docs" / "limits.md").read_text()
SETTINGS = load_settings({})
MIB, KIB = 1 << 20, 1 << 10


@pytest.mark.parametrize(
    "told",
    [
        f"about {HEADER_BYTES // KIB} KiB",
        f"idle connections | {HEADER_SECONDS} s",
        f"| {SETTINGS.max_upload_bytes // MIB} MiB | `SORTATION_MAX_UPLOAD_BYTES`",
        f"| {SETTINGS.max_webhook_bytes // MIB} MiB | `SORTATION_MAX_WEBHOOK_BYTES`",
        f"| {SETTINGS.max_receipt_bytes // MIB} MiB | `SORTATION_MAX_RECEIPT_BYTES`",
        f"JSON body | {state.MAX_JSON_BYTES // MIB} MiB; of `POST /records` {records.MAX_BODY // MIB} MiB"
        f" and {record_lists.MAX_RECORDS:,} records of {record_lists.MAX_RECORD // MIB} MiB",
        f"a dry run looks at | {MAX_DRY_RUN:,} |",
        f"form of a page | {MAX_FORM_BYTES // KIB} KiB",
        f"| {MAX_NESTING} objects and lists",
        f"query | {blueprint.MAX_PARAMETERS} parameters",
        f"page (`limit`) | {responses.MAX_LIMIT}; of invoices {billing.MAX_INVOICES} |",
        f"a return URL, a reason | {MAX_RETURN_URL:,}, {MAX_REASON} characters",
        f"months of usage | {billing.MAX_MONTHS} |",
        f"half, {MAX_WAIT} s each",
        f"503 `busy` after {waiting.PATIENCE_SECONDS:g} s",
        f"| {SETTINGS.statement_seconds:g} s | `SORTATION_STATEMENT_SECONDS`",
        f"does nothing | {IDLE_SECONDS} s",
        f"rules of a tenant | {MAX_RULES:,}",
        f"(`last`) | {MAX_LAST:,} |",
        f"leaves of a condition | {conditions.MAX_DEPTH}, {conditions.MAX_LEAVES} |",
        f"an `in` | {conditions.MAX_VALUES:,}",
        f"a regex | {conditions.MAX_LITERAL} characters",
        f"a compiled regex | {regex.MAX_MEMORY // KIB} KiB;",
        f"of a tenant | {MAX_RULE_WEIGHT:,}, {MAX_WEIGHT:,} instructions of their programs,"
        f" at least {regex.MIN_WEIGHT:,} each",
        f"a rule type | {conditions.MAX_PARAMS:,} characters",
        f"the text form | {MAX_TEXT:,} characters",
        f"{host.MEMORY >> 30} GiB of memory",
        f"{sandbox.MAX_FILES} open files, and none that is larger than {sandbox.MAX_WRITTEN // MIB} MiB",
        f"JSON | {json_lines.MAX_LINE // MIB} MiB a line, {json_lines.MAX_ARRAY // MIB} MiB an array",
        f"OFX | {ofx_file.MAX_BYTES // MIB} MiB, {ofx_file.MAX_DEPTH} deep, {ofx_file.MAX_TAGS:,} tags",
        f"CAMT | {xml.MAX_DEPTH} deep, {xml.MAX_NODES:,} nodes",
        f"QIF, MT940 | {qif_file.MAX_BYTES // MIB} MiB",
        f"QIF, MT940 | {mt940.MAX_BYTES // MIB} MiB",
        f"| {Limits().connect:g}, {Limits().read:g}, {Limits().total:g} s; tokens of sources {TOKEN_SECONDS:g} s in"
        f" all, providers of identities {IDENTITY_LIMITS.total:g} s",
        f"{Limits().answer_bytes // MIB} MiB; providers of identities {IDENTITY_LIMITS.answer_bytes // MIB} MiB",
        f"receivers of webhooks {RECEIVER_LIMITS.connect:g}, {RECEIVER_LIMITS.read:g}, {RECEIVER_LIMITS.total:g} s |",
        f"being sent at once | {aside.MOST} in a process of a worker, {SENDS_OF_TENANT} of a tenant |",
        f"endpoints of a tenant; the URL and the name of one | {MOST_ENDPOINTS}; {MAX_URL:,} and {MAX_NAME} char",
        f"deliveries that are sent again at once | {REDELIVERED_AT_ONCE:,} |",
        f"redirects | {_MAX_REDIRECTS},",
        f"resolved at once | {MOST} |",
        f"not asked again for {PAUSE_SECONDS:g} s",
    ],
)
def test_the_page_tells(told: str) -> None:
    assert told in PAGE
