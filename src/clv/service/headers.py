"""What every answer carries, whoever gives it."""

__all__ = ["ALWAYS", "NO_PAGE", "Header"]

Header = tuple[bytes, bytes]

ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
#: For whatever is no page: a browser that is made to show it runs and loads nothing.
NO_PAGE: Header = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
