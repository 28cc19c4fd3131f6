"""No two processes that share the suite have a real Airflow at the same time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lanes import LANES, lane

ROOT = Path(__file__).parents[2]


def _starts_airflow(path: Path) -> bool:
    return re.search(r"^ +with real_airflow\(", path.read_text(), re.MULTILINE) is not None


STARTING = list(filter(_starts_airflow, ROOT.glob("tests/**/*.py")))


def test_all_real_airflows_are_in_one_lane() -> None:
    """A conftest starts it for all tests of its folder."""
    assert len(STARTING) >= 6
    for path in STARTING:
        name = path.relative_to(ROOT).as_posix().replace("conftest.py", "test_any.py")
        assert lane(f"{name}::test_any") == "real Airflows", name


@pytest.mark.parametrize("name", [path for paths in LANES.values() for path in paths])
def test_lanes_name_what_is_there(name: str) -> None:
    """Else a file that was renamed would go its own way."""
    assert (ROOT / name).exists()


def test_other_files_stay_whole() -> None:
    """What a file sets up once is not set up twice."""
    assert lane("tests/core/test_ids.py::test_one[a::b]") == lane("tests/core/test_ids.py::test_two")
    assert lane("tests/core/test_ids.py::test_one") != lane("tests/core/test_host.py::test_one")
