"""Which room of the package may use which; what ruff's TID251 in pyproject.toml cannot say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import airflow_provider_sfleads

NAME = "airflow_provider_sfleads"
PACKAGE = Path(airflow_provider_sfleads.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Rooms not named here are Airflow's rim: they may use any room but the emulator.
ROOMS = {
    "exceptions": set[str](),
    "salesforce": {"exceptions"},
    "core": {"exceptions", "salesforce"},
    "pipeline": {"exceptions", "salesforce", "core"},
    "emulator": set[str](),
}
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
    everywhere = {other.removesuffix(".py") for other in (room_of(module) for module in MODULES)} - {"emulator"}
    allowed = ROOMS.get(room, everywhere) | {room, "__version__"}
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == NAME:
            assert rest.partition(".")[0] in allowed, f"{room} uses {name}"
        elif top in OUTSIDE:
            rooms = OUTSIDE[top].split()
            assert room in rooms or ("rim" in rooms and room not in ROOMS), f"{room} uses {name}"
