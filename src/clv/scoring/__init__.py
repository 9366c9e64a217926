"""Score customers in a batch."""

from clv.scoring.local import Scored, score

__all__ = ["Scored", "score"]
