"""``python3 dev.py build`` and ``python3 dev.py release-check``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from airflow_provider_sfleads import __version__
from release.building import build
from release.checking import dist_problems, git_problems, release_problems

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"


def check() -> int:
    """Print what keeps this checkout from being released.

    :return: 0 where nothing does, else 1.
    """
    problems = [
        *release_problems((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), __version__),
        *git_problems(ROOT, __version__),
        *dist_problems(ROOT, DIST, __version__),
    ]
    for problem in problems:
        print(f"- {problem}")
    print(f"{len(problems)} things keep {__version__} back." if problems else f"{__version__} can be released.")
    return int(bool(problems))


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    parser.add_argument("command", choices=("build", "check"))
    if parser.parse_args().command == "check":
        return check()
    for path in build(ROOT, DIST):
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
