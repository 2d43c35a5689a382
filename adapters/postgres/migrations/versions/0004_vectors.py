"""Vectors of examples in tables of their own, of more than one model, in homes of their own where they are many."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # By the driver's own cursor and without parameters: else `%` is a placeholder, and one statement the limit.
    op.get_bind().connection.cursor().execute(Path(__file__).with_suffix(".sql").read_text())
