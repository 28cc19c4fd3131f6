"""The rules and the pipeline are tested where there is no Airflow, in seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What a room imports of Airflow only where it is used would be found by running its tests, not by importing it.
WITHOUT_AIRFLOW = """
import sys, pytest

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "airflow":
            raise ModuleNotFoundError(f"there is no {name} here", name=name)

sys.meta_path.insert(0, Absent())
sys.exit(pytest.main(sys.argv[1:]))
"""


def test_the_pure_rooms_need_no_airflow(tmp_path: Path) -> None:
    """``core`` and ``pipeline`` with a few examples each."""
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--examples=0.02", f"--basetemp={tmp_path / 'tests'}"]
    rooms = ["tests/core", "tests/pipeline"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_AIRFLOW, *options, *rooms],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_the_core_loads_neither_airflow_nor_what_speaks_http_or_holds_columns() -> None:
    """Whatever one of its modules imports, directly or through a package's own module."""
    code = """
import importlib, pkgutil, sys
import airflow_provider_sfleads.core as core
for module in pkgutil.iter_modules(core.__path__, "airflow_provider_sfleads.core."):
    importlib.import_module(module.name)
print(sorted({"airflow", "requests", "urllib3", "aiohttp", "simplejson", "pyarrow", "numpy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
