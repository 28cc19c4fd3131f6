"""Encode and decode bodies: JSON; what comes packed is unpacked piece by piece, up to a limit, to memory or a file."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import simplejson
from requests import Response  # noqa: TC002 - resolvable at run time
from urllib3.exceptions import ProtocolError

from airflow_provider_sfleads.exceptions import ParameterError

#: Bytes of a body that are looked at together.
PIECE = 1 << 20
_PLAIN, _PACKED = frozenset({"", "identity"}), frozenset({"gzip", "x-gzip"})
_GZIP = zlib.MAX_WBITS | 16
# A body is one gzip member, or a few joined; each costs time, also where nothing is in it.
_MOST_MEMBERS = 1000
#: Values that a body may hold, which bounds what it takes in memory (some 300 MB at worst); 2,000 leads with all the
#: fields that an org can have stay below.
MOST_VALUES = 2 << 20
# A text is a UTF-16 string to Salesforce, and can end in the middle of a character.
_HALF = re.compile(rb"\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|(\\u[dD][89a-fA-F]\w\w)|\\.", re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class TooLarge(Exception):  # noqa: N818 - told as a failure, not raised to users
    """A response has more bytes than the ``most`` that it may have."""

    def __init__(self, most: int) -> None:
        super().__init__(f"its answer has more than {most / 1e6:,.0f} MB unpacked")


class Damaged(Exception):  # noqa: N818 - likewise
    """A packed body is cut short or damaged, or packed in a way that was not asked for."""

    def __init__(self) -> None:
        super().__init__("its answer is damaged, or packed in a way that was not asked for")


def encode(body: object) -> tuple[bytes, str]:
    """Return a call's body as bytes and their content type; bytes and text pass as they are.

    A :class:`~decimal.Decimal` goes out as the exact number, text as UTF-8. NaN, infinities and lone surrogates, which
    JSON has no form for, are refused.
    """
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=UTF-8"
    try:
        text = simplejson.dumps(body, use_decimal=True, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        return text.encode(), "application/json; charset=UTF-8"
    except (ValueError, TypeError) as error:
        kind = type(error).__name__
    raise ParameterError(
        f"A request body holds what JSON cannot carry ({kind}): NaN, an infinity, half a surrogate pair, or an "
        "object of another type."
    )


def decode(content: bytes, content_type: str) -> tuple[object | None, bool]:
    """Return a response's body, and whether it is what its content type says.

    JSON numbers come back as ``int`` and ``float``, half a surrogate pair as U+FFFD. CSV, which the bulk API answers
    with, stays bytes. An object that names a member twice, a number that is none or has thousands of digits, and more
    than :data:`MOST_VALUES` values are nothing that Salesforce writes.
    """
    if not content:
        return None, True
    if content_type.lower().startswith("text/csv"):
        return content, True
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_VALUES:
        return None, False
    if _SURROGATE.search(content):
        content = _HALF.sub(lambda found: rb"\ufffd" if found[1] else found[0], content)
    try:
        return _JSON.decode(content.decode()), True
    except (ValueError, RecursionError):
        return None, False


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("no number")
    return number


_JSON = simplejson.JSONDecoder(object_pairs_hook=_members, parse_float=_finite)


class Unpacker:
    """Unpacks one body and counts its bytes, those of the wire and those unpacked; no piece is larger than 1 MB.

    A packed body carries its own check of length and content.

    :param encoding: the response's ``Content-Encoding``.
    :param most: bytes that it may have.
    :raises Damaged: where it is packed in another way than gzip.
    """

    def __init__(self, encoding: str, most: int) -> None:
        form = encoding.strip().lower()
        if form not in _PLAIN | _PACKED:
            raise Damaged
        self._is_packed = form in _PACKED
        self._most = most
        self._received = self._unpacked = self._members = 0
        self._member = zlib.decompressobj(_GZIP)
        self._is_open = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what comes of one piece off the wire.

        :raises TooLarge: where the body is longer than it may be.
        :raises Damaged: where it is damaged.
        """
        # A packed body may go on for ever and be nothing unpacked.
        self._received += len(data)
        if self._received > self._most:
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
                    raise Damaged

    def end(self) -> None:
        """Make sure that the body is whole."""
        if self._is_open:
            raise Damaged

    def _inflated(self, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                found = self._member.decompress(data, PIECE)
            except zlib.error as error:
                raise Damaged from error
            self._unpacked += len(found)
            if self._unpacked > self._most:
                raise TooLarge(self._most)
            if found:
                yield found
            data = self._member.unconsumed_tail
            if not data and len(found) < PIECE:
                return


def read_body(response: Response, most: int) -> bytes:
    """Read a response's body to its end.

    :param most: bytes that it may have, unpacked.
    :raises TooLarge: where it has more; the connection is closed then, and nothing of it is kept.
    :raises Damaged: where it is damaged.
    :raises HTTPError: where the connection is lost, or the body is cut short.
    """
    try:
        return b"".join(_pieces(response, most))
    except BaseException:
        response.close()
        raise


def save_body(response: Response, path: Path, most: int) -> None:
    """Write a response's body to ``path``, whole or not at all; raises as :func:`read_body` does.

    :raises OSError: where ``path`` cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.touch(0o600)  # personal data
        with part.open("wb") as file:
            file.writelines(_pieces(response, most))
        part.replace(path)
    finally:
        response.close()
        with suppress(FileNotFoundError):
            part.unlink()


def _pieces(response: Response, most: int) -> Iterator[bytes]:
    unpacker = Unpacker(response.headers.get("Content-Encoding", ""), most)
    try:
        # As it is on the wire: urllib3 would unpack a piece of any size at once.
        while piece := response.raw.read(PIECE, decode_content=False):
            yield from unpacker.feed(piece)
    except (HTTPException, ValueError) as error:
        # http.client takes a chunk of a negative length for one.
        raise ProtocolError(error) from error
    unpacker.end()
