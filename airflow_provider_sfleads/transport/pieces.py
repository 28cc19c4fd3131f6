"""Bodies of answers as they come in: unpacked piece by piece, up to a limit, and held or written to a file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

from requests import Response  # noqa: TC002 - resolvable at run time
from urllib3.exceptions import ProtocolError

#: Bytes of a body that are looked at together.
PIECE = 1 << 20
_PLAIN, _PACKED = frozenset({"", "identity"}), frozenset({"gzip", "x-gzip"})
_GZIP = zlib.MAX_WBITS | 16
# A body is one gzip member, or a few joined; each costs time, also where nothing is in it.
_MOST_MEMBERS = 1000


class TooLarge(Exception):  # noqa: N818 - told as a failure, not raised to users
    """An answer has more bytes than it may have.

    :param most: how many it may have.
    """

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most


class Torn(Exception):  # noqa: N818 - likewise
    """A packed body is cut short or damaged, or packed in a way that was not asked for."""


class Body:
    """Unpacks one body and counts its bytes, those of the wire and those unpacked; no piece is larger than 1 MB.

    A packed body carries its own check of length and content.

    :param encoding: the answer's ``Content-Encoding``.
    :param most: bytes that it may have.
    :raises Torn: where it is packed in another way than gzip.
    """

    def __init__(self, encoding: str, most: int) -> None:
        form = encoding.strip().lower()
        if form not in _PLAIN | _PACKED:
            raise Torn
        self._is_packed = form in _PACKED
        self._most = most
        self._came = self._made = self._members = 0
        self._member = zlib.decompressobj(_GZIP)
        self._is_open = False

    def unpacked(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield a body that comes in pieces, to its end.

        :raises TooLarge: where it is longer than it may be.
        :raises Torn: where it is damaged.
        """
        for piece in pieces:
            yield from self.take(piece)
        self.end()

    def take(self, data: bytes) -> Iterator[bytes]:
        """Yield what comes of one piece off the wire."""
        # A packed body may go on for ever and be nothing unpacked.
        self._came += len(data)
        if self._came > self._most:
            raise TooLarge(self._most)
        if not self._is_packed:
            yield data
            return
        while data:
            self._is_open = True
            yield from self._inflated(data)
            data = self._member.unused_data
            if self._member.eof:
                self._member, self._is_open = zlib.decompressobj(_GZIP), False
                self._members += 1
                if self._members > _MOST_MEMBERS:
                    raise Torn

    def end(self) -> None:
        """Make sure that the body is whole."""
        if self._is_open:
            raise Torn

    def _inflated(self, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                found = self._member.decompress(data, PIECE)
            except zlib.error as error:
                raise Torn from error
            self._made += len(found)
            if self._made > self._most:
                raise TooLarge(self._most)
            if found:
                yield found
            data = self._member.unconsumed_tail
            if not data and len(found) < PIECE:
                return


def held(response: Response, most: int) -> bytes:
    """Read an answer's body to its end.

    :param most: bytes that it may have, unpacked.
    :raises TooLarge: where it has more; the connection is closed then, and nothing of it is kept.
    :raises Torn: where it is damaged.
    :raises HTTPError: where the connection is lost, or the body is cut short.
    """
    try:
        return b"".join(_unpacked(response, most))
    except BaseException:
        response.close()
        raise


def save(response: Response, path: Path, most: int) -> None:
    """Write an answer's body to ``path``, whole or not at all; raises as :func:`held` does.

    :raises OSError: where ``path`` cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.touch(0o600)  # personal data
        with part.open("wb") as file:
            file.writelines(_unpacked(response, most))
        part.replace(path)
    finally:
        response.close()
        with suppress(FileNotFoundError):
            part.unlink()


def _unpacked(response: Response, most: int) -> Iterator[bytes]:
    return Body(response.headers.get("Content-Encoding", ""), most).unpacked(_off_the_wire(response))


def _off_the_wire(response: Response) -> Iterator[bytes]:
    raw = response.raw
    try:
        # As it is on the wire: urllib3 would unpack a piece of any size at once.
        while piece := raw.read(PIECE, decode_content=False):
            yield piece
    except (HTTPException, ValueError) as error:
        # http.client takes a chunk of a negative length for one.
        raise ProtocolError(error) from error
