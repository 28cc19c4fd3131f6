"""The built wheel is what people install, so it is what is looked at here."""

from __future__ import annotations

import json
import subprocess
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import airflow_provider_sfleads

PACKAGE = Path(airflow_provider_sfleads.__file__).parent
PACKED = {".py", ".typed", ".html", ".css", ".js", ".svg"}
DAGS = PACKAGE.parent / "dags"


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """Every module, py.typed, the pages' files and the example Dags are in the wheel; tests and tools are not."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {str(path.relative_to(PACKAGE.parent)) for path in PACKAGE.rglob("*") if path.suffix in PACKED}
    wanted |= {f"airflow_provider_sfleads/examples/dags/{path.name}" for path in DAGS.glob("*.py")}
    assert names == wanted
    assert "airflow_provider_sfleads/py.typed" in names


def test_wheel_says_what_it_is(wheel: Path) -> None:
    """Name, version, licence and the lowest Python are in the wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        fields = Parser().parsestr(archive.read(metadata).decode())
    assert fields["Name"] == "airflow-provider-sfleads"
    assert fields["Version"] == airflow_provider_sfleads.__version__
    assert fields["License-Expression"] == "Apache-2.0"
    assert fields["Requires-Python"] == ">=3.11"
    assert fields.get_payload(), "README is the description"


@pytest.mark.parametrize(
    ("command", "column", "wanted"),
    [
        ("list", "package_name", "airflow-provider-sfleads"),
        ("hooks", "connection_type", "salesforce_leads"),
    ],
)
def test_airflow_shows_the_provider(
    clean_python: Path, clean_env: dict[str, str], tmp_path: Path, command: str, column: str, wanted: str
) -> None:
    """`airflow providers list` and its like find it and its connection type, in a venv with nothing but the wheel."""
    done = subprocess.run(
        [clean_python, "-m", "airflow", "providers", command, "--output", "json"],
        check=True,
        cwd=tmp_path,
        env=clean_env,
        stdout=subprocess.PIPE,
        text=True,
    )
    rows = json.loads(done.stdout)
    found = [row for row in rows if row[column] == wanted]
    assert len(found) == 1, rows
    assert "error" not in json.dumps(found).lower()


def test_airflow_shows_the_plugin(clean_python: Path, clean_env: dict[str, str], tmp_path: Path) -> None:
    """Its page and its routes, by the entry point that Airflow loads unasked."""
    done = subprocess.run(
        [clean_python, "-m", "airflow", "plugins", "--output", "json"],
        check=True,
        cwd=tmp_path,
        env=clean_env,
        stdout=subprocess.PIPE,
        text=True,
    )
    plugins = {row["name"]: row for row in json.loads(done.stdout)}
    assert "lead-syncs.js" in json.dumps(plugins["salesforce_leads"])


def test_wheel_is_what_was_asked(clean_python: Path, clean_env: dict[str, str], tmp_path: Path) -> None:
    """The venv of these tests runs the wheel's modules, not this checkout's."""
    code = "import airflow_provider_sfleads as package; print(package.__file__)"
    done = subprocess.run(
        [clean_python, "-c", code], check=True, cwd=tmp_path, env=clean_env, stdout=subprocess.PIPE, text=True
    )
    assert Path(done.stdout.strip()).is_relative_to(clean_python.parents[1])
