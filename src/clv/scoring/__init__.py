"""Whole tables of predictions: on this machine, on Spark, as SQL in a warehouse."""

from clv.data.output import write_table
from clv.scoring.local import Scored, score
from clv.scoring.upsert import DatabaseTable

__all__ = ["DatabaseTable", "Scored", "score", "write_table"]
