"""Where a CSV file may be cut, and which stretches of it every reader reads alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_sfleads.exports.streams import ByteStream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_QUOTE, _LF, _CR = b'"\n\r'
_MARK = b"\xef\xbb\xbf"
#: A line that starts with something else than visible ASCII, in a file of one column: it may be a blank one.
_MAYBE_BLANK = re.compile(rb"^[^!-~\n]", re.MULTILINE)


class BlockSource:
    """A stream that is read line by line or block by block, whichever suits the place.

    An error of the stream is raised only when all that came before it has been taken.

    :param stream: where the bytes come from.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._held = b""
        self._at = 0
        self._ended = False
        self._problem: Exception | None = None
        #: Bytes and lines that were taken so far.
        self.offset = 0
        self.lines = 0

    @property
    def is_last(self) -> bool:
        """Whether nothing comes after what is at hand."""
        return self._ended and self._problem is None

    def ahead(self, size: int) -> bytes:
        """Return the next ``size`` bytes without taking them; fewer at the end and before an error."""
        if (lacking := size - len(self._held) + self._at) > 0:
            self._more(lacking)
        return self._held[self._at : self._at + size]

    def take(self, size: int) -> None:
        """Take bytes that were looked at."""
        self.lines += self._held.count(b"\n", self._at, self._at + size)
        self._at += size
        self.offset += size

    def readline(self, limit: int) -> bytes:
        """Take the next line, as the ``readline`` of a stream."""
        searched = 0
        while (end := self._held.find(b"\n", self._at + searched)) < 0:
            searched = len(self._held) - self._at
            # Twice as much each time: a long line is not copied for each of its pieces.
            if searched >= limit or not self._more(searched or 1):
                break
        size = min(end + 1 - self._at if end >= 0 else len(self._held) - self._at, limit)
        if end < 0 and size < limit and self._problem is not None:
            raise self._problem
        line = self._held[self._at : self._at + size]
        self.take(size)
        return line

    def _more(self, size: int) -> bool:
        """Read at least ``size`` bytes, or to the end or an error; say whether there were any."""
        pieces = [self._held[self._at :]]
        while not self._ended and size > 0:
            try:
                read = self._stream.read1()  # type: ignore[attr-defined]  # as much as one refill of its buffer
            except Exception as problem:  # noqa: BLE001  (raised when its place is reached)
                self._problem = problem
                read = b""
            self._ended = not read
            size -= len(read)
            pieces.append(read)
        self._held = b"".join(pieces)
        self._at = 0
        return any(pieces[1:])


def record_end(block: bytes) -> int:
    """Return how many bytes of ``block``, which starts a record, are whole records, if its quotes are in order."""
    import numpy as np

    end = block.rfind(b"\n") + 1
    quotes = int(np.count_nonzero(np.frombuffer(block, np.uint8, count=end) == _QUOTE))
    while quotes % 2:  # this line break stands inside a value
        previous = block.rfind(b"\n", 0, end - 1) + 1
        quotes -= block.count(b'"', previous, end)
        end = previous
    return end


def is_plain(block: bytes, delimiter: str, width: int) -> bool:
    r"""Say whether ``block`` is surely read alike by the row reader and by pyarrow.

    That is so where quotes stand around values and are doubled inside them (RFC 4180), and ``\r`` outside them stands
    only before ``\n``.

    :param block: whole records, the last one with or without a line end.
    :param width: how many columns the file has.
    """
    # pyarrow takes a byte order mark away from any block and from no line, and passes over no line of spaces.
    if b"\0" in block or block.startswith(_MARK) or b"\n" + _MARK in block:
        return False
    if width == 1 and _MAYBE_BLANK.search(block):
        return False
    import numpy as np

    data = np.frombuffer(block, np.uint8)
    quotes = np.flatnonzero(data == _QUOTE) if b'"' in block else np.empty(0, np.int64)
    if quotes.size and (quotes.size % 2 or not _quotes_in_order(data, quotes, ord(delimiter))):
        return False
    return b"\r" not in block or _returns_in_order(data, quotes)


def _quotes_in_order(data: NDArray[np.uint8], quotes: NDArray[np.int64], delimiter: int) -> bool:
    """Say whether each quote that opens stands first in its value, and each that closes last, or both are a pair."""
    import numpy as np

    opening, closing = quotes[0::2], quotes[1::2]
    paired = opening[1:] == closing[:-1] + 1
    before = data[opening - 1]
    after = data[np.minimum(closing + 1, data.size - 1)]
    starts = (before == delimiter) | (before == _LF)
    ends = (after == delimiter) | (after == _LF) | (after == _CR)
    starts[0] |= opening[0] == 0
    ends[-1] |= closing[-1] == data.size - 1
    starts[1:] |= paired
    ends[:-1] |= paired
    return bool(starts.all() and ends.all())


def _returns_in_order(data: NDArray[np.uint8], quotes: NDArray[np.int64]) -> bool:
    """Say whether each carriage return stands before a line feed or inside a value in quotes."""
    import numpy as np

    returns = data == _CR
    followed = returns[:-1] & (data[1:] == _LF)
    if np.count_nonzero(returns) == np.count_nonzero(followed):
        return True
    loose = np.flatnonzero(returns & ~np.append(followed, False))
    return bool((np.searchsorted(quotes, loose) % 2 == 1).all())
