"""A registry that is away or names what cannot be loaded: whoever served before serves on."""

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from clv.registry import Registry, RunRecord, open_registry
from clv.settings import Settings
from support.server import Server, serving
from support.waiting import until

PASSENGER = {"id": 7, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}


def ask(server: Server) -> httpx.Response:
    with server.client() as client:
        return client.post("/api/predict", json=PASSENGER)


@pytest.fixture
def home(trained_home: Path, tmp_path: Path) -> Path:
    """A registry of one's own, with a champion."""
    return Path(shutil.copytree(trained_home, tmp_path / "home"))


def test_without_its_registry_a_service_goes_on_and_starts_again(home: Path) -> None:
    registry = home / "mlflow.sqlite"
    with serving(home) as server:
        version = ask(server).json()["model_version"]
        whole = registry.read_bytes()
        registry.write_bytes(b"not a registry any more " * 1000)
        with server.client() as client:
            until(lambda: client.get("/ready").json()["warnings"] != [])
            ready = client.get("/ready")
            assert ready.status_code == 200
            assert ready.json()["model_version"] == version
            assert "registry is away" in ready.json()["warnings"][0]
            models = client.get("/api/models")
            assert models.status_code == 503
            assert str(home) not in models.text
        assert ask(server).json()["model_version"] == version
    with serving(home) as restarted, restarted.client() as client:
        assert ask(restarted).json()["model_version"] == version
        assert "registry is away" in client.get("/ready").json()["warnings"][0]
        assert "kept from before, serves" in restarted.log()
        registry.write_bytes(whole)
        until(lambda: client.get("/ready").json()["warnings"] == [])
        assert client.get("/api/models").json()["serving"] == version
        assert client.get("/api/requests/7").json()["count"] == 3


def test_a_corrupt_new_champion_is_refused_for_all_to_see_and_the_old_one_serves_on(
    home: Path,
) -> None:
    registry = open_registry(Settings(home=home))
    (champion,) = [one.number for one in registry.versions() if "champion" in one.aliases]
    again = RunRecord("again", {}, {})
    number = registry.register(registry.bundle(champion), [], again, {})
    table = registry.bundle(number) / "serving.npz"
    table.write_bytes(table.read_bytes()[:-1] + b"?")
    with serving(home) as server, server.client() as client:
        refused = client.post(f"/api/models/{number}/promote", json={"reason": "newer"})
        assert refused.status_code == 409
        assert str(home) not in refused.text
        assert registry.number_of("champion") == champion
        # Somebody else does it all the same.
        registry.promote(number, "newer")
        until(lambda: client.get("/ready").json()["warnings"] != [])
        ready = client.get("/ready")
        assert (ready.status_code, ready.json()["model_version"]) == (200, champion)
        assert ready.json()["warnings"] == [
            f"Version {number} is champion and was refused: it cannot be loaded."
        ]
        assert "clv_warnings 1.0" in client.get("/metrics").text
        assert f"Version {number} (champion) refused, {champion} stays" in server.log()
        assert ask(server).json()["model_version"] == champion
        registry.rollback()
        until(lambda: client.get("/ready").json()["warnings"] == [])


def test_a_registry_file_that_is_gone_is_warned_of_and_whoever_served_serves_on(home: Path) -> None:
    with serving(home) as server, server.client() as client:
        version = ask(server).json()["model_version"]
        (home / "mlflow.sqlite").rename(home / "away")
        until(lambda: client.get("/ready").json()["warnings"] != [])
        assert client.get("/ready").status_code == 200
        assert client.get("/api/models").status_code == 503
    with serving(home) as restarted, restarted.client() as client:
        assert ask(restarted).json()["model_version"] == version
        assert client.get("/ready").json()["warnings"] == [
            f"The registry names no champion: version {version} serves on."
        ]
        (home / "away").rename(home / "mlflow.sqlite")
        until(lambda: client.get("/ready").json()["warnings"] == [])


def another(home: Path) -> tuple[Registry, str, Path]:
    """A second version, no alias yet; and its bundle."""
    registry = open_registry(Settings(home=home))
    number = registry.register(registry.bundle("1"), [], RunRecord("again", {}, {}), {})
    return registry, number, registry.bundle(number)


@pytest.mark.parametrize("harm", ["altered", "gone", "gone with its run"])
def test_a_restart_with_a_champion_that_cannot_be_loaded_serves_the_one_before(
    home: Path, harm: str
) -> None:
    with serving(home) as server:
        assert ask(server).json()["model_version"] == "1"
    registry, number, bundle = another(home)
    registry.promote(number, "newer")
    whole, away = (bundle.parent.parent if "run" in harm else bundle), home / "away"
    if harm == "altered":
        (bundle / "serving.npz").write_bytes(b"?")
    else:
        whole.rename(away)
    with serving(home) as server, server.client() as client:
        assert ask(server).json()["model_version"] == "1"
        assert client.get("/ready").json()["warnings"] == [
            f"Version {number} is champion and was refused: it cannot be loaded."
        ]
        assert "Traceback" not in server.log()
        if away.exists():
            assert server.log().count(f"Version {number} (champion) refused") == 1
            away.rename(whole)
            until(lambda: ask(server).json()["model_version"] == number)
            assert client.get("/ready").json()["warnings"] == []


def resigned(bundle: Path, content: bytes) -> None:
    """Put another table into a bundle, as who may write to it would."""
    (bundle / "serving.npz").write_bytes(content)
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["files"]["serving.npz"] = hashlib.sha256(content).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def without_numbers(content: bytes) -> bytes:
    """The table with NaN in every cell."""
    file = io.BytesIO()
    with np.load(io.BytesIO(content)) as arrays:
        np.savez(file, **{**arrays, "expected": np.full_like(arrays["expected"], np.nan)})
    return file.getvalue()


