"""Who may call what: every route with every kind of credential, each with the expected answer.

The rows stand here again, beside what the views declare, so that whoever changes one has to mean it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from core.domain.identity import providers_from
from core.domain.permissions import GRANTABLE, Role
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, member_by_provider, new_tenant
from tests.integration.console_support import browser_of
from tests.integration.test_console_sign_in import ORIGIN, OWNER, PASSWORD, Browser
from tests.stubs.issuer import CLIENT_ID, IssuerStub

NOBODY = "00000000-0000-7000-8000-000000000000"
ROUTES = {
    "GET /": "page records:read",
    "GET /account": "page",
    "POST /account/link": "page",
    "POST /account/link/<key>": "page",
    "POST /account/password": "page",
    "GET /account/second-factor": "page",
    "POST /account/second-factor": "page",
    "POST /account/second-factor/remove": "page",
    "POST /account/sessions": "page",
    "POST /account/sessions/<uuid:session_id>": "page",
    "POST /account/unlink": "page",
    "GET /api/docs": "public",
    "GET /api/docs/assets/<name>": "public",
    "GET /api/docs/start.js": "public",
    "GET /api/events": "events:read or operator",
    "GET /api/openapi.json": "public",
    "GET /api/v1/api-keys": "keys:read",
    "POST /api/v1/api-keys": "keys:write",
    "DELETE /api/v1/api-keys/<uuid:key_id>": "keys:write",
    "POST /api/v1/api-keys/<uuid:key_id>/rotate": "keys:write",
    "GET /api/v1/approvals": "approvals:read",
    "GET /api/v1/approvals/<uuid:approval_id>": "approvals:read",
    "POST /api/v1/approvals/<uuid:approval_id>": "approvals:decide",
    "GET /api/v1/approvals/<uuid:approval_id>/rule": "approvals:read",
    "DELETE /api/v1/approvals/<uuid:approval_id>/skip": "approvals:decide",
    "POST /api/v1/approvals/<uuid:approval_id>/skip": "approvals:decide",
    "POST /api/v1/approvals/<uuid:approval_id>/withdraw": "approvals:decide",
    "POST /api/v1/approvals/bulk": "approvals:decide",
    "POST /api/v1/approvals/withdraw": "approvals:decide",
    "GET /api/v1/approvals/groups": "approvals:read",
    "POST /api/v1/approvals/groups/<string:group_key>": "approvals:decide",
    "GET /api/v1/billing": "billing:read",
    "POST /api/v1/billing/checkout": "billing:write",
    "GET /api/v1/billing/invoices": "billing:read",
    "GET /api/v1/billing/plans": "billing:read",
    "POST /api/v1/billing/portal": "billing:write",
    "POST /api/v1/billing/refresh": "billing:write",
    "GET /api/v1/billing/usage": "billing:read",
    "POST /api/v1/billing/webhook": "public",
    "GET /api/v1/categories": "categories:read",
    "POST /api/v1/categories": "categories:write",
    "DELETE /api/v1/categories/<uuid:category_id>": "categories:write",
    "GET /api/v1/categories/<uuid:category_id>": "categories:read",
    "PATCH /api/v1/categories/<uuid:category_id>": "categories:write",
    "POST /api/v1/categories/<uuid:category_id>/merge": "categories:write",
    "GET /api/v1/connections": "connections:read",
    "POST /api/v1/connections": "connections:write",
    "DELETE /api/v1/connections/<uuid:connection_id>": "connections:write",
    "GET /api/v1/connections/<uuid:connection_id>": "connections:read",
    "PATCH /api/v1/connections/<uuid:connection_id>": "connections:write",
    "POST /api/v1/connections/<uuid:connection_id>/check": "connections:write",
    "GET /api/v1/connections/<uuid:connection_id>/deliveries": "connections:read",
    "POST /api/v1/connections/<uuid:connection_id>/disable": "connections:write",
    "GET /api/v1/connections/<uuid:connection_id>/health": "connections:read",
    "GET /api/v1/connections/<uuid:connection_id>/log": "connections:read",
    "POST /api/v1/connections/<uuid:connection_id>/oauth/start": "connections:write",
    "POST /api/v1/connections/<uuid:connection_id>/resume": "connections:write",
    "GET /api/v1/connections/<uuid:connection_id>/streams": "connections:read",
    "POST /api/v1/connections/<uuid:connection_id>/sync": "connections:write",
    "POST /api/v1/connections/<uuid:connection_id>/webhook-secret": "connections:write",
    "POST /api/v1/connections/check": "connections:write",
    "GET /api/v1/connectors": "connections:read",
    "GET /api/v1/dashboard": "tenant:read",
    "GET /api/v1/dashboard/learned": "tenant:read",
    "GET /api/v1/dashboard/promise": "tenant:read",
    "POST /api/v1/dashboard/promise/<string:stage>/reset": "tenant:write",
    "GET /api/v1/evaluations": "tenant:read",
    "POST /api/v1/evaluations": "rules:write",
    "GET /api/v1/evaluations/<uuid:evaluation_id>": "tenant:read",
    "GET /api/v1/events": "events:read or operator",
    "GET /api/v1/imports": "records:read",
    "POST /api/v1/imports": "records:write",
    "GET /api/v1/imports/<uuid:import_id>": "records:read",
    "POST /api/v1/imports/<uuid:import_id>/undo": "records:write",
    "GET /api/v1/invitations": "members:read",
    "POST /api/v1/invitations": "members:write",
    "DELETE /api/v1/invitations/<uuid:invitation_id>": "members:write",
    "POST /api/v1/invitations/<uuid:invitation_id>/renew": "members:write",
    "GET /api/v1/jobs": "jobs:read",
    "GET /api/v1/jobs/<uuid:job_id>": "jobs:read",
    "GET /api/v1/jobs/counts": "jobs:read",
    "POST /api/v1/jobs/<uuid:job_id>/replay": "jobs:replay",
    "GET /api/v1/jobs/dead": "jobs:read",
    "POST /api/v1/jobs/replay": "jobs:replay",
    "POST /api/v1/llm/plan": "tenant:read",
    "GET /api/v1/llm/usage": "tenant:read",
    "GET /api/v1/me": "anybody",
    "GET /api/v1/members": "members:read",
    "DELETE /api/v1/members/<uuid:user_id>": "members:read",
    "PATCH /api/v1/members/<uuid:user_id>": "members:write",
    "DELETE /api/v1/members/<uuid:user_id>/sessions": "members:write",
    "GET /api/v1/notifications/endpoints": "notifications:read",
    "POST /api/v1/notifications/endpoints": "notifications:write",
    "DELETE /api/v1/notifications/endpoints/<uuid:endpoint_id>": "notifications:write",
    "GET /api/v1/notifications/endpoints/<uuid:endpoint_id>": "notifications:read",
    "PATCH /api/v1/notifications/endpoints/<uuid:endpoint_id>": "notifications:write",
    "GET /api/v1/notifications/endpoints/<uuid:endpoint_id>/deliveries": "notifications:read",
    "POST /api/v1/notifications/endpoints/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/redeliver": (
        "notifications:write"
    ),
    "POST /api/v1/notifications/endpoints/<uuid:endpoint_id>/disable": "notifications:write",
    "POST /api/v1/notifications/endpoints/<uuid:endpoint_id>/enable": "notifications:write",
    "POST /api/v1/notifications/endpoints/<uuid:endpoint_id>/redeliver": "notifications:write",
    "POST /api/v1/notifications/endpoints/<uuid:endpoint_id>/rotate": "notifications:write",
    "POST /api/v1/notifications/endpoints/<uuid:endpoint_id>/test": "notifications:write",
    "GET /api/v1/oauth/callback": "public",
    "GET /api/v1/receipts": "receipts:read",
    "POST /api/v1/receipts": "receipts:write",
    "DELETE /api/v1/receipts/<uuid:receipt_id>": "receipts:write",
    "GET /api/v1/receipts/<uuid:receipt_id>": "receipts:read",
    "PATCH /api/v1/receipts/<uuid:receipt_id>": "receipts:write",
    "GET /api/v1/receipts/<uuid:receipt_id>/content": "receipts:read",
    "POST /api/v1/receipts/<uuid:receipt_id>/links": "receipts:write",
    "DELETE /api/v1/receipts/<uuid:receipt_id>/links/<uuid:record_id>": "receipts:write",
    "GET /api/v1/receipts/<uuid:receipt_id>/suggestions": "receipts:read",
    "DELETE /api/v1/receipts/<uuid:receipt_id>/suggestions/<uuid:record_id>": "receipts:write",
    "GET /api/v1/records": "records:read",
    "POST /api/v1/records": "records:write",
    "DELETE /api/v1/records/<uuid:record_id>": "records:write",
    "GET /api/v1/records/<uuid:record_id>": "records:read",
    "PATCH /api/v1/records/<uuid:record_id>": "records:write",
    "GET /api/v1/records/<uuid:record_id>/receipts": "receipts:read",
    "POST /api/v1/records/<uuid:record_id>/withdraw": "records:write",
    "POST /api/v1/records/category": "records:write",
    "POST /api/v1/records/withdraw": "records:write",
    "GET /api/v1/records/facets": "records:read",
    "GET /api/v1/records/export": "records:read",
    "GET /api/v1/reports": "reports:read",
    "POST /api/v1/reports": "reports:run",
    "GET /api/v1/reports/<uuid:report_id>": "reports:read",
    "GET /api/v1/reports/<uuid:report_id>/files/<string:format>": "reports:read",
    "GET /api/v1/reports/definitions": "reports:read",
    "POST /api/v1/reports/definitions": "reports:write",
    "DELETE /api/v1/reports/definitions/<uuid:report_definition_id>": "reports:write",
    "GET /api/v1/reports/definitions/<uuid:report_definition_id>": "reports:read",
    "PATCH /api/v1/reports/definitions/<uuid:report_definition_id>": "reports:write",
    "GET /api/v1/rules": "rules:read",
    "POST /api/v1/rules": "rules:write",
    "DELETE /api/v1/rules/<uuid:rule_id>": "rules:write",
    "GET /api/v1/rules/<uuid:rule_id>": "rules:read",
    "PATCH /api/v1/rules/<uuid:rule_id>": "rules:write",
    "GET /api/v1/rules/conflicts": "rules:read",
    "POST /api/v1/rules/order": "rules:write",
    "POST /api/v1/rules/preview": "rules:read",
    "GET /api/v1/rules/proposals": "rules:read",
    "POST /api/v1/rules/proposals": "rules:write",
    "GET /api/v1/rules/proposals/<uuid:proposal_id>": "rules:read",
    "POST /api/v1/rules/proposals/<uuid:proposal_id>/accept": "rules:write",
    "POST /api/v1/rules/proposals/<uuid:proposal_id>/reject": "rules:write",
    "GET /api/v1/rules/runs": "rules:read",
    "POST /api/v1/rules/runs": "rules:write",
    "GET /api/v1/rules/runs/<uuid:run_id>": "rules:read",
    "GET /api/v1/rules/runs/<uuid:run_id>/changes": "rules:read",
    "POST /api/v1/rules/runs/<uuid:run_id>/undo": "rules:write",
    "GET /api/v1/rules/schema": "rules:read",
    "POST /api/v1/rules/test": "rules:read",
    "GET /api/v1/tenant": "tenant:read",
    "PATCH /api/v1/tenant": "tenant:write",
    "GET /api/v1/tenants": "operator",
    "POST /api/v1/tenants": "operator",
    "GET /api/v1/tenants/<uuid:tenant_id>": "operator",
    "GET /api/v1/tenants/<uuid:tenant_id>/billing": "operator",
    "DELETE /api/v1/tenants/<uuid:tenant_id>/comp": "operator",
    "PUT /api/v1/tenants/<uuid:tenant_id>/comp": "operator",
    "GET /api/v1/views": "records:read",
    "POST /api/v1/views": "records:read",
    "DELETE /api/v1/views/<uuid:view_id>": "records:read",
    "GET /api/v1/views/<uuid:view_id>": "records:read",
    "PATCH /api/v1/views/<uuid:view_id>": "records:read",
    "POST /api/v1/webhooks/<uuid:connection_id>": "public",
    "GET /bootstrap/assets/<path:filename>": "public",
    "GET /billing": "page billing:read",
    "GET /billing/back": "page billing:read",
    "GET /billing/back/state": "page billing:read",
    "POST /billing/checkout": "page billing:write",
    "GET /billing/invoices": "page billing:read",
    "GET /billing/plans": "page billing:read",
    "POST /billing/portal": "page billing:write",
    "POST /billing/refresh": "page billing:write",
    "GET /categories": "page categories:read",
    "GET /categories/<uuid:category_id>": "page categories:read",
    "POST /categories/<uuid:category_id>": "page categories:write",
    "POST /categories/<uuid:category_id>/delete": "page categories:write",
    "POST /categories/<uuid:category_id>/merge": "page categories:write",
    "POST /categories/<uuid:category_id>/unsort": "page categories:write",
    "GET /categories/new": "page categories:write",
    "POST /categories/new": "page categories:write",
    "POST /enter/<uuid:tenant_id>": "page",
    "GET /console/<string:wanted>/<path:name>": "public",
    "GET /imports": "page records:read",
    "POST /imports": "page records:write",
    "GET /imports/<uuid:import_id>": "page records:read",
    "GET /imports/<uuid:import_id>/progress": "page records:read",
    "POST /imports/<uuid:import_id>/undo": "page records:write",
    "GET /connections": "page connections:read",
    "GET /connections/<uuid:connection_id>": "page connections:read",
    "POST /connections/<uuid:connection_id>/check": "page connections:write",
    "POST /connections/<uuid:connection_id>/delete": "page connections:write",
    "GET /connections/<uuid:connection_id>/deliveries": "page connections:read",
    "POST /connections/<uuid:connection_id>/disable": "page connections:write",
    "GET /connections/<uuid:connection_id>/imports": "page records:read",
    "POST /connections/<uuid:connection_id>/imports/<uuid:import_id>/undo": "page records:write",
    "GET /connections/<uuid:connection_id>/log": "page connections:read",
    "POST /connections/<uuid:connection_id>/resume": "page connections:write",
    "GET /connections/<uuid:connection_id>/settings": "page connections:write",
    "POST /connections/<uuid:connection_id>/settings": "page connections:write",
    "POST /connections/<uuid:connection_id>/sign-in": "page connections:write",
    "GET /connections/<uuid:connection_id>/state": "page connections:read",
    "GET /connections/<uuid:connection_id>/streams": "page connections:write",
    "POST /connections/<uuid:connection_id>/streams": "page connections:write",
    "POST /connections/<uuid:connection_id>/sync": "page connections:write",
    "POST /connections/<uuid:connection_id>/webhook-secret": "page connections:write",
    "GET /connections/new": "page connections:write",
    "GET /connections/new/<connector>": "page connections:write",
    "POST /connections/new/<connector>": "page connections:write",
    "POST /connections/new/<connector>/check": "page connections:write",
    "GET /events": "page events:read",
    "GET /events/new": "page events:read",
    "GET /invitations/<token>": "page",
    "POST /invitations/<token>": "page",
    "GET /jobs": "page jobs:read",
    "GET /jobs/<uuid:job_id>": "page jobs:read",
    "POST /jobs/<uuid:job_id>/replay": "page jobs:replay",
    "GET /jobs/<uuid:job_id>/state": "page jobs:read",
    "POST /jobs/replay": "page jobs:replay",
    "GET /livez": "public",
    "GET /metrics": "public",
    "GET /password": "page",
    "POST /password": "page",
    "GET /password/<token>": "page",
    "POST /password/<token>": "page",
    "GET /plugins": "page connections:read",
    "GET /readyz": "public",
    "GET /receipts": "page receipts:read",
    "POST /receipts": "page receipts:write",
    "GET /receipts/<uuid:receipt_id>": "page receipts:read",
    "GET /receipts/<uuid:receipt_id>/content": "page receipts:read",
    "POST /receipts/<uuid:receipt_id>/delete": "page receipts:write",
    "POST /receipts/<uuid:receipt_id>/link": "page receipts:write",
    "POST /receipts/<uuid:receipt_id>/reject": "page receipts:write",
    "POST /receipts/<uuid:receipt_id>/said": "page receipts:write",
    "GET /receipts/<uuid:receipt_id>/state": "page receipts:read",
    "POST /receipts/<uuid:receipt_id>/unlink": "page receipts:write",
    "GET /review": "page approvals:read",
    "GET /review/categories": "page categories:read",
    "POST /review/decide": "page approvals:decide",
    "GET /review/decided": "page approvals:read",
    "POST /review/decided/<uuid:approval_id>/withdraw": "page approvals:decide",
    "POST /review/groups/<string:group_key>": "page approvals:decide",
    "GET /review/items": "page approvals:read",
    "GET /review/items/<uuid:approval_id>": "page approvals:read",
    "GET /review/items/<uuid:approval_id>/rule": "page approvals:read",
    "POST /review/items/<uuid:approval_id>/rule": "page rules:write",
    "POST /review/items/<uuid:approval_id>/skip": "page approvals:decide",
    "GET /review/learned": "page tenant:read",
    "GET /review/learned/state": "page tenant:read",
    "GET /review/learned/told": "page tenant:read",
    "POST /review/preview": "page rules:read",
    "POST /review/withdraw": "page approvals:decide",
    "GET /records": "page records:read",
    "GET /records/<uuid:record_id>": "page records:read",
    "POST /records/<uuid:record_id>/category": "page records:write",
    "POST /records/<uuid:record_id>/delete": "page records:write",
    "POST /records/<uuid:record_id>/details": "page records:write",
    "POST /records/<uuid:record_id>/receipts": "page receipts:write",
    "POST /records/<uuid:record_id>/withdraw": "page records:write",
    "POST /records/category": "page records:write",
    "POST /records/withdraw": "page records:write",
    "POST /records/undo": "page records:write",
    "GET /records/export": "page records:read",
    "GET /records/facets": "page records:read",
    "POST /records/views": "page records:read",
    "POST /records/views/<uuid:view_id>": "page records:read",
    "POST /records/views/<uuid:view_id>/delete": "page records:read",
    "GET /reports": "page reports:read",
    "GET /reports/<uuid:run_id>": "page reports:read",
    "POST /reports/<uuid:run_id>/again": "page reports:run",
    "GET /reports/<uuid:run_id>/files/<string:format>": "page reports:read",
    "GET /reports/<uuid:run_id>/state": "page reports:read",
    "POST /reports/definitions": "page reports:write",
    "GET /reports/definitions/<uuid:definition_id>": "page reports:read",
    "GET /reports/definitions/<uuid:definition_id>/change": "page reports:write",
    "POST /reports/definitions/<uuid:definition_id>/change": "page reports:write",
    "POST /reports/definitions/<uuid:definition_id>/delete": "page reports:write",
    "POST /reports/definitions/<uuid:definition_id>/run": "page reports:run",
    "POST /reports/definitions/<uuid:definition_id>/schedule": "page reports:write",
    "GET /reports/history": "page reports:read",
    "GET /reports/new": "page reports:run",
    "POST /reports/new": "page reports:run",
    "GET /rules": "page rules:read",
    "GET /rules/<uuid:rule_id>": "page rules:read",
    "POST /rules/<uuid:rule_id>": "page rules:write",
    "POST /rules/<uuid:rule_id>/again": "page rules:write",
    "POST /rules/<uuid:rule_id>/delete": "page rules:write",
    "POST /rules/<uuid:rule_id>/enabled": "page rules:write",
    "GET /rules/<uuid:rule_id>/history": "page rules:read",
    "GET /rules/conflicts": "page rules:read",
    "GET /rules/new": "page rules:write",
    "POST /rules/new": "page rules:write",
    "POST /rules/order": "page rules:write",
    "POST /rules/packs/<pack>": "page tenant:write",
    "POST /rules/preview": "page rules:read",
    "GET /rules/proposals": "page rules:read",
    "POST /rules/proposals": "page rules:write",
    "GET /rules/proposals/<uuid:proposal_id>": "page rules:read",
    "POST /rules/proposals/<uuid:proposal_id>/accept": "page rules:write",
    "POST /rules/proposals/<uuid:proposal_id>/reject": "page rules:write",
    "GET /rules/runs": "page rules:read",
    "GET /rules/runs/<uuid:run_id>": "page rules:read",
    "GET /rules/runs/<uuid:run_id>/progress": "page rules:read",
    "POST /rules/runs/<uuid:run_id>/undo": "page rules:write",
    "GET /rules/runs/new": "page rules:write",
    "POST /rules/runs/new": "page rules:write",
    "POST /rules/why": "page rules:read",
    "GET /rules/words": "page rules:read",
    "GET /second-factor": "page",
    "POST /second-factor": "page",
    "GET /settings": "page tenant:read",
    "POST /settings": "page tenant:write",
    "GET /settings/keys": "page keys:read",
    "GET /settings/keys/<uuid:key_id>": "page keys:read",
    "POST /settings/keys/<uuid:key_id>/revoke": "page keys:write",
    "POST /settings/keys/<uuid:key_id>/rotate": "page keys:write",
    "GET /settings/keys/new": "page keys:write",
    "POST /settings/keys/new": "page keys:write",
    "GET /settings/members": "page members:read",
    "GET /settings/members/<uuid:user_id>": "page members:read",
    "POST /settings/members/<uuid:user_id>/remove": "page members:read",
    "POST /settings/members/<uuid:user_id>/role": "page members:write",
    "POST /settings/members/<uuid:user_id>/sign-out": "page members:write",
    "POST /settings/members/invitations/<uuid:invitation_id>/renew": "page members:write",
    "POST /settings/members/invitations/<uuid:invitation_id>/revoke": "page members:write",
    "GET /settings/members/invite": "page members:write",
    "POST /settings/members/invite": "page members:write",
    "GET /settings/members/roles": "page members:read",
    "GET /settings/notifications": "page notifications:read",
    "GET /settings/notifications/<uuid:endpoint_id>": "page notifications:read",
    "GET /settings/notifications/<uuid:endpoint_id>/change": "page notifications:write",
    "POST /settings/notifications/<uuid:endpoint_id>/change": "page notifications:write",
    "POST /settings/notifications/<uuid:endpoint_id>/delete": "page notifications:write",
    "POST /settings/notifications/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/redeliver": (
        "page notifications:write"
    ),
    "POST /settings/notifications/<uuid:endpoint_id>/disable": "page notifications:write",
    "POST /settings/notifications/<uuid:endpoint_id>/enable": "page notifications:write",
    "POST /settings/notifications/<uuid:endpoint_id>/redeliver": "page notifications:write",
    "POST /settings/notifications/<uuid:endpoint_id>/rotate": "page notifications:write",
    "GET /settings/notifications/<uuid:endpoint_id>/state": "page notifications:read",
    "POST /settings/notifications/<uuid:endpoint_id>/test": "page notifications:write",
    "GET /settings/notifications/new/<kind>": "page notifications:write",
    "POST /settings/notifications/new/<kind>": "page notifications:write",
    "GET /settings/privacy": "page tenant:read",
    "POST /settings/privacy": "page tenant:write",
    "GET /settings/promise": "page tenant:read",
    "POST /settings/promise/stages/<stage>/reset": "page tenant:write",
    "POST /settings/promise/trials": "page rules:write",
    "GET /settings/promise/trials/<uuid:evaluation_id>": "page tenant:read",
    "GET /settings/promise/trials/<uuid:evaluation_id>/state": "page tenant:read",
    "GET /sign-in": "page",
    "POST /sign-in": "page",
    "GET /sign-in/<key>": "page",
    "POST /sign-in/<key>": "page",
    "GET /sign-in/<key>/callback": "page",
    "POST /sign-out": "page",
}
"""What each route asks for: a permission (`or operator`: the operator's key opens it as well), `anybody` of a tenant,
`operator`, `page` (a session, or none), `page` with the permission that the person needs, `public`."""
READS = {
    "tenant:read",
    "members:read",
    "categories:read",
    "connections:read",
    "records:read",
    "receipts:read",
    "reports:read",
    "rules:read",
    "approvals:read",
    "events:read",
    "jobs:read",
}
REVIEWS = READS | {"approvals:decide", "records:write", "receipts:write", "reports:run"}
ROLES = {
    Role.VIEWER: READS,
    Role.REVIEWER: REVIEWS,
    Role.ADMIN: REVIEWS
    | {"members:write", "keys:read", "keys:write", "categories:write", "connections:write", "rules:write"}
    | {"reports:write", "jobs:replay", "billing:read", "notifications:read", "notifications:write"},
}
ROLES[Role.OWNER] = ROLES[Role.ADMIN] | {"tenant:write", "billing:write"}
ALSO = {
    "POST /api/v1/rules/preview": "records:read",
    "POST /api/v1/llm/plan": "records:read",
    "GET /api/v1/receipts/<uuid:receipt_id>/suggestions": "records:read",
    "GET /api/v1/rules/proposals/<uuid:proposal_id>": "records:read",
    "GET /api/v1/rules/runs/<uuid:run_id>/changes": "records:read",
}
"""What some ask for besides, since they count records."""
PAGES = {route: asks.removeprefix("page").strip() for route, asks in ROUTES.items() if asks.startswith("page")}
API = {route: asks for route, asks in ROUTES.items() if not asks.startswith(("page", "public"))}


@pytest.fixture(scope="module")
def issuer() -> Iterator[IssuerStub]:
    with IssuerStub() as stub:
        yield stub


@pytest.fixture
def api(make_container: Callable[..., Container], issuer: IssuerStub) -> Api:
    written = {"key": "acme", "issuer": issuer.url, "client_id": CLIENT_ID, "audiences": [CLIENT_ID]}
    container = make_container(
        embeddings="off", public_url=ORIGIN, oidc_providers=tuple(providers_from([written])), rule_proposals="off"
    )
    return new_tenant(container, create_app(container).test_client())


def status(api: Api, route: str, token: str | None) -> int:
    """What the route answers to an empty request about nothing that there is."""
    method, rule = route.split(" ", 1)
    url = "/".join(
        NOBODY if part.startswith("<uuid:") else "x" if part.startswith("<") else part for part in rule.split("/")
    )
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    body: dict[str, Any] = {} if method == "GET" else {"json": {}}
    return api.client.open(url, method=method, headers=headers, **body).status_code


def allowed(code: int) -> bool:
    return code not in (401, 403)


def test_every_route_has_its_row(api: Api) -> None:
    app: Flask = api.client.application
    there = {
        f"{method} {rule.rule}" for rule in app.url_map.iter_rules() for method in (rule.methods or set()) - {"HEAD"}
    }
    assert there == ROUTES.keys()


def test_nobody_is_let_in_without_a_credential_that_holds(api: Api, issuer: IssuerStub) -> None:
    container, now = api.container, api.container.clock().now()
    everything = frozenset(permission.value for permission in GRANTABLE)
    revoked = container.create_api_key(api.actor, name="revoked", scopes=everything)
    container.revoke_api_key(api.actor, revoked.key.id)
    expired = container.create_api_key(api.actor, name="expired", scopes=everything)
    with container.uow().begin(api.actor) as tx:
        tx.api_keys.expire(expired.key.id, now)
        tx.commit()
    issuer.claims |= {"sub": "owner", "email": OWNER}
    tokens = {
        "none": None,
        "made up": "sort_live_" + "x" * 51,
        "cut short": api.key[:-1],
        "of another": api.key[:-8] + "00000000",
        "revoked": revoked.secret,
        "expired": expired.secret,
        "expired token": issuer.token(exp=int(time.time()) - 120),
        "token of another issuer": issuer.token(iss="https://other.example"),
        "token for another": issuer.token(audience="another"),
        "unsigned token": issuer.token(key="", alg="none"),
    }
    for case, token in tokens.items():
        for route in API:
            assert status(api, route, token) == 401, (case, route)
    assert len(tokens) * len(API) == 10 * 150


@pytest.mark.slow
def test_a_scope_opens_its_routes_and_no_others(api: Api) -> None:
    cases = 0
    for scope in sorted(permission.value for permission in GRANTABLE):
        key = api.container.create_api_key(api.actor, name="narrow", scopes=frozenset({scope}))
        for route, asks in API.items():
            needed, code = asks.removesuffix(" or operator"), status(api, route, key.secret)
            cases += 1
            if needed == "operator":
                assert code == 404, (route, scope)
            else:
                opened = needed in (scope, "anybody") and route not in ALSO
                assert allowed(code) == opened, (route, scope, code)
    assert cases == 28 * 150


@pytest.mark.parametrize("role", list(Role))
def test_a_role_opens_its_routes_and_no_others(api: Api, issuer: IssuerStub, role: Role) -> None:
    member_by_provider(api, issuer, role)
    token = issuer.token()
    for route, asks in API.items():
        needed = asks.removesuffix(" or operator")
        code = status(api, route, token)
        if needed == "operator":
            assert code == 404, route
        else:
            assert allowed(code) == (needed == "anybody" or needed in ROLES[role]), (route, code)


def test_the_operators_key_opens_the_operators_routes_alone(api: Api) -> None:
    for route, asks in API.items():
        code = status(api, route, api.container.settings().operator_key)
        assert allowed(code) == asks.endswith("operator"), (route, code)


def test_a_session_opens_pages_alone_and_no_other_credential_does(api: Api) -> None:
    user = api.container.list_members(api.actor)[0][0]
    api.container.people().put_password(user.id, api.container.hasher().hash(PASSWORD), api.container.clock().now())
    browser = Browser(api.client.application)
    browser.sign_in()
    for route in API:
        method, rule = route.split(" ", 1)
        url = "/".join(NOBODY if part.startswith("<") else part for part in rule.split("/"))
        assert browser.client.open(url, method=method, base_url=ORIGIN).status_code == 401, route
    for route in PAGES:
        code = status(api, route, api.key)
        opened = route.split(" ", 1)[1] in ("/sign-in", "/password")
        assert code in ((200, 303, 403, 404, 422) if opened else (303, 403, 404, 422)), (route, code)


@pytest.mark.parametrize("role", list(Role))
def test_a_role_opens_its_pages_and_no_others(api: Api, role: Role) -> None:
    """With the token that our scripts send, so that nothing else refuses."""
    browser = browser_of(api, role)
    token = browser.token("/account")
    for route, needed in PAGES.items():
        (method, rule), sent = route.split(" ", 1), {"Accept": "application/json", "X-Form-Token": token}
        if not needed:
            continue
        url = "/".join(
            NOBODY if part.startswith("<uuid:") else "x" if part.startswith("<") else part for part in rule.split("/")
        )
        code = browser.client.open(url, method=method, base_url=ORIGIN, headers=sent).status_code
        assert (code != 403) == (needed in ROLES[role]), (route, code)
        assert code not in (401, 500), (route, code)


def test_public_routes_ask_for_nothing(api: Api) -> None:
    expected = {
        "GET /api/docs/assets/<name>": 404,
        "GET /bootstrap/assets/<path:filename>": 404,
        "GET /console/<string:wanted>/<path:name>": 404,
        "GET /api/v1/oauth/callback": 422,
        "POST /api/v1/billing/webhook": 401,  # which nobody signed
        "POST /api/v1/webhooks/<uuid:connection_id>": 401,  # whose address is not right, as its signature
        "GET /readyz": 200,
    }
    for route, asks in ROUTES.items():
        if asks == "public":
            assert status(api, route, None) == expected.get(route, 200), route
