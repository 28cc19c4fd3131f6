"""No two processes that share the suite have a real Airflow at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lanes import API_SERVER, REAL_AIRFLOWS, lane

ROOT = Path(__file__).parents[2]


def _starts_airflow(path: Path) -> bool:
    return " real_airflow(" in path.read_text()


STARTING = [path for path in ROOT.glob("tests/**/*.py") if _starts_airflow(path) and path.name != "real_airflow.py"]


def test_all_real_airflows_are_in_one_lane() -> None:
    """A conftest starts it for all tests of its folder."""
    assert len(STARTING) >= 6
    for path in STARTING:
        name = path.relative_to(ROOT).as_posix().replace("conftest.py", "test_any.py")
        assert lane(f"{name}::test_any") == "real Airflows", name


@pytest.mark.parametrize("name", [*REAL_AIRFLOWS, *API_SERVER])
def test_lanes_name_what_is_there(name: str) -> None:
    """Else a file that was renamed would go its own way."""
    assert (ROOT / name).exists()


def test_other_files_stay_whole() -> None:
    """What a file sets up once is not set up twice."""
    assert lane("tests/core/test_ids.py::test_one[a::b]") == lane("tests/core/test_ids.py::test_two")
    assert lane("tests/core/test_ids.py::test_one") != lane("tests/core/test_host.py::test_one")
