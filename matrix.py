"""`python3 dev.py matrix`: tests on other versions of Airflow and Python than those of ``.venv``.

An environment has a Python, exact versions in ``constraints/``, the wheel of this checkout, and tests marked
``whole_way`` beside it, on some of them all, on others a part. The package's sources are not there: what tests import
is what a user installs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from dev import at_once
from release.building import build

ROOT = Path(__file__).resolve().parent
HOME = ROOT / ".matrix"
# What tests need of a checkout; the package is installed.
BESIDE = (
    "benchmarks",
    "constraints",
    "dags",
    "demo",
    "dev.py",
    "docs",
    "matrix.py",
    "pyproject.toml",
    "release",
    "tests",
)
# The folders of tests that are marked so; others may import what is not installed there.
WHOLE_WAY = tuple(f"tests/{name}" for name in ("demo", "hooks", "integration", "packaging/test_dags.py", "ui"))
UV = (sys.executable, "-m", "uv", "--no-config", "--quiet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An Airflow and a Python on which tests are run.

    :param name: of its file in ``constraints``.
    :param python: such as ``3.12``.
    :param tests: paths below ``tests``.
    """

    name: str
    python: str
    tests: tuple[str, ...] = WHOLE_WAY

    @property
    def lock(self) -> Path:
        """Its exact versions."""
        return ROOT / "constraints" / f"{self.name}.txt"

    @property
    def folder(self) -> Path:
        """Where it is made."""
        return HOME / self.name


ENVIRONMENTS = (
    Environment(name="mwaa-3.2.1", python="3.12"),
    # Both operators and APIs, retries after SIGKILL, deferral in a real Airflow, and the page: the most for the time.
    Environment(
        name="airflow-3.1",
        python="3.11",
        tests=(
            "tests/hooks",
            "tests/packaging/test_dags.py",
            "tests/demo",
            "tests/integration/test_retries.py",
            "tests/integration/test_bulk_triggerer.py",
            "tests/ui/test_page.py",
        ),
    ),
    # FAB's role Public, which older ones do not heed; the newest is tested without FAB.
    Environment(
        name="mwaa-3.3.1",
        python="3.12",
        tests=("tests/demo", "tests/ui/test_page_permissions.py", "tests/ui/test_permissions.py"),
    ),
)


def say(text: str) -> None:
    """Tell the person what goes on."""
    print(f"[matrix] {text}", flush=True)


def find_python(version: str) -> str | None:
    """Return a Python of a version: the one that runs, one on PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    made = sorted(pyenv.glob(f"{version}.*/bin/python"))
    # A pyenv shim is there for each version, and fails where that is not chosen.
    is_it = f"import sys; sys.exit('{{}}.{{}}'.format(*sys.version_info) != '{version}')"
    for candidate in (sys.executable, shutil.which(f"python{version}"), *map(str, made)):
        if candidate and not subprocess.call((candidate, "-c", is_it), stderr=subprocess.DEVNULL):
            return candidate
    return None


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a command; end with its exit code where it fails."""
    code = subprocess.run(command, cwd=cwd, env=env, check=False).returncode
    if code:
        say(f"failed with exit code {code}: {' '.join(map(str, command))}")
        sys.exit(code)


def make_venv(environment: Environment, python: str) -> Path:
    """Install what is pinned, unless that is so already, and return the venv's Python."""
    venv, stamp = environment.folder / "venv", environment.folder / "venv.sha256"
    wanted = hashlib.sha256(environment.lock.read_bytes() + python.encode()).hexdigest()
    made = venv / "bin" / "python"
    if not (made.exists() and stamp.exists() and stamp.read_text() == wanted):
        stamp.unlink(missing_ok=True)
        run(*UV, "venv", "--clear", "--python", python, venv)
        run(*UV, "pip", "sync", "--compile-bytecode", "--require-hashes", "--python", made, environment.lock)
        stamp.write_text(wanted)
    return made


def place_checkout(environment: Environment) -> Path:
    """Copy what tests need beside the package, and return the folder."""
    folder = environment.folder / "checkout"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in BESIDE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    return folder


def go(environment: Environment, python: str, wheel: Path, pytest_arguments: list[str]) -> None:
    """Make an environment and run its tests."""
    started = time.monotonic()
    venv_python = make_venv(environment, python)
    run(*UV, "pip", "install", "--python", venv_python, "--no-deps", "--reinstall", wheel)
    made = time.monotonic()
    say(f"{environment.name}: made in {made - started:.0f} s")
    env = os.environ | {
        "PATH": os.pathsep.join((str(venv_python.parent), os.environ.get("PATH", os.defpath))),
        "VIRTUAL_ENV": str(venv_python.parents[1]),
    }
    pytest = (
        "-m",
        "pytest",
        "-m",
        "whole_way",
        f"--numprocesses={at_once()}",
        "-Wdefault",
        "--disable-warnings",
        *(pytest_arguments or environment.tests),
    )
    run(venv_python, *pytest, cwd=place_checkout(environment), env=env)
    say(f"{environment.name}: tests in {time.monotonic() - made:.0f} s")


def main() -> None:
    """Run environments; one whose Python this machine lacks is passed over, but not in CI."""
    names = [environment.name for environment in ENVIRONMENTS]
    parser = argparse.ArgumentParser(prog="dev.py matrix", description=main.__doc__)
    parser.add_argument(
        "arguments", nargs="*", help=f"{', '.join(names)}, all if none; what else there is goes to pytest"
    )
    known, rest = parser.parse_known_args()
    picked = [name for name in known.arguments if name in names]
    rest += [argument for argument in known.arguments if argument not in names]
    chosen = [environment for environment in ENVIRONMENTS if environment.name in (picked or names)]
    pythons = {environment.python: find_python(environment.python) for environment in chosen}
    lacking = [environment for environment in chosen if not pythons[environment.python]]
    for environment in lacking:
        say(f"{environment.name}: NOT RUN, this machine has no Python {environment.python}")
    if lacking and os.environ.get("CI"):
        sys.exit(1)
    _, wheel = build(ROOT, HOME / "dist")
    for environment in chosen:
        if python := pythons[environment.python]:
            go(environment, python, wheel, rest)


if __name__ == "__main__":
    main()
