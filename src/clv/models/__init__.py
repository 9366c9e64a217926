"""Candidates, the estimators that they are made of, and their tables of cells."""
