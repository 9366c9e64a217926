"""Names that other packages do not promise to keep: refused in words if one is gone."""

import httptools
import pytest
from uvicorn.supervisors.multiprocess import Multiprocess

from clv.errors import ServeError
from clv.service.borrowed import check_borrowed


def test_all_of_them_are_there() -> None:
    check_borrowed()


def test_one_that_is_gone_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Multiprocess, "handle_term")
    with pytest.raises(ServeError, match=r"uvicorn \S+ has no 'Multiprocess.handle_term'"):
        check_borrowed()
    monkeypatch.undo()
    monkeypatch.delattr(httptools, "HttpParserUpgrade")
    with pytest.raises(ServeError, match=r"httptools \S+ has no 'HttpParserUpgrade'"):
        check_borrowed()
