"""Run the benchmarks: ``python -m benchmarks`` runs all of them, ``python -m benchmarks NAME ...`` one with options."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path


def main() -> None:
    """Run the scripts beside this one, in name order, or the one that is named."""
    scripts = {path.stem: path for path in sorted(Path(__file__).parent.glob("[!_]*.py"))}
    name, *options = sys.argv[1:] or ("",)
    if name and name not in scripts:
        sys.exit(f"Benchmarks: {', '.join(scripts)}; for the options of one: python3 dev.py bench NAME --help")
    for stem in [name] if name else scripts:
        print(f"\n== {stem}", flush=True)
        sys.argv = [stem, *options]
        runpy.run_path(str(scripts[stem]), run_name="__main__")


main()
