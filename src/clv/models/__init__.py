"""Candidates, the estimators they are made of, and their tables."""
