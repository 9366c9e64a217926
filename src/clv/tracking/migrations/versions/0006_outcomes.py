"""What passengers spent in the end, what was said of it before, and sums of pruned predictions."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.DateTime(timezone=True)

COUNTS = ("customers", "early", "in_support", "covered", "returned")
AMOUNTS = (
    "spent",
    "predicted",
    "increment",
    "p_return",
    "p_variance",
    "level",
    "level_variance",
    "actual",
    "actual_increment",
    "squared_error",
    "absolute_error",
    "squared_p_error",
    "difference",
    "squared_difference",
)


def upgrade() -> None:
    with op.batch_alter_table("requests") as table:
        table.add_column(sa.Column("counts", sa.Boolean, nullable=True))
    op.create_table(
        "outcomes",
        sa.Column("passenger_id", KEY, autoincrement=False, nullable=False),
        sa.Column("monetary", sa.Double, nullable=False),
        sa.Column("rides", sa.Integer, nullable=True),
        sa.Column("registered_at", MOMENT, nullable=True),
        sa.Column("as_of", MOMENT, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("known_at", MOMENT, nullable=False),
        sa.Column("counts_from", MOMENT, nullable=True),
        sa.Column("counts_until", MOMENT, nullable=True),
        sa.Column("asked_by", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("passenger_id", name=op.f("pk_outcomes")),
    )
    op.create_table(
        "outcome_history",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("passenger_id", sa.BigInteger, nullable=False),
        sa.Column("monetary", sa.Double, nullable=False),
        sa.Column("rides", sa.Integer, nullable=True),
        sa.Column("registered_at", MOMENT, nullable=True),
        sa.Column("as_of", MOMENT, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("replaced_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcome_history")),
    )
    op.create_index(op.f("ix_outcome_history_passenger_id"), "outcome_history", ["passenger_id"])
    keys = ("model_version", "beside", "cohort", "known", "score_bin", "band")
    op.create_table(
        "promise_sums",
        *(sa.Column(name, sa.Text, nullable=False) for name in keys[:4]),
        *(sa.Column(name, sa.Integer, autoincrement=False, nullable=False) for name in keys[4:]),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in COUNTS),
        *(sa.Column(name, sa.Double, nullable=False) for name in AMOUNTS),
        sa.PrimaryKeyConstraint(*keys, name=op.f("pk_promise_sums")),
    )


def downgrade() -> None:
    op.drop_table("promise_sums")
    op.drop_index(op.f("ix_outcome_history_passenger_id"), table_name="outcome_history")
    op.drop_table("outcome_history")
    op.drop_table("outcomes")
    with op.batch_alter_table("requests") as table:
        table.drop_column("counts")
