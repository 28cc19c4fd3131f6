"""Texts of errors: too many for memory, and seldom looked at."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


class ErrorTexts:
    """Texts in a file without a name, which nobody else can open and which is gone with this object.

    :param directory: existing local folder on whose disk they lie: they may be personal data.
    """

    def __init__(self, directory: Path) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed with this object
        self._starts: list[npt.NDArray[np.int64]] = []
        self._all: npt.NDArray[np.int64] | None = None
        self._count = self._size = 0

    def add(self, texts: pa.Array) -> int:
        """Store texts, a null as an empty one, and return the number of the first."""
        first = self._count
        values = pc.fill_null(texts, "")
        _, offsets, data = values.buffers()
        bounds = np.frombuffer(offsets, dtype=np.int32)[values.offset : values.offset + len(values) + 1]
        if len(values) and data is not None:
            # A read has left the file wherever its text ends.
            self._file.seek(self._size)
            self._file.write(memoryview(data)[bounds[0] : bounds[-1]])
        self._starts.append(bounds[:-1].astype(np.int64) - int(bounds[0]) + self._size)
        self._size += int(bounds[-1] - bounds[0])
        self._count += len(values)
        self._all = None
        return first

    def read(self, numbers: npt.NDArray[np.int32]) -> list[str]:
        """The texts of those numbers."""
        if self._all is None:
            self._all = np.concatenate((*self._starts, np.array([self._size], dtype=np.int64)))
            self._starts = [self._all[:-1]]
        return [self._one(int(self._all[number]), int(self._all[number + 1])) for number in numbers]

    def _one(self, start: int, end: int) -> str:
        self._file.seek(start)
        return self._file.read(end - start).decode()

    def close(self) -> None:
        """Forget them."""
        self._file.close()
