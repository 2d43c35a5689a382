"""What the LLM answered, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.llm_tables import llm_answers, llm_reservations, llm_usages
from core.domain.llm import LlmAnswer
from core.domain.llm_spending import LlmMonth, LlmSpend

_PUT = text("""
    INSERT INTO llm_answers (tenant_id, key, category_id, confidence, rationale, measured, created_at)
    SELECT :tenant, a.key, a.category_id, a.confidence, a.rationale, a.measured, now()
    FROM unnest(
        CAST(:keys AS bytea[]), CAST(:categories AS uuid[]), CAST(:confidences AS float8[]),
        CAST(:rationales AS text[]), CAST(:measured AS boolean[])
    ) AS a(key, category_id, confidence, rationale, measured)
    ON CONFLICT (tenant_id, key) DO UPDATE SET
        category_id = excluded.category_id, confidence = excluded.confidence, rationale = excluded.rationale,
        measured = excluded.measured, created_at = excluded.created_at
""")
_SPEND = tuple(f.name for f in fields(LlmSpend))


class PostgresLlmAnswers:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def get(self, keys: Sequence[bytes], *, since: datetime) -> Mapping[bytes, LlmAnswer]:
        rows = self._connection.execute(
            select(llm_answers).where(
                llm_answers.c.tenant_id == self._tenant_id,
                llm_answers.c.key.in_(keys),
                llm_answers.c.created_at >= since,
            )
        )
        return {
            bytes(row.key): LlmAnswer(
                record_id="",
                category_key=row.category_id and str(row.category_id),
                confidence=row.confidence,
                rationale=row.rationale,
                measured=row.measured,
            )
            for row in rows
        }

    def put(self, answers: Mapping[bytes, LlmAnswer]) -> None:
        if not answers:
            return
        ordered = sorted(answers.items())  # in one order, or two with the same keys would deadlock
        self._connection.execute(
            _PUT,
            {
                "tenant": self._tenant_id,
                "keys": [key for key, _ in ordered],
                "categories": [answer.category_key and UUID(answer.category_key) for _, answer in ordered],
                "confidences": [answer.confidence for _, answer in ordered],
                "rationales": [answer.rationale for _, answer in ordered],
                "measured": [answer.measured for _, answer in ordered],
            },
        )

    def forget(self, before: datetime) -> None:
        self._connection.execute(
            llm_answers.delete().where(llm_answers.c.tenant_id == self._tenant_id, llm_answers.c.created_at < before)
        )


class PostgresLlmUsages:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def reserve(self, id: UUID, month: date, cost: Decimal, cap: Decimal | None) -> bool:
        # The month's row is the lock: who waits for it here reads, in the next statement, what the other set aside.
        self._connection.execute(
            insert(llm_usages).values(tenant_id=self._tenant_id, month=month).on_conflict_do_nothing()
        )
        of_month = (llm_usages.c.tenant_id == self._tenant_id, llm_usages.c.month == month)
        spent: Decimal = self._connection.execute(
            select(llm_usages.c.cost).where(*of_month).with_for_update()
        ).scalar_one()
        reserved: Decimal = self._connection.execute(
            select(func.coalesce(func.sum(llm_reservations.c.cost), 0)).where(
                llm_reservations.c.tenant_id == self._tenant_id, llm_reservations.c.month == month
            )
        ).scalar_one()
        if cap is not None and spent + reserved + cost > cap:
            return False
        self._connection.execute(
            llm_reservations.insert().values(
                tenant_id=self._tenant_id, id=id, month=month, cost=cost, created_at=func.now()
            )
        )
        return True

    def settle(self, id: UUID | None, month: date, spend: LlmSpend) -> None:
        values = {name: getattr(spend, name) for name in _SPEND}
        added = {name: llm_usages.c[name] + value for name, value in values.items()}
        # The month's row first, as `reserve` does: nobody sees the reservation gone and its spending not yet there.
        self._connection.execute(
            insert(llm_usages)
            .values(tenant_id=self._tenant_id, month=month, **values)
            .on_conflict_do_update(index_elements=["tenant_id", "month"], set_=added)
        )
        if id is not None:
            self._connection.execute(
                llm_reservations.delete().where(
                    llm_reservations.c.tenant_id == self._tenant_id, llm_reservations.c.id == id
                )
            )

    def since(self, month: date) -> Sequence[LlmMonth]:
        reserved = (
            select(func.coalesce(func.sum(llm_reservations.c.cost), 0))
            .where(
                llm_reservations.c.tenant_id == llm_usages.c.tenant_id, llm_reservations.c.month == llm_usages.c.month
            )
            .scalar_subquery()
        )
        rows = self._connection.execute(
            select(llm_usages, reserved.label("reserved"))
            .where(llm_usages.c.tenant_id == self._tenant_id, llm_usages.c.month >= month)
            .order_by(llm_usages.c.month.desc())
        ).mappings()
        return [
            LlmMonth(
                month=row["month"],
                spend=LlmSpend(**{name: row[name] for name in _SPEND}),
                reserved=row["reserved"],
            )
            for row in rows
        ]
