"""What others wrote reaches no terminal as it is."""

import io
import logging
import logging.config
import sys

import pytest

from clv.printable import printable
from clv.service.logs import configuration
from clv.settings import Settings


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;pwn\x07", r"\x1b[2J\x1b]0;pwn\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb\tc\nd", r"a\rb\tc\nd"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2066a\u2069", r"\u2066a\u2069"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("half \ud83d", r"half \ud83d"),
        ("Zürich 🚕 – 100 €", "Zürich 🚕 – 100 €"),
        (r"C:\new", r"C:\new"),
        ("", ""),
    ],
)
def test_what_is_not_to_be_printed_is_spelt_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_may_stay_stays() -> None:
    assert printable("one\ntwo\x1b", keep="\n") == "one\ntwo\\x1b"


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_log_line_is_not_taken_over(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    wanted = configuration(Settings(log_format=form))
    formatter = logging.config.DictConfigurator(wanted).configure_formatter(
        wanted["formatters"][form]
    )
    try:
        raise ValueError("first\x1b[2J\nsecond")
    except ValueError:
        record = logging.LogRecord(
            "clv", logging.ERROR, "here", 1, "%s", ("bad\x1b[2J\nERROR: forged",), sys.exc_info()
        )
    line = formatter.format(record)
    assert "\x1b" not in line
    assert "forged" in line.splitlines()[0]
