"""An MLflow server that says what it is told to say, hostile things among them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["RUN", "FakeMlflow", "fake_mlflow"]

RUN = "0123456789abcdef0123456789abcdef"
_ARTEFACTS = "/mlflow-artifacts/artifacts"


@dataclass
class FakeMlflow:
    """What it says of its one version."""

    bundle: Path
    run_id: str = RUN
    version: Any = "1"
    aliases: list[dict[str, Any]] = field(
        default_factory=lambda: [{"alias": "champion", "version": "1"}]
    )
    tags: list[dict[str, str]] = field(default_factory=list)
    more_files: list[dict[str, Any]] = field(default_factory=list)
    says: dict[str, Any] = field(default_factory=dict)  # by the end of a path
    url: str = ""

    def answer(self, path: str, query: dict[str, list[str]]) -> Any:
        """What is sent to a path: JSON, or bytes."""
        for end, said in self.says.items():
            if path.endswith(end):
                return said
        if _ARTEFACTS in path:
            return self._artefact(path.split(_ARTEFACTS)[1], query)
        version = {
            "name": "clv", "version": self.version, "run_id": self.run_id, "status": "READY",
            "creation_timestamp": 1_700_000_000_000, "last_updated_timestamp": 1_700_000_000_000,
            "source": f"mlflow-artifacts:/0/{self.run_id}/artifacts/bundle",
        }  # fmt: skip
        model = {"name": "clv", "aliases": self.aliases, "tags": self.tags}
        run = {
            "run_id": self.run_id, "run_uuid": self.run_id, "experiment_id": "0",
            "status": "FINISHED", "lifecycle_stage": "active", "start_time": 1,
            "artifact_uri": f"mlflow-artifacts:/0/{RUN}/artifacts",
        }  # fmt: skip
        known = {
            "experiments/search": {"experiments": []},
            "registered-models/search": {"registered_models": [{"name": "clv"}]},
            "registered-models/get": {"registered_model": model},
            "model-versions/search": {"model_versions": [version]},
            "model-versions/get": {"model_version": version},
            "logged-models/search": {"models": []},
            "runs/get": {"run": {"info": run, "data": {}}},
        }
        return next((said for end, said in known.items() if path.endswith(end)), None)

    def _artefact(self, below: str, query: dict[str, list[str]]) -> Any:
        if "path" not in query:
            file = self.bundle / below.rsplit("/", 1)[-1]
            return file.read_bytes() if file.is_file() else b"of the server's choice\n"
        if not query["path"][0].endswith("bundle"):
            return {"files": []}  # below a file there is none
        files = [
            {"path": file.name, "is_dir": False, "file_size": file.stat().st_size}
            for file in self.bundle.iterdir()
        ]
        return {"files": files + self.more_files}


@contextmanager
def fake_mlflow(bundle: Path) -> Iterator[FakeMlflow]:
    """Serve on loopback; `bundle` is the folder that it gives out."""
    fake = FakeMlflow(bundle)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            address = urlsplit(self.path)
            said = fake.answer(address.path, parse_qs(address.query))
            missing = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such thing"}
            content = said if isinstance(said, bytes) else json.dumps(said or missing).encode()
            self.send_response(200 if said is not None else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
