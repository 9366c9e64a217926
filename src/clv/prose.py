"""Text and dates as all HTML pages write them."""

from datetime import date

from markupsafe import Markup, escape

__all__ = ["day", "prose"]


def day(at: date | str) -> str:
    """A date as all pages write it: 14 Sep 2026."""
    return f"{date.fromisoformat(str(at)[:10]):%-d %b %Y}"


def prose(text: str) -> Markup:
    """Text in which code stands in backticks."""
    parts = escape(text).split("`")
    # Escaped above; a backtick without its partner stays what it is.
    if len(parts) % 2 == 0:
        return Markup("`").join(parts)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part
        for number, part in enumerate(parts)
    )
