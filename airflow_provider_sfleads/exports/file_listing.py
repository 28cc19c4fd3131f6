"""List the files that a path, a folder or a glob stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from posixpath import basename, splitext
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.exceptions import ExportError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

# How names begin that are not for readers: Hadoop, Spark and Hive write _SUCCESS, _temporary and .part-0.crc, Impala
# .impala_insert_staging, Delta Lake _delta_log.
_HIDDEN = (".", "_")
_WILD = "*?["
# How Hadoop's older writers, and Amazon EMR, name the object that stands for a folder.
_FOLDER_OBJECT = "_$folder$"
_PACKED = (".gz", ".zst")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A path that was asked for.

    :param text: as the user gave it.
    :param path: as its storage knows it.
    :param is_glob: whether it is a pattern, and no folder of that name.
    """

    text: str
    path: str
    is_glob: bool

    @property
    def folder(self) -> str:
        """The folder, or that in which the pattern begins to vary."""
        return _literal(self.path) if self.is_glob else self.path.rstrip("/")

    def is_hidden(self, name: str) -> bool:
        """Say whether a file, or a folder on the way to it, is not for readers and not named by the pattern itself."""
        named = [part for part in self.path.split("/") if self.is_glob and part.startswith(_HIDDEN)]
        below = name[len(self.folder) :].strip("/").split("/")
        return any(part.startswith(_HIDDEN) and not any(fnmatchcase(part, mark) for mark in named) for part in below)


def listed(fs: AbstractFileSystem, path: str, text: str) -> list[str]:
    """Return the paths of the files that a path stands for, in name order; at least one.

    :param path: as its storage knows it.
    :param text: as the user gave it.
    :raises ExportError: there is none; it says what is there instead.
    """
    if fs.isfile(path) and (fs.info(path).get("size") or not fs.isdir(path)):
        return [path]
    path = fs._strip_protocol(path)  # noqa: SLF001 - of a relative path it makes what names begin with
    if fs.isdir(path):
        asked = _Asked(text, path, is_glob=False)
        entries = _without_twins(fs.ls(path, detail=True))
    else:
        asked = _Asked(text, path, is_glob=any(mark in path for mark in _WILD))
        entries = fs.glob(path, detail=True).values() if asked.is_glob else []
    files = sorted(entry["name"] for entry in entries if _is_file(entry))
    found = [name for name in files if not asked.is_hidden(name)]
    if not found:
        raise ExportError(f"No file at {text!r}{_instead(fs, asked, files)}")
    return found


def _literal(path: str) -> str:
    """Return the folder in which a pattern begins to vary."""
    first = min(at for mark in _WILD if (at := path.find(mark)) >= 0)
    return path[:first].rpartition("/")[0]


def _is_file(entry: Mapping[str, Any]) -> bool:
    """Say whether an entry is a file, and no object without a byte that stands for a folder, as S3's console makes."""
    stands_for_folder = not entry.get("size") and entry["name"].endswith(("/", _FOLDER_OBJECT))
    return entry["type"] == "file" and not stands_for_folder


def _without_twins(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Drop empty objects of the very name of a folder beside them, as other writers stand for that folder."""
    entries = list(entries)
    folders = {entry["name"].rstrip("/") for entry in entries if entry["type"] == "directory"}
    return [entry for entry in entries if entry["type"] != "file" or entry.get("size") or entry["name"] not in folders]


def _instead(fs: AbstractFileSystem, asked: _Asked, hidden: list[str]) -> str:
    """Say what is there in place of files, and what to do."""
    below = None if "**" in asked.path else _first_below(fs, asked)
    if below is not None:
        stem, ending = splitext(below)
        ending = splitext(stem)[1] + ending if ending in _PACKED else ending
        base = _literal(asked.text) if asked.is_glob else asked.text.rstrip("/")
        return f", but in its sub-folders ({below!r}), which only a glob with ** enters: say '{base}/**/*{ending}'."
    if hidden:
        return (
            f", but {len(hidden)} whose name, or whose folder's name, begins with '.' or '_', such as "
            f"{basename(hidden[0])!r}. Unfinished writes are named so; they are passed over unless the path names them."
        )
    return ". Check the path, and whether the export of this interval was written."


def _first_below(fs: AbstractFileSystem, asked: _Asked) -> str | None:
    """Return the first file in a sub-folder, by its path from the folder."""
    walked: Iterable[tuple[str, list[str], list[str]]] = fs.walk(asked.folder) if asked.folder else ()
    for folder, _, files in walked:
        for file in sorted(filter(None, files)):
            name = f"{folder}/{file}"
            if folder.rstrip("/") != asked.folder and not asked.is_hidden(name):
                return name[len(asked.folder) :].strip("/")
    return None
