"""What ensembles learned, what they said of records on arrival, and thresholds that follow the promise."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # By the driver's own cursor and without parameters: else `%` is a placeholder, and one statement the limit.
    op.get_bind().connection.cursor().execute(Path(__file__).with_suffix(".sql").read_text())
