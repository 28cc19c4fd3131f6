"""Request bodies that are too large for memory: into a file, piece by piece."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request


async def spool(request: Request, path: Path) -> None:
    """Write the body to a file. Small writes to the page cache: no thread is worth its hand-over."""
    with path.open("wb", buffering=1 << 20) as file:
        async for piece in request.stream():
            file.write(piece)


@contextmanager
def searchable(path: Path) -> Iterator[bytes | mmap.mmap]:
    """Yield the file as something that a regular expression can be searched in, without reading all of it."""
    if path.stat().st_size == 0:
        yield b""
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as found:
        yield found
