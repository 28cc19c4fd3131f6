"""The rejects file: rejected rows as they were read, with the reason, ready to be mended and fed back.

Rejects are written in pieces, one beside each part of the results and before it. A piece counts once its part is
there, so that after a killed worker both tell the same. At the end the pieces become ``rejects.csv``. Each has its own
header: the export, or this package, may have other columns when the task is tried again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from airflow_provider_sfleads.core.rows import Row
from airflow_provider_sfleads.results.files import REJECTS, Directory
from airflow_provider_sfleads.results.reject_pieces import BARE, HEADED, columns_of, line_of, write_joined

_PIECES = "_rejects"
_EARLIER = "earlier"
_JOINED = "joined"


class Rejects:
    """The rejects of one execution.

    :param directory: the execution's folder.
    :param columns: the export's columns; its own ``error_code`` and ``error_message``, as a rejects file that is fed
        back has them, are replaced.
    """

    def __init__(self, directory: Directory, *, columns: tuple[str, ...]) -> None:
        self._directory = directory
        self._pieces = directory.child(_PIECES)
        self._columns = columns_of(columns)
        self._draft: Path | None = None
        self._piece: IO[str] | None = None

    def start(self, *, resume: bool, parts: Iterable[str]) -> None:
        """Make ready to write.

        :param resume: keep the rejects of earlier tries.
        :param parts: names of the parts whose pieces count.
        """
        if not resume:
            self._pieces.remove_all()
            if self._directory.has(REJECTS):
                self._directory.remove(REJECTS)
            return
        names = self._pieces.names()
        if _JOINED in names or (not names and self._directory.has(REJECTS)):
            self._pieces.remove_all()
            self._take_up_joined()
            return
        stems = {_EARLIER, *(part.partition(".")[0] for part in parts)}
        counting = {f"{stem}{end}" for stem in stems for end in (HEADED, BARE)}
        for name in names:
            if name not in counting:
                self._pieces.remove(name)

    def add(self, values: Row, code: str | None, message: str | None) -> None:
        """Add one rejected row to the piece at hand."""
        row = {**values, "error_code": code, "error_message": message}
        if self._piece is None:
            self._draft = self._pieces.new_draft("piece.csv")
            self._piece = self._draft.open("w", encoding="utf-8", errors="replace", newline="")
            self._piece.write(line_of(self._columns))
        self._piece.write(line_of(row.get(column) for column in self._columns))

    def write_piece(self, part: str) -> None:
        """Write the piece that belongs to a part of the results, if it has rejects."""
        if self._piece is not None and self._draft is not None:
            self._piece.close()
            self._pieces.publish(self._draft, _piece_name(part))
            self._piece = self._draft = None

    def forget_piece(self) -> None:
        """Take back what was added to the piece at hand."""
        if self._piece is not None and self._draft is not None:
            self._piece.close()
            self._draft.unlink(missing_ok=True)
        self._piece = self._draft = None

    def join(self) -> None:
        """Write ``rejects.csv`` from all pieces and remove them."""
        names = sorted(self._pieces.names(), key=lambda name: (not name.startswith(_EARLIER), name))
        with self._directory.complete(REJECTS) as draft, draft.open("wb") as target:
            write_joined(self._pieces, names, self._columns, target)
        if names:
            # From here on the joined file tells the truth, also when this stops before the last piece is gone.
            with self._pieces.complete(_JOINED) as draft:
                draft.touch()
            self._pieces.remove_all()

    def _take_up_joined(self) -> None:
        with (
            self._directory.open(REJECTS) as joined,
            self._pieces.complete(f"{_EARLIER}{HEADED}") as draft,
            draft.open("wb") as target,
        ):
            shutil.copyfileobj(joined, target)


def _piece_name(part: str) -> str:
    return f"{part.partition('.')[0]}{HEADED}"
