"""Score customers in a batch."""

from clv.data.output import write_table
from clv.scoring.local import Scored, score
from clv.scoring.upsert import DatabaseTable

__all__ = ["DatabaseTable", "Scored", "score", "write_table"]
