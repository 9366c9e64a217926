"""What the challenger would have answered; rows without one have none."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = {
    "challenger_version": sa.Text,
    "challenger_predicted": sa.Double,
    "challenger_p_return": sa.Double,
    "challenger_low": sa.Double,
    "challenger_high": sa.Double,
}


def upgrade() -> None:
    with op.batch_alter_table("requests") as table:
        for name, kind in COLUMNS.items():
            table.add_column(sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("requests") as table:
        for name in reversed(COLUMNS):
            table.drop_column(name)
