"""The container images, built from the Dockerfile and run as Compose runs them.

The tools that build without a container engine are looked for in the folder that CLV_IMAGE_TOOLS
names and in `../shared/tools` beside the repository.
"""

import json
import os
import re
import socket
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from clv.settings import Settings
from e2e.containers import Container, Image, Running, build, container, until

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
PASSENGER = {"id": 1234, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
USER = 10001
#: As docker-compose.yml has it, which publishes on this machine alone.
OPEN = {"CLV_ALLOW_ANONYMOUS": "true"}


@dataclass(frozen=True, slots=True)
class Service:
    url: str
    running: Running
    container: Container


@pytest.fixture(scope="module")
def tools() -> Path:
    wanted = Path(os.environ.get("CLV_IMAGE_TOOLS", ROOT.parent / "shared" / "tools"))
    if not (wanted / "build-image").exists():
        pytest.skip(f"There is no build-image in {wanted}; CLV_IMAGE_TOOLS names its folder")
    return wanted


@pytest.fixture(scope="module")
def app_image(tools: Path) -> Iterator[Image]:
    with build(tools, ROOT, "app") as image:
        yield image


@pytest.fixture(scope="module")
def train_image(tools: Path) -> Iterator[Image]:
    with build(tools, ROOT, "train") as image:
        yield image


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What /data is; it belongs to the user of the images, as a new named volume does."""
    folder = tmp_path_factory.mktemp("volume")
    os.chown(folder, USER, USER)
    return folder


@pytest.fixture(scope="module")
def trained(train_image: Image, volume: Path) -> str:
    """Train in the one image; what it printed."""
    with container(train_image, volume) as train:
        train.output("clv", "sample-data", "--passengers", "2000")
        return train.output(*train_image.command, "--data", "/data/sample/activity.parquet")


@pytest.fixture(scope="module")
def app(app_image: Image, volume: Path) -> Iterator[Container]:
    with container(app_image, volume) as found:
        yield found


@pytest.fixture(scope="module")
def service(
    app: Container, trained: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Serve from the other."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("log") / "service.log"
    with app.start(log, CLV_PORT=str(port), **OPEN) as running:
        until(lambda: is_up(url), log)
        yield Service(url, running, app)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def health_check() -> list[str]:
    """The Dockerfile's; an image in OCI format does not carry it."""
    found = re.search(r"HEALTHCHECK .*\n\s+CMD (\[.*\])", (ROOT / "Dockerfile").read_text())
    assert found
    return list(json.loads(found[1]))


# ------------------------------------------------------------ train, then serve


def test_training_in_a_container_leaves_a_champion_in_the_volume(
    trained: str, volume: Path
) -> None:
    assert "Version 1 is champion" in trained
    assert {path.stat().st_uid for path in volume.rglob("*")} == {USER}


def test_the_service_in_a_container_answers_and_counts(service: Service) -> None:
    assert httpx.get(f"{service.url}/health").json() == "healthy"
    answer = httpx.post(f"{service.url}/api/predict", json=PASSENGER)
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == 1234
    assert answer.json()["monetary_30"] >= PASSENGER["monetary_7"]
    counted = httpx.get(f"{service.url}/api/requests/1234").json()
    assert counted == {"id": 1234, "count": 1}


def test_an_image_that_is_only_run_reveals_nothing_without_a_key(
    app: Container, trained: str, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path / "service.log"
    with app.start(log, CLV_PORT=str(port)):
        until(lambda: is_up(url), log)
        assert httpx.post(f"{url}/api/predict", json=PASSENGER).status_code == 200
        for method, path in (("GET", "/api/requests/1234"), ("POST", "/reset")):
            answer = httpx.request(method, f"{url}{path}")
            assert answer.status_code == 403
            assert "clv keys create" in answer.json()["detail"]
        until(lambda: "has not answered" not in httpx.get(f"{url}/ready").text, log)
        warnings = httpx.get(f"{url}/ready").json()["warnings"]
        assert [one for one in warnings if "No API key exists" in one], warnings
        # Nothing else but what the machine that runs it allows.
        others = [one for one in warnings if "No API key exists" not in one]
        assert all("ulimit" in one for one in others), others


def test_the_licence_reaches_the_build_which_needs_it() -> None:
    assert "!LICENSE\n" in (ROOT / ".dockerignore").read_text()
    assert "COPY pyproject.toml README.md LICENSE ./" in (ROOT / "Dockerfile").read_text()


def test_compose_opens_the_service_on_this_machine_alone() -> None:
    app = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["app"]
    assert all(port.startswith("127.0.0.1:") for port in app["ports"])
    assert app["environment"]["CLV_ALLOW_ANONYMOUS"] == "${CLV_ALLOW_ANONYMOUS:-true}"


def test_a_file_is_scored_where_no_training_library_is(app: Container, trained: str) -> None:
    app.output("clv", "score", "sample/activity.parquet", "--output", "scores.csv")
    assert len((app.volume / "scores.csv").read_text().splitlines()) == 2_001


def test_the_service_is_not_root_and_holds_no_capability(service: Service) -> None:
    assert service.running.fact("Uid") == [str(USER)] * 4
    assert service.running.fact("Gid") == [str(USER)] * 4
    assert int(service.running.fact("CapEff")[0], 16) == 0


def test_nothing_is_written_outside_the_volume(service: Service) -> None:
    assert "ro" in service.running.mount_options("/")
    kept = {path.name for path in service.container.volume.iterdir()}
    expected = {
        *("mlflow.sqlite", "artifacts", ".registry.lock"),
        *("model_card.md", "model_results.csv", "report.html", "report.json"),
        *("tracking.sqlite", "tracking.sqlite-wal", "tracking.sqlite-shm"),
        *("sample", "scores.csv", "cache"),
    }
    assert kept <= expected
    temporary = Path(f"/proc/{service.running.pid}/root/tmp")
    # What the workers count is shared there, and gone with the service.
    assert [path.name[:12] for path in temporary.iterdir()] == ["clv-metrics-"]


def test_the_health_check_tells_a_service_that_is_up_from_one_that_is_not(
    service: Service,
) -> None:
    up = service.container.run(*health_check(), CLV_PORT=str(httpx.URL(service.url).port))
    assert up.returncode == 0, up.stderr
    down = service.container.run(*health_check(), CLV_PORT=str(free_port()))
    assert down.returncode != 0


def test_compose_checks_health_as_the_image_does() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert compose["services"]["app"]["healthcheck"]["test"] == ["CMD", *health_check()]


def test_compose_passes_every_setting_on() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    fixed = {"CLV_HOME", "CLV_HOST", "CLV_PORT"}
    settings = {
        field.validation_alias.choices[0] if field.validation_alias else f"CLV_{name.upper()}"
        for name, field in Settings.model_fields.items()
    }
    for service in ("app", "train"):
        assert set(compose["services"][service]["environment"]) == settings - fixed


def test_a_container_that_is_told_to_stop_stops_cleanly_and_keeps_its_counts(
    app: Container, trained: str, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path / "service.log"
    with app.start(log, CLV_PORT=str(port), **OPEN) as running:
        until(lambda: is_up(url), log)
        answer = httpx.post(f"{url}/api/predict", json={**PASSENGER, "id": 77})
        assert answer.status_code == 200, answer.text
        running.stop()
    told = log.read_text()
    assert "Application shutdown complete" in told
    assert "Traceback" not in told
    with app.start(log, CLV_PORT=str(port), **OPEN):
        until(lambda: is_up(url), log)
        assert httpx.get(f"{url}/api/requests/77").json()["count"] == 1


# ------------------------------------------------------------ what the image holds


@pytest.mark.parametrize("library", ["sklearn", "lightgbm", "scipy", "pytest", "pip", "uv"])
def test_the_app_image_holds_no_library_that_only_training_needs(
    app: Container, library: str
) -> None:
    look = f"import importlib.util; print(importlib.util.find_spec('{library}'))"
    assert app.output("python", "-c", look) == "None"


@pytest.mark.parametrize("program", ["gcc", "cc", "g++", "make", "uv"])
def test_the_app_image_holds_no_compiler(app: Container, program: str) -> None:
    assert app.output("sh", "-c", f"command -v {program} || echo none") == "none"


def test_the_app_image_holds_no_pickled_model(app: Container) -> None:
    pickled = ("-regex", r".*\.\(pkl\|pickle\|joblib\)")
    not_test_data_of_numpy = ("-not", "-path", "*/numpy/*/tests/*")
    assert app.output("find", "/opt", "/usr", *pickled, *not_test_data_of_numpy) == ""


def test_the_service_cannot_change_its_own_program(app: Container) -> None:
    its_own = ("(", "-user", str(USER), "-o", "-group", str(USER), "-o", "-perm", "-002", ")")
    assert app.output("find", "/opt", "/usr", "-not", "-type", "l", *its_own) == ""


def test_a_start_compiles_nothing(app: Container) -> None:
    look = (
        "import sys, pathlib, clv.cli, clv.service.app\n"
        "specs = [getattr(module, '__spec__', 0) for module in list(sys.modules.values())]\n"
        "specs = [spec for spec in specs if spec and spec.has_location and spec.cached]\n"
        "print(len(specs) > 500, [s.name for s in specs if not pathlib.Path(s.cached).exists()])"
    )
    assert app.output("python", "-c", look) == "True []"


def test_the_images_say_what_they_are(app_image: Image, train_image: Image) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    label = "org.opencontainers.image"
    for image in (app_image, train_image):
        assert image.config["Labels"][f"{label}.version"] == project["version"]
        assert image.config["User"] == f"{USER}:{USER}"
        assert image.config["StopSignal"] == "SIGTERM"
    assert app_image.config["Labels"][f"{label}.description"] == project["description"]


def test_the_test_image_finds_all_tests_and_holds_nothing_else_that_lies_about(
    tools: Path, volume: Path
) -> None:
    with build(tools, ROOT, "test") as image, container(image, volume) as test:
        collected = test.run(*image.command, "--collect-only", "--quiet")
        held = set(test.output("ls", "-A", "/opt/clv").split())
    assert collected.returncode == 0, collected.stdout + collected.stderr
    assert "tests collected" in collected.stdout.splitlines()[-1]
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert held <= allowed
