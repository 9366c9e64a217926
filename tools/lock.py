"""Pin requirements with hashes, or check that the pins still follow pyproject.toml.

    python tools/lock.py            write the three files, keeping pins that still fit
    python tools/lock.py --check    exit 1 where one of them would change

The files carry no address of an index, so they install from whichever one a machine uses.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXTRAS = {
    "requirements.txt": ["--extra", "postgres"],
    "requirements-train.txt": ["--extra", "postgres", "--extra", "features", "--extra", "train"],
    "requirements-dev.txt": ["--all-extras", "--group", "dev"],
}


def compile_requirements(output: Path, extras: list[str]) -> None:
    """Resolve for every platform; pins already in `output` are kept where they fit."""
    uv = Path(sys.executable).with_name("uv")
    options = ("--universal", "--generate-hashes", "--quiet", "--no-emit-index-url")
    command = ("--custom-compile-command", "make lock", "--output-file", output)
    subprocess.run(
        [uv, "pip", "compile", "pyproject.toml", *options, *command, *extras],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def main() -> int:
    """Write or check all three files."""
    stale = []
    with tempfile.TemporaryDirectory() as folder:
        for name, extras in EXTRAS.items():
            if "--check" not in sys.argv:
                compile_requirements(ROOT / name, extras)
                continue
            fresh = Path(folder) / name
            shutil.copy(ROOT / name, fresh)
            compile_requirements(fresh, extras)
            if fresh.read_bytes() != (ROOT / name).read_bytes():
                stale.append(name)
    if stale:
        print(f"{', '.join(stale)}: out of step with pyproject.toml. Run `make lock`.")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
