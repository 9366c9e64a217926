"""Images and containers through buildah, which needs no container engine.

A command runs in a container as Compose would run it: as the image's user, on a root file system
that cannot be written to, with the volume at /data and an empty /tmp in memory. buildah itself
cannot do that; root makes the file system read-only inside and then becomes the user.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Container", "Image", "Running", "build", "container", "until"]

_CONFINED = """
mount -o remount,ro,bind / && mount -t tmpfs -o mode=1777 tmpfs /tmp \
    && exec chroot --skip-chdir --userspec="$0" / "$@"
"""
_ENVIRONMENT = {**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}


def _buildah(*arguments: str) -> str:
    done = subprocess.run(
        ["buildah", *arguments], env=_ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"buildah {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class Image:
    """An image that was built, and what it says of itself."""

    tag: str
    config: Mapping[str, Any]

    @property
    def command(self) -> list[str]:
        """What starts when nothing else is said."""
        return [*(self.config.get("Entrypoint") or []), *(self.config.get("Cmd") or [])]


@contextmanager
def build(tools: Path, root: Path, target: str) -> Iterator[Image]:
    """Build a target of the Dockerfile; the image is removed at the end."""
    tag = f"clv-acceptance-{target}"
    done = subprocess.run(
        [tools / "build-image", root / "Dockerfile", root, tag, target],
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{target} cannot be built: {done.stdout}{done.stderr}"
    try:
        inspected = json.loads(_buildah("inspect", "--type", "image", f"localhost/{tag}"))
        yield Image(tag, inspected["OCIv1"]["config"])
    finally:
        _buildah("rmi", "--force", f"localhost/{tag}")


@contextmanager
def container(image: Image, volume: Path) -> Iterator["Container"]:
    """A container of an image, with a folder of this machine as its volume."""
    name = _buildah("from", f"localhost/{image.tag}")
    try:
        yield Container(name, image, volume)
    finally:
        _buildah("rm", name)


@dataclass(frozen=True, slots=True)
class Container:
    """Where commands run; each sees the same files."""

    name: str
    image: Image
    volume: Path

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self._confined(command, variables),
            env=_ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )

    def output(self, *command: str) -> str:
        """What a command prints; it must succeed."""
        done = self.run(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    @contextmanager
    def start(self, log: Path, **variables: str) -> Iterator["Running"]:
        """Start what the image starts; ended at the latest when the block ends."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._confined(self.image.command, variables),
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        running = Running(process, log)
        try:
            yield running
        finally:
            if process.poll() is None:
                os.kill(running.pid, signal.SIGKILL)
                process.wait(timeout=30)

    def _confined(self, command: Sequence[str], variables: Mapping[str, str]) -> list[str]:
        return [
            *("buildah", "run", "--user", "0:0", "--cap-add", "CAP_SYS_ADMIN"),
            *("--volume", f"{self.volume}:/data"),
            *(f"--env={name}={value}" for name, value in variables.items()),
            *(self.name, "--", "sh", "-c", _CONFINED, self.image.config["User"], *command),
        ]


@dataclass(frozen=True, slots=True)
class Running:
    """A service in a container. Chroot isolation shares process numbers with this machine."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The service itself, the last in the chain that buildah starts."""
        pid = self.process.pid
        while children := _children(pid):
            pid = children[0]
        return pid

    def fact(self, name: str) -> list[str]:
        """What /proc says of the service, such as its Uid."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(line.split()[1:] for line in lines if line.startswith(f"{name}:"))

    def mount_options(self, point: str) -> list[str]:
        """How a folder is mounted for the service."""
        mounts = [
            line.split() for line in Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines()
        ]
        return [mount[5] for mount in mounts if mount[4] == point][-1].split(",")

    def stop(self) -> None:
        """Send what an orchestrator sends, and wait as long as Compose does before it kills."""
        os.kill(self.pid, signal.SIGTERM)
        self.process.wait(timeout=30)


def _children(pid: int) -> list[int]:
    # A child is listed with the thread that started it; Go starts them from any.
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]


def until(true: Callable[[], bool], log: Path, timeout_s: float = 60) -> None:
    """Wait for something to become true; otherwise show the log."""
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, f"still not after {timeout_s:.0f} s: {log.read_text()}"
        time.sleep(0.1)
