"""Run every benchmark: ``python -m benchmarks``."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path


def main() -> None:
    """Run the scripts beside this one, in name order."""
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        print(f"\n== {path.stem}", flush=True)
        sys.argv = [str(path)]
        runpy.run_path(str(path), run_name="__main__")


main()
