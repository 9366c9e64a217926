"""What the tests of whole processes and pages share."""

from support.browser import browser

__all__ = ["browser"]
