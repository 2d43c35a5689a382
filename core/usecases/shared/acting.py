"""The tenant as its stages may act now: one that broke the promise too often decides nothing alone until eased."""

from __future__ import annotations

from dataclasses import replace

from core.domain.decisions import Outcome, Stage, StageResult
from core.domain.drift import wanted
from core.domain.tenants import Tenant
from ports.storage import Transaction

NOT_ALONE = "this stage only suggests here: it may not decide alone"


def acting_tenant(tx: Transaction) -> Tenant:
    """The tenant, with those stages in `alone` that may decide without a person now."""
    tenant, strictness = tx.tenants.get(), tx.promises.strictness()
    settings = tenant.settings
    alone = tuple(s for s in settings.alone if wanted(settings.promise, strictness.get(Stage(s), 0)) is not None)
    return replace(tenant, settings=replace(settings, alone=alone))


def held_back(result: StageResult, tenant: Tenant) -> StageResult:
    """The result; of a stage that may not decide alone it is a suggestion."""
    if result.outcome is not Outcome.DECIDED or result.stage in tenant.settings.alone:
        return result
    return replace(result, outcome=Outcome.UNSURE, reason=NOT_ALONE)
