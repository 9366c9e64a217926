"""A bundle is written whole, read as it was written, and refused when anything about it is odd."""

import hashlib
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bundle.making import bundle_of, manifest_of, returning_like_anybody
from clv.bundle import Cells, Histogram, Manifest, Predictor, write_bundle
from clv.bundle.manifest import sha256_of
from clv.errors import BundleError
from clv.models.estimators import MeanRegressor
from clv.models.tabulate import tabulate
from clv.schema import Window

FILES = ("manifest.json", "serving.npz", "holdout.npz")


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Predictor.load(folder)
    return str(caught.value)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest as an editor would."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def serving(content: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = content["uncertainty"]["serving"]
    return part


def put(folder: Path, name: str, content: bytes) -> None:
    """Put a file in, and vouch for it."""
    (folder / name).write_bytes(content)
    checksum = sha256_of(folder / name)
    rewrite(folder, lambda manifest: manifest["files"].update({name: checksum}))


# ---------------------------------------------------------------- round trip


def test_a_bundle_is_read_as_it_was_written(model: Any, tmp_path: Path) -> None:
    said = manifest_of(model)
    cells = tabulate(model, returning_like_anybody())
    written = write_bundle(tmp_path / "b", said, {"serving": cells, "holdout": cells})
    assert {path.name for path in (tmp_path / "b").iterdir()} == set(FILES)
    assert Manifest.read(tmp_path / "b") == written
    assert written.model_dump(exclude={"files"}) == said.model_dump(exclude={"files"})
    assert written.files["serving.npz"] == hashlib.sha256(cells.to_bytes()).hexdigest()
    assert written.window == Window(7, 30)


def test_a_loaded_bundle_knows_its_version(bundle: Path) -> None:
    assert Predictor.load(bundle, version="12").version == "12"
    assert Predictor.load(bundle).version == "unregistered"


