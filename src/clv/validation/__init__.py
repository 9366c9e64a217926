"""Predictions against actuals: how the champion does on customers whose outcome is known."""

from clv.validation.page import write_page
from clv.validation.validate import Line, Miss, Validation, validate

__all__ = ["Line", "Miss", "Validation", "validate", "write_page"]
