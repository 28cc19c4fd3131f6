"""The rejects file: rejected rows as they were read, with the reason, ready to be mended and fed back.

Rejects are written in pieces, one beside each part of the results and before it. A piece counts once its part is
there, so that after a killed worker both tell the same. At the end the pieces become ``rejects.csv``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from airflow_provider_sfleads.core.cell_text import cell_text
from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.exports.csv_rows import quoted, read_rows
from airflow_provider_sfleads.exports.streams import opened
from airflow_provider_sfleads.results.files import REJECTS, Directory

EXTRA = ("error_code", "error_message")
_PIECES = "_rejects"
_EARLIER = "earlier.csv"
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
        self._columns = (*(column for column in columns if column not in EXTRA), *EXTRA)
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
        counting = {_piece_name(part) for part in parts} | {_EARLIER}
        for name in names:
            if name not in counting:
                self._pieces.remove(name)

    def add(self, values: Row, code: str | None, message: str | None) -> None:
        """Add one rejected row to the piece at hand."""
        row = {**values, "error_code": code, "error_message": message}
        if self._piece is None:
            self._draft = self._pieces.new_draft("piece.csv")
            self._piece = self._draft.open("w", encoding="utf-8", errors="replace", newline="")
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
        with self._directory.complete(REJECTS) as draft, draft.open("wb") as target:
            target.write(line_of(self._columns).encode(errors="replace"))
            for name in sorted(self._pieces.names(), key=lambda name: (name != _EARLIER, name)):
                with self._pieces.fs.open(self._pieces.file(name), "rb") as piece:
                    shutil.copyfileobj(piece, target)
        if self._pieces.names():
            # From here on the joined file tells the truth, also when this stops before the last piece is gone.
            with self._pieces.complete(_JOINED) as draft:
                draft.touch()
            self._pieces.remove_all()

    def _take_up_joined(self) -> None:
        path = self._directory.file(REJECTS)
        with (
            opened(self._directory.fs, path, path, None) as stream,
            self._pieces.complete(_EARLIER) as draft,
            draft.open("w", encoding="utf-8", newline="") as target,
        ):
            for row in read_rows(stream, path, ",", None):
                values: Row = row.values if isinstance(row, BadRow) else row
                target.write(line_of(values.get(column) for column in self._columns))


def _piece_name(part: str) -> str:
    return f"{part.partition('.')[0]}.csv"


def line_of(values: Iterable[object]) -> str:
    """Return a line of the file."""
    return ",".join([quoted(cell_text(value)) for value in values]) + "\n"
