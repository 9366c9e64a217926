"""Score customers in a batch."""

from clv.scoring.local import Scored, score
from clv.scoring.output import write_table

__all__ = ["Scored", "score", "write_table"]
