"""An index on when was asked: the picture of the last days must not read years of rows."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_requests_requested_at"), "requests", ["requested_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_requests_requested_at"), table_name="requests")
