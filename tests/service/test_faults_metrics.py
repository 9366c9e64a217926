"""A cleaner of temporary files that removes the metrics of a running service."""

import shutil
from pathlib import Path

import httpx
import pytest

from support.server import serving
from support.waiting import until

PASSENGER = {"id": 7, "recency_7": 3, "frequency_7": 2, "monetary_7": 41.5}


@pytest.mark.parametrize("workers", [1, 2])
def test_metrics_go_on_after_their_folder_was_removed(
    trained_home: Path, tmp_path: Path, workers: int
) -> None:
    with serving(
        trained_home,
        "--workers",
        str(workers),
        database_url=f"sqlite:///{tmp_path / 'tracking.sqlite'}",
        environment={"TMPDIR": str(tmp_path)},
    ) as server:

        def ask(path: str) -> httpx.Response:
            """By a connection of its own, so that each worker gets some."""
            return httpx.get(f"{server.url}{path}", trust_env=False, timeout=30)

        until(lambda: ask("/ready").status_code == 200)
        (folder,) = tmp_path.glob("clv-metrics-*")
        for removed in (folder, *folder.glob("counter_*.db")):
            shutil.rmtree(removed) if removed.is_dir() else removed.unlink(missing_ok=True)
            until(lambda: len(list(folder.glob("counter_*.db"))) == workers)
            until(lambda: server.log().count("it was made again") >= workers)

            def counts() -> bool:
                with server.client() as client:
                    client.post("/api/predict", json=PASSENGER)
                answer = ask("/metrics")
                serving = f'clv_model_workers{{alias="champion",model_version="1"}} {workers}.0'
                return serving in answer.text and "clv_predictions_total{" in answer.text

            until(counts)
            assert "Metrics" not in ask("/ready").text
        assert "Traceback" not in server.log()


def test_while_the_folder_cannot_be_made_again_it_is_said(
    trained_home: Path, tmp_path: Path
) -> None:
    parent = tmp_path / "temporary"
    parent.mkdir()
    with serving(
        trained_home,
        database_url=f"sqlite:///{tmp_path / 'tracking.sqlite'}",
        environment={"TMPDIR": str(parent)},
    ) as server:
        with server.client() as client:
            until(lambda: client.get("/ready").status_code == 200)
            shutil.rmtree(parent)
            answer = client.get("/metrics")
            assert answer.status_code == 503
            assert "cannot be made again" in answer.json()["detail"]
            assert "Metrics are not exposed" in client.get("/ready").text
            assert client.post("/api/predict", json=PASSENGER).status_code == 200
            parent.mkdir()
            until(lambda: client.get("/metrics").status_code == 200)
            assert "Metrics" not in client.get("/ready").text
        assert server.log().count("cannot be made again") == 1
