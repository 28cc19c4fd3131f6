"""The folder that everything is in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from demo.options import Options

_MARK = "demo.json"


class FolderError(RuntimeError):
    """The folder cannot be used."""


def make_folder(options: Options) -> bool:
    """Make the folder anew, or keep it where that is asked for; return whether its content is kept.

    :raises FolderError: it is somebody else's, or was made for other options.
    """
    work, mark = options.work, options.work / _MARK
    if work.exists() and any(work.iterdir()) and not mark.exists():
        raise FolderError(f"{work} holds something that is not the demo's; name another folder with --work")
    if mark.exists() and options.keep:
        kept = json.loads(mark.read_text(encoding="utf-8"))
        if kept != options.data():
            raise FolderError(f"{work} was made with {kept}; say the same, or leave out --keep")
        return True
    _remove(work)
    for name in ("logs", "airflow/logs"):
        (work / name).mkdir(parents=True)
    (work / ".gitignore").write_text("*\n", encoding="utf-8")
    mark.write_text(json.dumps(options.data()), encoding="utf-8")
    return False


def _remove(work: Path) -> None:
    if work.exists():
        shutil.rmtree(work)
