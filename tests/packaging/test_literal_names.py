"""No storage call takes a name for a pattern: folders may be called ``a*b``, and run ids hold nearly anything."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import airflow_provider_sfleads

PACKAGE = Path(airflow_provider_sfleads.__file__).parent
# The emulator's storage is a database of its own.
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "emulator" not in path.parts)

# What fsspec offers that takes each path as it is. What is not here (rm, mv, copy, get, put, cat, glob, expand_path,
# open_files ...) expands `*`, `?` and `[`, also in the names of the folders above.
LITERAL = {
    "_strip_protocol", "cat_file", "cat_ranges", "cp_file", "exists", "find", "info", "invalidate_cache", "isdir",
    "isfile", "ls", "makedirs", "open", "put_file", "rm_file", "rmdir", "unstrip_protocol", "walk",
}  # fmt: skip
# The one place where a pattern is what somebody means: the path of an export.
MEANT = {"exports/file_export.py": {"glob"}}
# A pattern that somebody else expands: pathlib's below a folder of ours, whose own name it takes as it is.
BELOW = {"results/files.py", "results/folder.py"}


def is_storage(node: ast.expr) -> bool:
    """Whether an expression is one of fsspec's file systems, as this package calls them."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.strip("_") in ("fs", "storage")


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES])
def test_storages_are_called_by_literal_names_only(path: Path) -> None:
    """What takes many paths takes patterns; ``results.files.Directory`` has what is needed in their place."""
    place = str(path.relative_to(PACKAGE))
    used = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Attribute)]
    found = {node.attr for node in used if is_storage(node.value)} - LITERAL - MEANT.get(place, set())
    assert not found, f"{place} calls what expands patterns: {', '.join(sorted(found))}"


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES])
def test_nothing_else_expands_patterns(path: Path) -> None:
    """Neither the standard library, nor fsspec beside its file systems, nor the readers of Arrow and DuckDB."""
    place = str(path.relative_to(PACKAGE))
    tree = ast.parse(path.read_bytes())
    imported = {
        alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    called = {function.attr for function in calls if isinstance(function, ast.Attribute)}
    allowed = {"glob", "rglob"} if place in BELOW or place in MEANT else set[str]()
    assert not {name for name in imported if name.split(".")[0] == "glob" or name.startswith("fsspec.")} - {
        "fsspec.AbstractFileSystem"
    }
    assert (
        not called & {"glob", "rglob", "read_table", "dataset", "read_parquet", "open_files", "expand_path"} - allowed
    )
