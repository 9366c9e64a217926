"""What was said of a prediction's uncertainty; rows from before have none."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = {
    "p_return": sa.Double,
    "level": sa.Double,
    "low": sa.Double,
    "high": sa.Double,
    "score_bin": sa.Integer,
    "in_support": sa.Boolean,
}


def upgrade() -> None:
    with op.batch_alter_table("requests") as table:
        for name, kind in COLUMNS.items():
            table.add_column(sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("requests") as table:
        for name in reversed(COLUMNS):
            table.drop_column(name)
