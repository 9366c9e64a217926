"""Score customers in a batch."""

from clv.scoring.local import Scored, score
from clv.scoring.output import write_table
from clv.scoring.upsert import DatabaseTable

__all__ = ["DatabaseTable", "Scored", "score", "write_table"]