def test_a_manifest_is_json_that_any_reader_can_parse(bundle: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads((bundle / "manifest.json").read_text(), parse_constant=refuse)
    assert content["format"] == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("field", ["metrics", "parameters"])
def test_a_manifest_holds_no_number_that_is_none(model: Any, field: str, value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        manifest_of(model, **{field: {"gini": value}})


def test_a_manifest_does_not_change_once_made(bundle: Path) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Manifest.read(bundle).model = "another"  # type: ignore[misc]


# ---------------------------------------------------------------- whole or not at all


def test_a_failure_while_writing_leaves_no_bundle(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("clv.bundle.write.sha256_of", full)
        with pytest.raises(OSError, match="No space left"):
            bundle_of(model, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    # What was left of it is in nobody's way.
    Predictor.load(bundle_of(model, tmp_path / "bundle"))
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_half_a_bundle_is_not_written(model: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holdout\.npz"):
        write_bundle(
            tmp_path / "b",
            manifest_of(model),
            {"serving": tabulate(model, returning_like_anybody())},
        )
    assert not (tmp_path / "b").exists()


def test_a_bundle_is_not_written_over_another(bundle: Path, model: Any) -> None:
    before = (bundle / "manifest.json").read_bytes()
    with pytest.raises(OSError, match="not empty"):
        bundle_of(model, bundle, parameters={})
    assert (bundle / "manifest.json").read_bytes() == before
    Predictor.load(bundle)


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize("name", ["serving.npz", "holdout.npz"])
@pytest.mark.parametrize("where", [0, 0.5, -1])
def test_a_changed_byte_is_noticed_in_either_table(bundle: Path, name: str, where: float) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[where if where == -1 else int(where * len(content))] ^= 1
    (bundle / name).write_bytes(content)
    said = refusal(bundle)
    assert f"'{bundle / name}' was altered" in said
    assert "Register the bundle again, or roll back" in said


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    said = refusal(bundle)
    assert name in said
    assert "Register the bundle again" in said


def test_a_bundle_that_is_not_there_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path / "nowhere")
    assert f"'{tmp_path / 'nowhere' / 'manifest.json'}' cannot be read" in said


@pytest.mark.parametrize("name", ["model.pkl", "notes.txt", ".hidden", "weights"])
def test_a_foreign_file_is_refused_whatever_it_is(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes(pickle.dumps({"a": 1}))
    said = refusal(bundle)
    assert f"at fault: {name}" in said
    assert "no more and no less" in said


def test_a_file_that_the_manifest_vouches_for_but_nobody_needs_is_refused(bundle: Path) -> None:
    put(bundle, "model.pkl", pickle.dumps(1))
    assert "at fault: model.pkl" in refusal(bundle)


def test_a_table_without_checksum_is_refused(bundle: Path) -> None:
    rewrite(bundle, lambda content: content["files"].pop("serving.npz"))
    assert "at fault: serving.npz" in refusal(bundle)


def test_a_folder_in_place_of_a_table_is_refused(bundle: Path) -> None:
    (bundle / "serving.npz").unlink()
    (bundle / "serving.npz").mkdir()
    assert f"'{bundle / 'serving.npz'}' cannot be read" in refusal(bundle)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda content: content.update(surprise=1), "surprise"),
        (lambda content: content["data"].update(surprise=1), "data.surprise"),
        (lambda content: content.update(format=1), "format"),
        (lambda content: content.pop("golden"), "golden"),
        (lambda content: content["uncertainty"].pop("holdout"), "uncertainty"),
        (lambda content: serving(content)["calibration"]["edges"].pop(), "edges do not match"),
        (lambda content: serving(content)["calibration"]["edges"].reverse(), "edges must increase"),
        (lambda content: serving(content)["calibration"].update(floor=0), "a floor above 0"),
        (lambda content: serving(content)["support"]["counts"].pop(), "counts for"),
        (lambda content: content.update(target="profit"), "target"),
        (lambda content: content["metrics"].update(test_mse="much"), "metrics.test_mse"),
        (lambda content: content.update(created_at="2026-11-01T12:00:00"), "created_at"),
        (lambda content: content.update(horizon_days=7), "horizon_days=7"),
        (lambda content: content.update(features=["monetary", "frequency", "recency"]), "features"),
    ],
)  # fmt: skip
def test_a_manifest_that_is_not_understood_is_refused_by_the_name_of_the_field(
    bundle: Path, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    rewrite(bundle, change)
    said = refusal(bundle)
    assert f"'{bundle / 'manifest.json'}' is no manifest of format 4" in said
    assert named in said
    assert "Train again, or use the version of clv that wrote it." in said


def test_a_manifest_far_larger_than_any_real_one_is_not_read(bundle: Path) -> None:
    manifest = bundle / "manifest.json"
    content, most = manifest.read_bytes(), 4 * 1024**2
    assert len(content) < most / 10
    manifest.write_bytes(content + b" " * (most - len(content)))
    assert Predictor.load(bundle).predict_one(1, 1, 8.5)
    manifest.write_bytes(content + b" " * (most + 1 - len(content)))
    assert "has 4,194,305 bytes; at most 4,194,304 are read. Register the bundle" in refusal(bundle)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"format": NaN}', b"null"])
def test_what_is_no_manifest_is_refused(bundle: Path, content: bytes) -> None:
    (bundle / "manifest.json").write_bytes(content)
    assert "is no manifest of format 4" in refusal(bundle)


@pytest.mark.parametrize(
    "content", [b"", b"no table", pickle.dumps([1, 2])], ids=["empty", "text", "pickle"]
)
def test_what_is_no_table_is_refused_though_somebody_vouched_for_it(
    bundle: Path, content: bytes
) -> None:
    put(bundle, "serving.npz", content)
    said = refusal(bundle)
    assert f"'{bundle / 'serving.npz'}' is not a usable table" in said
    assert "Register the bundle again, or roll back" in said


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def table(**changes: Any) -> bytes:
    """A table of four cells; `changes` replace arrays of it, None takes one away."""
    arrays = {
        "recency_thresholds": np.array([3.5]),
        "frequency_thresholds": np.empty(0),
        "monetary_thresholds": np.array([10.0]),
        "expected": np.arange(4.0),
        "p_return": np.full(4, 0.5),
        "weights": np.zeros(3),
    }
    return npz(
        **{name: array for name, array in {**arrays, **changes}.items() if array is not None}
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"expected": None}, "expected"),
        ({"monetary_thresholds": None}, "monetary_thresholds"),
        ({"expected": np.arange(5.0)}, "5 expectations and 4 probabilities for 4 cells"),
        ({"p_return": np.arange(3.0)}, "4 expectations and 3 probabilities for 4 cells"),
        ({"monetary_thresholds": np.array([9.0, 8.0]), "expected": np.arange(6.0),
          "p_return": np.arange(6.0)}, "thresholds must rise"),
        ({"recency_thresholds": np.array(["a"])}, "expected numbers in a row"),
        ({"expected": np.array([print] * 4)}, "expected is object"),
    ],
)  # fmt: skip
def test_a_table_of_something_else_is_refused(
    bundle: Path, change: dict[str, Any], fault: str
) -> None:
    assert Cells.from_bytes(table()).expected.tolist() == [0, 1, 2, 3]
    put(bundle, "serving.npz", table(**change))
    said = refusal(bundle)
    assert "is not a usable table" in said
    assert fault in said


