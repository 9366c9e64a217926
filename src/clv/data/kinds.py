"""The kinds of files that are read, by how their names end."""

__all__ = ["KINDS", "TEXT_FILES", "WORKBOOKS"]

TEXT_FILES = (".csv", ".csv.gz", ".tsv", ".txt")
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
KINDS = ".csv, .parquet, .xlsx, .sqlite or .duckdb file, or a database URL such as postgresql://..."
