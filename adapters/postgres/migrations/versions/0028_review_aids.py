"""What review shows beside its questions: examples are counted by what they are like in."""

from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from alembic import op

from core.domain.approvals import group_key
from core.domain.evidence import party_key

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_AT_ONCE = 5_000


class _Stored(NamedTuple):
    """What of a record tells what is like it."""

    kind: str
    text: str
    counterparty: str
    amount: Decimal | None


def upgrade() -> None:
    cursor = op.get_bind().connection.cursor()
    cursor.execute(Path(__file__).with_suffix(".sql").read_text())
    # The owner, too, is under row-level security but for this.
    cursor.execute("ALTER TABLE records NO FORCE ROW LEVEL SECURITY")
    last: tuple[Any, Any] = (None, None)
    while True:
        cursor.execute(
            """
            SELECT e.tenant_id, e.id, r.kind, r.text, r.counterparty, r.amount, r.occurred_on
            FROM examples e JOIN records r ON r.tenant_id = e.tenant_id AND r.id = e.record_id
            WHERE %s::uuid IS NULL OR (e.tenant_id, e.id) > (%s, %s)
            ORDER BY e.tenant_id, e.id LIMIT %s
            """,
            (last[0], *last, _AT_ONCE),
        )
        rows = cursor.fetchall()
        if not rows:
            break
        last = rows[-1][:2]
        keys = [(group_key(_Stored(*row[2:6])), party_key(row[4])) for row in rows]
        cursor.execute(
            """
            UPDATE examples e SET group_key = n.group_key, party_key = n.party_key, occurred_on = n.occurred_on
            FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::date[])
                AS n(tenant_id, id, group_key, party_key, occurred_on)
            WHERE e.tenant_id = n.tenant_id AND e.id = n.id
            """,
            (
                [row[0] for row in rows],
                [row[1] for row in rows],
                [group for group, _ in keys],
                [party for _, party in keys],
                [row[6] for row in rows],
            ),
        )
    cursor.execute("ALTER TABLE records FORCE ROW LEVEL SECURITY")