def test_a_table_that_computes_something_else_is_refused(bundle: Path) -> None:
    two = MeanRegressor().fit(np.ones((3, 3)), [1.0, 2.0, 3.0])
    put(bundle, "serving.npz", tabulate(two, returning_like_anybody()).to_bytes())
    said = refusal(bundle)
    assert f"'{bundle}' does not give the predictions that it gave when it was written" in said
    assert "golden row 0 gives 2 as expected_increment, expected" in said
    assert "Register the bundle again, or roll back" in said


def test_golden_rows_that_differ_are_refused(bundle: Path) -> None:
    rewrite(bundle, lambda content: content["golden"][2].update(expected_increment=1e6))
    assert "golden row 2" in refusal(bundle)


def test_a_table_that_gives_no_number_is_refused(bundle: Path) -> None:
    nowhere = MeanRegressor()
    nowhere.mean_ = float("nan")
    put(bundle, "serving.npz", tabulate(nowhere, returning_like_anybody()).to_bytes())
    rewrite(bundle, lambda content: content.update(target="total"))
    assert "expected holds nan in place 0; expected a number from" in refusal(bundle)


# ---------------------------------------------------------------- histograms


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).exponential(20, 5_000),
        np.random.default_rng(0).integers(0, 8, 5_000).astype(float),
        np.repeat([0.0, 5.0], [900, 100]),
        np.zeros(50),
        np.array([3.0]),
    ],
    ids=["amounts", "days", "mostly nothing", "constant", "one"],
)
def test_a_histogram_holds_everybody_once(values: np.ndarray) -> None:
    found = Histogram.of(values)
    assert sum(found.shares) == pytest.approx(1)
    assert len(found.shares) == len(found.edges) + 1
    assert list(found.edges) == sorted(set(found.edges))
    # As the docstring has it: bin i is (edges[i-1], edges[i]], the outer ones are open.
    bounds = [-np.inf, *found.edges, np.inf]
    for low, high, share in zip(bounds[:-1], bounds[1:], found.shares, strict=True):
        assert ((values > low) & (values <= high)).mean() == pytest.approx(share)


def test_without_ties_every_bin_holds_a_tenth() -> None:
    found = Histogram.of(np.random.default_rng(0).permutation(10_000).astype(float))
    assert found.shares == pytest.approx([0.1] * 10, abs=1e-3)


def test_customers_from_the_same_distribution_fall_into_the_same_bins() -> None:
    rng = np.random.default_rng(1)
    found, later = Histogram.of(rng.exponential(20, 20_000)), rng.exponential(20, 20_000)
    counts = np.bincount(np.searchsorted(found.edges, later), minlength=10)
    assert counts / 20_000 == pytest.approx(found.shares, abs=0.01)
