"""The tracked requests."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("passenger_id", sa.BigInteger, nullable=False),
        sa.Column("recency", sa.Integer, nullable=False),
        sa.Column("frequency", sa.Integer, nullable=False),
        sa.Column("monetary", sa.Double, nullable=False),
        sa.Column("predicted", sa.Double, nullable=False),
        sa.Column("expected_increment", sa.Double, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
    )
    op.create_index(op.f("ix_requests_passenger_id"), "requests", ["passenger_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_requests_passenger_id"), table_name="requests")
    op.drop_table("requests")