def of_an_unknown_method(content: bytes) -> bytes:
    """The archive, packed in a way that nobody knows."""
    spoilt = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = spoilt.find(mark)
        while at >= 0:
            spoilt[at + offset] = 99
            at = spoilt.find(mark, at + 4)
    return bytes(spoilt)


@pytest.mark.parametrize("spoil", [without_numbers, of_an_unknown_method])
def test_a_signed_bundle_that_makes_no_sense_is_refused_and_said_once(
    home: Path, spoil: Callable[[bytes], bytes]
) -> None:
    registry, number, bundle = another(home)
    resigned(bundle, spoil((bundle / "serving.npz").read_bytes()))
    with serving(home) as server, server.client() as client:
        refused = client.post(f"/api/models/{number}/promote")
        assert (refused.status_code, registry.number_of("champion")) == (409, "1")
        registry.promote(number, "all the same")
        until(lambda: client.get("/ready").json()["warnings"] != [])
        looked = server.log().count("refused")
        registry.challenge(number, "looked at again and again")
        registry.rollback()
        until(lambda: client.get("/ready").json()["model_version"] == "1")
        assert ask(server).json()["model_version"] == "1"
        log = server.log()
        assert log.count(f"Version {number} (champion) refused") == 1 <= looked
        assert f"Version {number} cannot be loaded" in log
        assert "Traceback" not in log


# The champion is sound when it is loaded, and computes no number afterwards.
SPOILS = """
import numpy as np
from clv.bundle import Predictor
load = Predictor.load.__func__
def spoilt(cls, *arguments, **named):
    predictor = load(cls, *arguments, **named)
    cells = predictor.scorer.cells
    object.__setattr__(cells, "expected", np.full_like(cells.expected, np.nan))
    return predictor
Predictor.load = classmethod(spoilt)
"""


def test_a_model_without_a_usable_prediction_is_the_services_fault_and_not_the_requests(
    home: Path,
) -> None:
    activity = {name: value for name, value in PASSENGER.items() if name != "id"}
    segment = {"passengers": [PASSENGER], "margin": 0.25, "cost": 1}
    _, number, bundle = another(home)
    (bundle / "serving.npz").write_bytes(b"?")
    with serving(home, prelude=SPOILS) as server, server.client() as client:
        for method, path, named in (
            ("POST", "/api/predict", {"json": PASSENGER}),
            ("POST", "/api/predict/tryout", {"json": PASSENGER}),
            ("POST", "/api/predict/batch", {"json": {"passengers": [PASSENGER]}}),
            ("GET", "/api/explain", {"params": activity}),
            ("POST", "/api/segments/evaluate", {"json": segment}),
        ):
            answer = client.request(method, path, **named)
            assert answer.status_code == 503, (path, answer.text)
            assert int(answer.headers["retry-after"]) > 0
            assert "gives no usable prediction" in answer.json()["detail"]
        assert "Traceback" not in server.log()
        assert client.get("/api/requests/7").json()["count"] == 0
        # What a person chose and cannot be served is a conflict, as ever.
        refused = client.post(f"/api/models/{number}/promote", json={"reason": "newer"})
        assert refused.status_code == 409
        assert f"Version {number} cannot be loaded" in refused.json()["detail"]


def test_a_version_of_another_window_is_not_promoted(home: Path) -> None:
    registry, number, bundle = another(home)
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["horizon_days"] += 60
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with serving(home) as server, server.client() as client:
        refused = client.post(f"/api/models/{number}/promote")
        assert (refused.status_code, registry.number_of("champion")) == (409, "1")
        assert "this service is of" in server.log()
        assert ask(server).json()["model_version"] == "1"


# Whatever is asked of the registry, it does not answer.
HANGS = """
import threading
from clv.registry import Registry
from clv.service import worker
worker._REGISTRY_S = 0.2
Registry.versions = Registry.report = Registry.bundle = lambda *_: threading.Event().wait()
"""


def test_a_registry_that_hangs_holds_up_nobody_who_does_not_ask_it(home: Path) -> None:
    with serving(home) as server:  # keeps the champion for the next start
        assert ask(server).status_code == 200
    with serving(home, prelude=HANGS) as server, server.client() as client:
        for _ in range(4):
            assert client.get("/api/models").status_code == 503
            assert client.post("/api/models/1/promote").status_code == 503
        page = client.get("/model")
        assert (page.status_code, "Version 1" in page.text) == (200, True)
        # These are read in threads, too; many hang by now.
        for name in ("app.css", "app.js", "plotly.min.js"):
            assert client.get(f"/static/{name}").status_code == 200
        assert ask(server).status_code == 200


def test_a_challenger_that_is_gone_does_not_keep_a_new_champion_from_serving(home: Path) -> None:
    registry, two, bundle = another(home)
    _, three, _ = another(home)
    with serving(home) as server, server.client() as client:
        shutil.rmtree(bundle)
        registry.challenge(two, "it may be better")
        registry.promote(three, "newer")
        until(lambda: client.get("/ready").json()["model_version"] == three)
        assert ask(server).json()["model_version"] == three
        until(lambda: client.get("/ready").json()["warnings"] != [])
        gone = client.post(f"/api/models/{two}/promote", json={"reason": "newer"})
        assert gone.status_code == 409
        assert registry.number_of("champion") == three
