"""Bodies that are too big to be held: files that go out, and answers that go into files, in pieces of 1 MB."""

from __future__ import annotations

import gzip
import shutil
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from requests import Response  # noqa: TC002 - resolvable at run time
from requests.exceptions import ChunkedEncodingError
from urllib3.exceptions import HTTPError

PIECE = 1 << 20
# Ends as an answer that was cut: the deflated stream is short, or not what it was.
_TORN = (EOFError, gzip.BadGzipFile, zlib.error)


def save(response: Response, path: Path) -> None:
    """Write an answer's body to ``path``, whole or not at all.

    A compressed body carries its own check; of others the length is checked, as far as the answer tells one.

    :raises RequestException: where the connection is lost, or the body is cut short.
    :raises OSError: where ``path`` cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    # What is read here is the wire's: it unpacks nothing itself, and raises where bytes are missing.
    response.raw.decode_content = False
    packed = response.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip")
    try:
        part.touch(0o600)  # personal data
        with part.open("wb") as file:
            source = cast("IO[bytes]", gzip.GzipFile(fileobj=response.raw) if packed else response.raw)
            shutil.copyfileobj(source, file, PIECE)
        part.replace(path)
    except (*_TORN, HTTPError) as error:
        raise ChunkedEncodingError(error) from error
    finally:
        response.close()
        with suppress(FileNotFoundError):
            part.unlink()
