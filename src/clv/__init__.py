"""clv: what a customer will be worth, from what they did in their first days.

Importing does nothing; see docs/data-scientists.md for the pieces and how they fit.
"""
