"""A bundle that is signed but senseless, or broken in a way of its own, is never served."""

import io
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundle.test_bundle import npz, put, rewrite, serving
from clv.bundle import Cells, Predictor
from clv.errors import BundleError

Arrays = dict[str, np.ndarray]


def refusal(folder: Path) -> str:
    """Whatever is wrong, it is a `BundleError` that names the version."""
    with pytest.raises(BundleError) as caught:
        Predictor.load(folder, version="12")
    assert str(caught.value).startswith("Version 12 cannot be loaded: ")
    return str(caught.value)


def arrays_of(folder: Path) -> Arrays:
    with np.load(folder / "serving.npz") as file:
        return {name: file[name] for name in file.files}


def with_value(name: str, value: float) -> Callable[[Arrays], Any]:
    """Puts a value into the middle of an array, where no golden row need look."""

    def change(arrays: Arrays) -> None:
        arrays[name][len(arrays[name]) // 2] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (with_value("expected", np.nan), "expected holds nan in place"),
        (with_value("expected", np.inf), "expected holds inf in place"),
        (with_value("expected", -1e6), "expected holds -1e+06 in place"),
        (with_value("expected", 1e300), "expected holds 1e+300 in place"),
        (with_value("p_return", 2.0), "p_return holds 2 in place"),
        (with_value("p_return", -0.1), "p_return holds -0.1 in place"),
        (with_value("p_return", np.nan), "p_return holds nan in place"),
        (with_value("weights", np.inf), "weights holds inf in place"),
        (with_value("monetary_thresholds", np.nan), "monetary_thresholds holds nan"),
        (with_value("monetary_thresholds", np.inf), "rise"),
        (lambda arrays: arrays.update(weights=np.array([0.0])), "1 weights; expected 3"),
        (lambda arrays: arrays.update(weights=np.array(0.0)), "expected numbers in a row"),
        (lambda arrays: arrays.update(expected=arrays["expected"][None]), "numbers in a row"),
        (lambda arrays: arrays.update(more=np.zeros(1)), "it holds expected.npy"),
        (lambda arrays: arrays.update(expected=arrays["expected"] * 1j), "is complex128"),
    ],
)
def test_a_table_that_gives_no_prediction_somewhere_is_refused(
    bundle: Path, change: Callable[[Arrays], None], says: str
) -> None:
    arrays = arrays_of(bundle)
    change(arrays)
    put(bundle, "serving.npz", npz(**arrays))
    assert says in refusal(bundle)


def bins(content: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = serving(content)["calibration"]["bins"]
    return found


def support(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = serving(content)["support"]
    return found


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: bins(content)[0]["ratios"].reverse(), "ratios of bin 0 must not decrease"),
        (lambda content: bins(content)[1].update(ratios=[1e308] * 3), "ratios of bin 1"),
        (lambda content: bins(content)[1].update(returning=2), "returning"),
        (lambda content: bins(content)[1].update(variance=-1), "variance"),
        (lambda content: bins(content)[1].update(rows=0), "rows"),
        (lambda content: support(content).update(needed=-5), "needed"),
        (lambda content: support(content).update(observation_days=9), "of 9 days"),
        (lambda content: support(content)["counts"].__setitem__(0, -1), "counts must be from 0"),
        (lambda content: support(content)["counts"].__setitem__(0, 10**30), "counts"),
        (lambda content: support(content)["edges"][2].reverse(), "edges must increase"),
        (lambda content: content.update(golden=[]), "golden"),
        (lambda content: content.update(golden="x"), "golden"),
        (lambda content: content["golden"][0].update(p_return=2), "golden.0.p_return"),
        (lambda content: content.update(model="<b>\n{{7*7}}"), "model"),
        (lambda content: content.update(model="x" * 1_000), "model"),
        (lambda content: content["reference"]["monetary"]["shares"].pop(), "shares"),
        (
            lambda content: content["reference"]["monetary"]["edges"].reverse(),
            "edges must increase",
        ),
        (lambda content: content.update(files={"../../etc/passwd": "0" * 64}), "at fault"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    bundle: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    rewrite(bundle, change)
    assert says in refusal(bundle)


def test_a_manifest_that_is_nested_without_end_is_refused(bundle: Path) -> None:
    path = bundle / "manifest.json"
    deep = "[" * 100_000 + "]" * 100_000
    path.write_text(path.read_text().replace('"depth": 3', f'"depth": {deep}'))
    assert deep in path.read_text()
    assert "parameters" in refusal(bundle) or "recursion" in refusal(bundle)


def test_a_manifest_too_large_for_any_model_is_not_read(bundle: Path) -> None:
    os.truncate(bundle / "manifest.json", 2**40)  # a sparse file: nothing is on the disk
    assert "1,099,511,627,776 bytes; at most" in refusal(bundle)


def test_a_pipe_in_place_of_a_table_does_not_hang(bundle: Path) -> None:
    (bundle / "holdout.npz").unlink()
    os.mkfifo(bundle / "holdout.npz")
    assert "it is not a file" in refusal(bundle)


# ---------------------------------------------------------------- archives


def test_a_table_that_unpacks_to_gigabytes_is_refused_before_it_does(bundle: Path) -> None:
    arrays = arrays_of(bundle)
    file = io.BytesIO()
    header = io.BytesIO()
    count = 2**27  # a gigabyte of numbers
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (count,)}
    )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            if name != "expected":
                part = io.BytesIO()
                np.save(part, array)
                archive.writestr(f"{name}.npy", part.getvalue())
        with archive.open("expected.npy", "w", force_zip64=True) as member:
            member.write(header.getvalue())
            zeros = bytes(2**24)
            for _ in range(count * 8 // len(zeros)):
                member.write(zeros)
    put(bundle, "serving.npz", file.getvalue())
    tracemalloc.start()
    says = refusal(bundle)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "expected.npy unpacks to 1,073,741," in says
    assert peak < 2**26


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_table_that_lies_about_its_size_is_not_unpacked_beyond_it(
    bundle: Path, method: int
) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, array in arrays_of(bundle).items():
            part = io.BytesIO()
            np.save(part, array)
            much = bytes(2**28) if name == "expected" else b""
            archive.writestr(f"{name}.npy", part.getvalue() + much)
        size = archive.getinfo("expected.npy").file_size
    content = file.getvalue().replace(struct.pack("<I", size), struct.pack("<I", size - 2**28))
    assert content != file.getvalue()
    put(bundle, "serving.npz", content)
    tracemalloc.start()
    says = refusal(bundle)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "is not a usable table" in says
    assert peak < 2**26


def claiming(shape: int) -> bytes:
    """Ten numbers that say that they are more."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (shape,)}
    )
    return header.getvalue() + bytes(80)


def patched(content: bytes, local: int, central: int, value: int) -> bytes:
    """An archive of which a byte in each member's headers is another."""
    data = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] = value
            at = data.find(mark, at + 4)
    return bytes(data)


