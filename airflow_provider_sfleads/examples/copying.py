"""Finds the example Dags and copies them."""

from __future__ import annotations

import ast
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_sfleads.exceptions import ParameterError

_FOLDER = Path(__file__).parent / "dags"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A file with example Dags.

    :param name: of the file, without its ending; its first Dag has the same.
    :param about: what its Dags do, in one sentence.
    :param source: its text.
    """

    name: str
    about: str
    source: str

    @property
    def file(self) -> str:
        """What the file is called."""
        return f"{self.name}.py"


def examples(names: Iterable[str] = ()) -> list[Example]:
    """Return the example Dags by name.

    :param names: only these, in this order; all if empty.
    :raises ParameterError: where there is none of that name.
    """
    files = sorted(path for path in _FOLDER.iterdir() if path.suffix == ".py")
    sources = {path.stem: path.read_text(encoding="utf-8") for path in files}
    wanted = [name.removesuffix(".py") for name in names] or list(sources)
    unknown = [name for name in wanted if name not in sources]
    if unknown:
        raise ParameterError(f"There is no example Dag {', '.join(unknown)}, but {', '.join(sources)}.")
    return [_example(name, sources[name]) for name in dict.fromkeys(wanted)]


def _example(name: str, source: str) -> Example:
    about = " ".join((ast.get_docstring(ast.parse(source)) or "").split())
    return Example(name=name, about=about, source=source)


def copy(wanted: Iterable[Example], folder: Path, *, overwrite: bool) -> dict[str, list[Path]]:
    """Write examples to a folder, which is made if only it is missing; all of them or none.

    :param overwrite: whether files of the same name that differ are replaced.
    :return: the files by what happened to them: ``written``, or ``there`` where they were the same already.
    :raises ParameterError: where the folder cannot be one, or files would be overwritten.
    """
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder} is a file; name a folder, such as Airflow's dags folder.")
    if not folder.resolve().parent.is_dir():
        raise ParameterError(f"{folder} cannot be made: there is no folder {folder.resolve().parent}.")
    files = {folder / example.file: example.source.encode() for example in wanted}
    there = [path for path, source in files.items() if path.is_file() and path.read_bytes() == source]
    differ = [path for path in files if path not in there and os.path.lexists(path)]
    if differ and not overwrite:
        raise ParameterError(
            f"Nothing is written: {', '.join(map(str, differ))} would be overwritten. Take another folder, "
            "name the Dags to copy with --dag, or add --overwrite."
        )
    folder.mkdir(exist_ok=True)
    written = [path for path in files if path not in there]
    for path in written:
        _write(path, files[path])
    return {"written": written, "there": there}


def _write(path: Path, source: bytes) -> None:
    # Airflow may look at the folder at any moment: it is to see no half of a Dag. The draft is no Python file to it.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(source)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
