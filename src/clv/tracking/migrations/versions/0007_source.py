"""How each prediction was requested; predictions tried out on the page may be of no passenger."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("requests") as table:
        table.add_column(sa.Column("source", sa.Text, nullable=True))
        table.alter_column("passenger_id", existing_type=sa.BigInteger, nullable=True)


def downgrade() -> None:
    # Without the column they would count as predictions of passengers.
    op.execute("DELETE FROM requests WHERE source = 'page'")
    with op.batch_alter_table("requests") as table:
        table.alter_column("passenger_id", existing_type=sa.BigInteger, nullable=False)
        table.drop_column("source")
