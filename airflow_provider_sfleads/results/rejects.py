"""The rejects file: rejected rows as they were read, with the reason, ready to be mended and fed back.

Rejects are written in pieces, one beside each part of the results and before it. A piece counts once its part is
there, so that after a killed worker both tell the same. At the end the pieces become ``rejects.csv``. Each has its own
header: the export, or this package, may have other columns when the task is tried again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO

from airflow_provider_sfleads.core.outcome import BadRow, Row
from airflow_provider_sfleads.core.text import cell_text
from airflow_provider_sfleads.exports.csv_records import Record, quoted, records, rows_of
from airflow_provider_sfleads.exports.storage import opened
from airflow_provider_sfleads.results.files import REJECTS, Directory

_PIECES = "_rejects"
_EARLIER = "earlier"
_JOINED = "joined"
EXTRA = ("error_code", "error_message")
#: How the name of a piece ends.
PIECE = ".rejects.csv"


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
        counting = {_EARLIER + PIECE, *(part.partition(".")[0] + PIECE for part in parts)}
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
            self._pieces.publish(self._draft, part.partition(".")[0] + PIECE)
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
            self._pieces.write(_JOINED)
            self._pieces.remove_all()

    def _take_up_joined(self) -> None:
        with (
            self._directory.open(REJECTS) as joined,
            self._pieces.complete(_EARLIER + PIECE) as draft,
            draft.open("wb") as target,
        ):
            shutil.copyfileobj(joined, target)


def columns_of(columns: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of rejects from an export's: its own of the reason are replaced."""
    return (*(column for column in columns if column not in EXTRA), *EXTRA)


def line_of(values: Iterable[object]) -> str:
    """Return a line of the file."""
    return ",".join([quoted(cell_text(value)) for value in values]) + "\n"


def write_joined(pieces: Directory, names: Sequence[str], columns: Sequence[str], target: IO[bytes]) -> None:
    """Write pieces one after the other below one header, which has the columns of all of them.

    :param names: the pieces.
    :param columns: the export's columns as they are now, with those of the reason.
    """
    headers = [_header(pieces, name) for name in names]
    every = columns_of(dict.fromkeys(chain(columns, *headers)))
    target.write(_encoded(every))
    for name, header in zip(names, headers, strict=True):
        if header == every:
            with pieces.open(name) as piece:
                piece.seek(len(_encoded(header)))
                shutil.copyfileobj(piece, target)
        else:
            with _records(pieces, name) as found:
                next(found, None)
                for row in rows_of(found, header, header, name):
                    values = row.values if isinstance(row, BadRow) else row
                    target.write(_encoded(values.get(column) for column in every))


def _encoded(values: Iterable[object]) -> bytes:
    return line_of(values).encode(errors="replace")


def _header(pieces: Directory, name: str) -> tuple[str, ...]:
    with _records(pieces, name) as found:
        return tuple(next(found).values)


@contextmanager
def _records(pieces: Directory, name: str) -> Iterator[Iterator[Record]]:
    path = pieces.file(name)
    with opened(pieces.fs, path, path, None) as stream:
        yield records(stream.readline, path, ",")
