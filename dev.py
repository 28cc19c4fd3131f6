#!/usr/bin/env python3
"""The one door to this project, for people and for CI: set-up, tests, checks, demo.

Needs Python 3.11 or later with pip and nothing else. Everything goes into ``.venv`` beside this file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "sfleads-setup.json"
LOCK = ROOT / "constraints" / "newest.txt"
OLDEST = (3, 11)
# Commands that are programs of their own.
PROGRAMS = {
    "bench": ("benchmarks",),
    "build": ("release", "build"),
    "demo": ("demo",),
    "lock": ("constraints.lock",),
    "matrix": ("matrix",),
    "release-check": ("release", "check"),
}


def say(text: str) -> None:
    """Tell the person what goes on, apart from what the tools print."""
    print(f"[dev.py] {text}", flush=True)


def environment() -> dict[str, str]:
    """Return the environment that the project's commands run in: this one, with the venv in front of it."""
    # Without kept bytecode each of some hundred processes would compile this project anew, and pytest all of its tests.
    left_out = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if name not in left_out} | {
        "PATH": os.pathsep.join((str(VENV / "bin"), os.environ.get("PATH", os.defpath))),
        "PYTHONNOUSERSITE": "1",
        "VIRTUAL_ENV": str(VENV),
    }


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    """Run a command from the project's folder; end with its exit code where it fails."""
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, env=env or environment(), check=False).returncode
    if code:
        say(f"failed with exit code {code}: {' '.join(map(str, command))}")
        sys.exit(code)
    say(f"{time.monotonic() - started:.1f} s: {' '.join(str(part).replace(str(ROOT), '.') for part in command[:4])}")


def become(*command: str | Path) -> None:
    """Turn into a command, so that its last line, its exit code and its signals are this program's."""
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execve(command[0], [str(part) for part in command], environment())


# Set-up


def wanted_stamps() -> tuple[dict[str, str], dict[str, str]]:
    """Return what the venv depends on, and what this project's own entry in it depends on."""
    project = b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "setup.cfg"))
    venv = {
        "place": str(VENV),  # scripts in a venv hold its path
        "python": sys.version,
        "lock": hashlib.sha256(LOCK.read_bytes()).hexdigest(),
    }
    return venv, {"project": hashlib.sha256(project).hexdigest()}


def stamps() -> dict[str, str]:
    """Return what the venv was made from; nothing if it is not whole."""
    try:
        # Where the Python that it was made from has gone, so has the venv.
        return (
            {}
            if subprocess.call([PYTHON, "-m", "pip", "--version"], stdout=subprocess.DEVNULL)
            else dict(json.loads(STAMP.read_text()))
        )
    except (OSError, ValueError):
        return {}


def install_debian(package: str) -> bool:
    """Install one of Debian's packages, where that can be done without asking anybody."""
    if os.geteuid() or not shutil.which("apt-get"):
        return False
    say(f"installing Debian's {package}")
    env = environment() | {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "-q", "-q", "update", env=env)
    run("apt-get", "-q", "-q", "install", "--yes", "--no-install-recommends", package, env=env)
    return True


def make_venv() -> None:
    """Make an empty venv in place of what is there."""
    if VENV.is_symlink() or VENV.is_file():
        VENV.unlink()
    shutil.rmtree(VENV, ignore_errors=True)
    # Should this be the venv's own Python, it is gone by now; the one that it came from is not.
    python = getattr(sys, "_base_executable", sys.executable)
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    command = (python, "-m", "venv", VENV)
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    # Debian's Python comes without it.
    if made.returncode and python.startswith("/usr/bin/") and install_debian(package):
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        sys.exit(
            f"{made.stdout}{made.stderr}\n{python} cannot make a virtual environment.\n"
            f"On Debian and Ubuntu: apt-get install {package}"
        )


def setup() -> None:
    """Install what is pinned, and this project, into ``.venv``; nothing to do where that is so already."""
    started = time.monotonic()
    venv, project = wanted_stamps()
    found = stamps()
    if found == venv | project:
        return
    pip = (PYTHON, "-m", "pip", "install", "-q", "-q", "--no-deps")
    # Every version and file is pinned already: a constraints file in pip's own configuration could only get in the way.
    env = environment() | {"PIP_CONSTRAINT": os.devnull}
    if not venv.items() <= found.items():
        count = sum("==" in line for line in LOCK.read_text().splitlines())
        say(f"installing {count} pinned packages into {VENV} (one to two minutes)")
        make_venv()
        run(*pip, "--require-hashes", "-r", LOCK, env=env)
    run(*pip, "--no-build-isolation", "--editable", ROOT, env=env)
    STAMP.write_text(json.dumps(venv | project))
    say(f"set up in {time.monotonic() - started:.0f} s")


def postgres_bin() -> Path | None:
    """Return the folder of PostgreSQL's server programs; Debian keeps them off PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    folders = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in folders), key=lambda path: int(path.parent.name), default=None)


def ensure_postgres() -> None:
    """Install Debian's PostgreSQL where there is none."""
    if not postgres_bin() and not install_debian("postgresql"):
        sys.exit(
            "PostgreSQL is missing: a server of their own is started by the tests.\n"
            "On Debian and Ubuntu: apt-get install postgresql (as root). Elsewhere: put initdb and pg_ctl on PATH."
        )


