"""Write the exact versions in this folder anew: `python3 dev.py lock`.

``newest.txt`` is for development, on each Python that is supported. ``airflow-3.1.txt`` has the lowest versions that
pyproject.toml allows, of the time when that Airflow came out; what only tests need is new. The others keep to what
Amazon MWAA pins (``*-pins.txt``).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
UV = (sys.executable, "-m", "uv", "--no-config", "--quiet", "pip", "compile", "pyproject.toml", "--no-annotate")
# No index, no path: neither belongs to the project.
EXACT = ("--generate-hashes", "--upgrade", "--custom-compile-command=python3 dev.py lock")
EVERYTHING = ("build", "demo", "docs", "lint", "lock", "newest", "test")
TO_TEST = ("demo", "fab", "test")
# When Airflow 3.1.3 was new, what was newer than it did not exist; but one package is needed in a later version, and
# S3's did not take wrapt 2 yet.
THEN = (
    "--exclude-newer=2025-11-20",
    "--exclude-newer-package=apache-airflow-providers-common-compat=2026-02-01",
    "--exclude-newer-package=wrapt=2025-10-15",
)
# Of what only tests need: newer ones want a newer PyJWT without saying so, or a driver for every database there is.
NOT_NEW = (
    "--exclude-newer-package=flask-jwt-extended=2025-11-20",
    "--exclude-newer-package=sagemaker-studio=2025-10-01",
)


def compile_to(target: Path, *how: str, groups: tuple[str, ...] = ()) -> None:
    """Resolve the project's dependencies, and those of groups, into a file."""
    wanted = [f"--group={group}" for group in groups]
    subprocess.run((*UV, *how, *wanted, f"--output-file={target}"), cwd=ROOT, check=True)
    print(f"written: {target.name}", flush=True)


def main() -> None:
    """Write all of them."""
    compile_to(HERE / "newest.txt", "--all-extras", "--universal", "--python-version=3.11", *EXACT, groups=EVERYTHING)
    exact = ("--extra=emulator", *EXACT)
    with tempfile.TemporaryDirectory() as folder:
        lowest = Path(folder) / "lowest.txt"
        compile_to(lowest, "--extra=emulator", "--python-version=3.11", "--resolution=lowest-direct", *THEN)
        oldest = HERE / "airflow-3.1.txt"
        compile_to(oldest, f"--constraints={lowest}", "--python-version=3.11", *exact, *NOT_NEW, groups=TO_TEST)
    for pins in sorted(HERE.glob("*-pins.txt")):
        target = pins.with_name(pins.name.replace("-pins", ""))
        compile_to(target, f"--constraints={pins}", "--python-version=3.12", *exact, groups=TO_TEST)


if __name__ == "__main__":
    main()
