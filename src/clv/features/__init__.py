"""From a ride log to the activity table: one definition, on DuckDB and on Spark.

definition    what every feature is: expressions, compiled for each engine
log           which column is which, and how a log is to be read
reading       what its values mean, as the whole column decides
times, words  notations of instants; states, kinds and ids in words
coverage      customers whose first days the log does not hold
summary       what is odd about a log, and what is done about it
build         the steps from the log to the table
local         the engine on this machine: DuckDB
spark         the engine on a cluster
"""

from clv.features.build import Features, build
from clv.features.local import duckdb_engine
from clv.features.log import Reading
from clv.features.words import Words

__all__ = ["Features", "Reading", "Words", "build", "duckdb_engine"]