def ensure_chromium() -> None:
    """Install Debian's Chromium where there is none."""
    if not shutil.which("chromium") and not install_debian("chromium"):
        sys.exit(
            "Chromium is missing: tests look at Airflow's UI in it.\n"
            "On Debian and Ubuntu: apt-get install chromium (as root). Elsewhere: put chromium on PATH."
        )


# Commands


def check() -> None:
    """Run every linter and the type checker."""
    run(PYTHON, "-m", "ruff", "check", ".")
    run(PYTHON, "-m", "ruff", "format", "--check", ".")
    run(PYTHON, "-m", "mypy")


def at_once() -> int:
    """Return how many processes share the tests: one of them mostly waits for a real Airflow."""
    return min(len(os.sched_getaffinity(0)), 5) + 1


def test(args: list[str]) -> None:
    """Check, then run the tests: what fails fast fails first.

    Tests draw the same examples each time. Without arguments, property tests draw a few others before, from a seed that
    is printed, the whole way is gone on other Airflows and Pythons (``matrix.py``), and the tests are shared by a few
    processes (``tests/lanes.py``); what is picked runs in one.
    """
    ensure_postgres()
    ensure_chromium()
    check()
    if not args:
        seed = f"--hypothesis-seed={secrets.randbelow(2**32)}"
        # In one process, which leaves the tests' bytecode to those that share them.
        run(PYTHON, "-m", "pytest", "-m", "hypothesis", "--examples=0.2", seed)
        run(PYTHON, "-m", "matrix")
        args = [f"--numprocesses={at_once()}"]
    become(PYTHON, "-m", "pytest", *args)


def chaos(args: list[str]) -> None:
    """Run schedules of faults and kills in a real Airflow; they have the machine for themselves as long as it takes."""
    parser = argparse.ArgumentParser(prog="dev.py chaos", description=chaos.__doc__)
    parser.add_argument("count", nargs="?", type=int, default=8, help="how many schedules, evenly over modes and APIs")
    parser.add_argument("--seed", action="append", default=[], help="only this one, such as plain-bulk-17; repeatable")
    safeties = ("resend", "journal", "standing", "stopped", "fence", "newer", "account")
    parser.add_argument("--broken", choices=safeties, help="take a safety away: this must fail")
    known, rest = parser.parse_known_args(args)
    ensure_postgres()
    os.environ["SFLEADS_CHAOS"] = str(known.count)
    os.environ["SFLEADS_CHAOS_SEEDS"] = ",".join(known.seed)
    os.environ["SFLEADS_CHAOS_BREAK"] = known.broken or ""
    become(PYTHON, "-m", "pytest", "tests/chaos", *rest)


def docs_command(target: Path) -> list[str]:
    """Return what Python is told to build the documentation site from nothing; a warning is an error."""
    form = "-m sphinx --fail-on-warning --keep-going --quiet --fresh-env --write-all --jobs=auto --builder=html"
    return [*form.split(), str(ROOT / "docs"), str(target)]


def docs() -> None:
    """Build the documentation site."""
    target = ROOT / "docs" / "_build" / "html"
    run(PYTHON, *docs_command(target))
    say(f"the site: {target / 'index.html'}")


def main() -> None:
    """Run one command."""
    if sys.version_info < OLDEST:
        sys.exit(f"This is Python {sys.version.split()[0]}; Python {'.'.join(map(str, OLDEST))} or later is needed.")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    takes_more = ("test", "demo", "bench", "chaos", "matrix")
    for name, text in {
        "setup": "install what is pinned into .venv (the other commands do this first)",
        "test": "check, draw a few examples by chance, then run all tests; or what further arguments tell pytest",
        "check": "ruff, its formatter, and mypy",
        "demo": "run two Dags in a real Airflow against the emulator; further arguments go to the demo (--help)",
        "bench": "run the benchmarks; further arguments go to them",
        "chaos": "run seeded schedules of faults and kills, 500 by `chaos 500`; see --help",
        "build": "build sdist and wheel into dist",
        "docs": "build the documentation into docs/_build/html",
        "release-check": "say what keeps this checkout from being released; docs/release.md is the recipe",
        "matrix": "go the whole way on other Airflows and Pythons; see --help",
        "lock": "write the exact versions in constraints anew",
    }.items():
        # Without a parser's own --help, `dev.py demo --help` reaches the demo.
        commands.add_parser(name, help=text, add_help=name not in takes_more)
    known, rest = parser.parse_known_args()
    if rest and known.command not in takes_more:
        parser.error(f"{known.command} takes no arguments: {' '.join(rest)}")
    setup()
    if known.command in ("test", "chaos"):
        {"test": test, "chaos": chaos}[known.command](rest)
    elif known.command in PROGRAMS:
        become(PYTHON, "-m", *PROGRAMS[known.command], *rest)
    else:
        {"check": check, "docs": docs}.get(known.command, lambda: say(f"ready: {VENV}"))()


if __name__ == "__main__":
    main()
