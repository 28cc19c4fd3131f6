"""Which room of the package may use which, by the table in ARCHITECTURE.md; what ruff's TID251 cannot say."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

import airflow_provider_sfleads

NAME = "airflow_provider_sfleads"
PACKAGE = Path(airflow_provider_sfleads.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

ARCHITECTURE = Path(__file__).resolve().parents[2] / "ARCHITECTURE.md"


def _rooms() -> dict[str, set[str]]:
    """Each room of the table, and the rooms that it may use."""
    rows = re.findall(r"^\| (`[^|]+`) \| [^|]+ \| ([^|]+) \|$", ARCHITECTURE.read_text(encoding="utf-8"), re.MULTILINE)
    rooms: dict[str, set[str]] = {}
    for named, allowed in rows:
        names = [name.strip("`/") for name in named.split(", ")]
        those = set(rooms) | set(names) if allowed == "the above" else set(re.findall(r"`(\w+)`", allowed))
        rooms |= dict.fromkeys(names, those)
    return rooms


ROOMS = _rooms()
# Rooms without Airflow.
INNER = {"exceptions", "salesforce", "core", "pipeline", "examples", "emulator"}
# And of other people's packages these belong to these rooms alone.
OUTSIDE = {
    "airflow": "rim",
    "cryptography": "salesforce hooks emulator",
    "jwt": "salesforce emulator",
    "requests": "salesforce hooks",
    "fastapi": "ui",
    "starlette": "emulator",
    "uvicorn": "emulator",
}


def imports(path: Path) -> set[str]:
    """Return the dotted names that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(path: Path) -> str:
    """Return the folder, or the module, right below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES])
def test_imports_go_one_way(path: Path) -> None:
    """A module uses rooms nearer to the core only, and other people's packages only where they belong."""
    room = room_of(path)
    allowed = ROOMS.get(room, set(ROOMS)) | {room, "__version__"}
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == NAME:
            assert rest.partition(".")[0] in allowed, f"{room} uses {name}"
        elif top in OUTSIDE:
            rooms = OUTSIDE[top].split()
            assert room in rooms or ("rim" in rooms and room not in INNER), f"{room} uses {name}"


def test_every_room_is_in_the_table() -> None:
    """A new folder or module right below the package says there what it may use."""
    assert set(ROOMS) == {room_of(path) for path in MODULES} - {"__init__"}


def test_no_two_modules_need_each_other() -> None:
    """Neither at once nor over others, whether at the top of a module or where a function runs."""
    paths = [path for path in MODULES if room_of(path) != "emulator"]
    names = {_name_of(path) for path in paths}
    uses = {_name_of(path): {_module(each, names) for each in imports(path)} for path in paths}
    assert {name for name in names if name in _reached(uses[name] - {name}, uses)} == set()


def _name_of(path: Path) -> str:
    return ".".join((NAME, *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def _module(name: str, names: Collection[str]) -> str:
    """The module that a dotted name is, or lies in; empty for one that is not ours."""
    return name if name in names else _module(name.rpartition(".")[0], names) if "." in name else ""


def _reached(start: Collection[str], uses: Mapping[str, Collection[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += uses.get(name, ())
    return reached


@pytest.mark.parametrize("path", [*MODULES, ARCHITECTURE], ids=str)
def test_modules_that_are_spoken_of_are_there(path: Path) -> None:
    """A docstring that names a module of another day leads nowhere."""
    rooms = "|".join(folder.name for folder in PACKAGE.iterdir() if folder.is_dir() and folder.name != "__pycache__")
    former = "bulk|columnar|sync|transport"
    named = re.findall(rf"`[~.]*((?:{rooms}|{former})\.[a-z_0-9]+)", path.read_text(encoding="utf-8"))
    there = {".".join(each.relative_to(PACKAGE).with_suffix("").parts) for each in MODULES}
    assert {name for name in named if name not in there} == set()
