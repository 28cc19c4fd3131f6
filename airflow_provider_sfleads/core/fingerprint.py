"""A short text for what a row would write: another one where any value is, or what else it stands for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

# No cell holds a NUL but one that is nothing else, so that neither can be taken for a part of a value.
BETWEEN, NOTHING = "\0,", "\0n"


def joined(cells: Iterable[str | None]) -> str:
    """Cells as one text, from which each of them could be told.

    :param cells: values as text, ``None`` for a field that is left alone.
    """
    return BETWEEN.join(NOTHING if cell is None else cell for cell in cells)


def fingerprint(text: str) -> str:
    """96 bits of a text, in hexadecimal digits."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).hexdigest()
