"""Text of others, as it may be shown on a terminal."""

import re

__all__ = ["printable"]

# Control characters move the cursor, rename the window or answer in the user's name; those that
# change the direction of writing show a text as another one; half a surrogate cannot be encoded.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
    "\ud800-\udfff]"
)


def printable(text: str, *, keep: str = "") -> str:
    r"""The text with what is not to be printed spelt out, as `\x1b`.

    Parameters
    ----------
    text : str
    keep : str
        Characters that may stay, such as the end of a line.

    Examples
    --------
    >>> printable("red\x1b[31m")
    'red\\x1b[31m'
    """
    return _UNSAFE.sub(
        lambda found: (
            found[0] if found[0] in keep else found[0].encode("unicode_escape").decode("ascii")
        ),
        text,
    )
