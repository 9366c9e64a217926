"""Who may use the service: keys, of which only a hash is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("requests_per_s", sa.Double, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        if_not_exists=True,  # see `downgrade`
    )


def downgrade() -> None:
    # Where there is no key the service is open to all: who goes back and returns must not find
    # that the way opened it. So keys are left in their place, where 0002 takes no notice of them.
    if not op.get_bind().scalar(sa.text("SELECT count(*) FROM api_keys")):
        op.drop_table("api_keys")