def repacked(folder: Path, *, twice: str = "", **members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays_of(folder).items():
            part = io.BytesIO()
            np.save(part, array)
            archive.writestr(f"{name}.npy", members.get(name, part.getvalue()))
    if twice:
        with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "a") as archive:
            archive.writestr(f"{twice}.npy", claiming(10))
    return file.getvalue()


def broken_stream(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        at = archive.getinfo("expected.npy").header_offset + 30 + len("expected.npy") + 5
    return content[:at] + b"\xff" * 50 + content[at + 50 :]


def broken_length(content: bytes) -> bytes:
    at = content.rfind(b"PK\x05\x06")
    return content[: at + 12] + struct.pack("<I", 2**31) + content[at + 16 :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: repacked(folder, expected=claiming(10**15)),
        lambda folder: repacked(folder, expected=b"\x93NUMPY\x01\x00\xff\xff{" + b"(" * 9_000),
        lambda folder: repacked(folder, expected=b"no array"),
        lambda folder: repacked(folder, expected=b""),
        lambda folder: repacked(folder, twice="expected"),
        lambda folder: patched(repacked(folder), 8, 10, 99),
        lambda folder: patched(repacked(folder), 6, 8, 1),
        lambda folder: broken_stream(repacked(folder)),
        lambda folder: broken_length(repacked(folder)),
        lambda folder: repacked(folder)[:-30],
        lambda folder: repacked(folder)[:1_000],
    ],
    ids=["claim", "deep", "text", "empty", "twice", "method", "encrypted", "deflate", "length",
         "cut", "short"],
)  # fmt: skip
def test_a_broken_archive_is_refused_in_words(bundle: Path, spoil: Callable[[Path], bytes]) -> None:
    put(bundle, "serving.npz", spoil(bundle))
    assert "is not a usable table" in refusal(bundle)


@pytest.mark.parametrize("error", [MemoryError, RecursionError, RuntimeError, KeyError("x")])
def test_whatever_else_fails_is_a_bundle_error_too(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Cells, "from_bytes", fail)
    assert "cannot be used" in refusal(bundle)


# ---------------------------------------------------------------- the last check


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_a_number_that_is_none_is_never_predicted(bundle: Path, value: float) -> None:
    predictor = Predictor.load(bundle)
    predictor.scorer.cells.expected[:] = value
    with pytest.raises(BundleError, match="no usable prediction for recency=1, frequency=1"):
        predictor.predict_one(1, 1, 8.5)
    X = np.array([[1.0, 1.0, 8.5]])
    with pytest.raises(BundleError, match="no usable prediction for recency=1, frequency=1"):
        predictor.scorer.predict(X)
