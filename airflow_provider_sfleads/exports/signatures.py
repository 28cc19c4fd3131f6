"""What a file really is, by its first bytes, where that is not what its name says.

Signatures: RFC 1952 (gzip), RFC 8878 (Zstandard), PKWARE's APPNOTE 4.3 (ZIP, which Excel workbooks are), MS-CFB 2.2
(old Excel workbooks), and the specifications of Parquet, ORC, Avro, bzip2 and xz.
"""

from __future__ import annotations

import codecs
import re

from airflow_provider_sfleads.exceptions import ExportError

#: Bytes of a file's head that are looked at.
HEAD = 4096

_NAMES = {
    "csv": "CSV file",
    "jsonl": "JSON Lines file",
    "parquet": "Parquet file",
    "gzip": "gzip file",
    "zstd": "zstd file",
}
_SIGNATURES = (
    (re.compile(rb"\x1f\x8b"), "gzip"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd"),
    (re.compile(rb"PAR1"), "parquet"),
    (re.compile(rb"PARE"), "a Parquet file with an encrypted footer"),
    # What the archive holds first differs by the program that wrote the workbook.
    (re.compile(rb"PK\x03\x04.*?(\[Content_Types\]\.xml|docProps/|xl/)", re.DOTALL), "an Excel workbook"),
    (re.compile(rb"PK(\x03\x04|\x05\x06)"), "a ZIP archive"),
    (re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "an old Excel workbook"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "a bzip2 file"),
    (re.compile(rb"\xfd7zXZ\0"), "an xz file"),
    (re.compile(rb"Obj\x01"), "an Avro file"),
    (re.compile(rb"ORC"), "an ORC file"),
)
_PAGE = re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE)
_JSON = re.compile(rb'\s*(\[\s*)?\{\s*"')
# Control characters that no text holds.
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_REMEDIES = {
    "gzip": "Let its name end in .gz, or unpack it",
    "zstd": "Let its name end in .zst, or unpack it",
    "parquet": "Let its name end in .parquet, or say format='parquet'",
    "jsonl": "Let its name end in .jsonl, or say format='jsonl'",
    "plain text": "Let its name end as what it is",
}
_OTHER_REMEDY = "Write it as CSV, JSON Lines or Parquet"


def check_head(head: bytes, expected: str, name: str) -> None:
    """Refuse a file that begins as something else than it is to be.

    :param head: its first :data:`HEAD` bytes or so; none where it is empty, which is no matter here.
    :param expected: ``csv``, ``jsonl``, ``parquet``, ``gzip`` or ``zstd``.
    :raises ExportError: it says what the file is, and what to do.
    """
    found = _found(head, expected)
    if not head or found == expected:
        return
    what = f"a {_NAMES[found]}" if found in _NAMES else found
    remedy = _REMEDIES.get(found, _OTHER_REMEDY)
    raise ExportError(f"{name} is no {_NAMES[expected]} but {what}, by its first bytes. {remedy}.")


def _found(head: bytes, expected: str) -> str:
    """Say what a file is; of text, and of what is not known, where it need not be more, that it is what it is to be."""
    if _is_text(head):
        return _kind_of_text(head.removeprefix(codecs.BOM_UTF8), expected)
    found = next((what for signature, what in _SIGNATURES if signature.match(head)), "")
    # What is neither known nor UTF-8 is told better by who reads its lines.
    return found or (expected if expected in ("csv", "jsonl") else "of no format that is known")


def _kind_of_text(head: bytes, expected: str) -> str:
    if _PAGE.match(head):
        return "a web page or XML"
    if expected == "csv" and _JSON.match(head):
        return "jsonl"
    return expected if expected in ("csv", "jsonl") else "plain text"


def _is_text(head: bytes) -> bool:
    """Say whether a head is UTF-8: text may begin as other formats do, such as with a column named ``PAR1``."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # it may end in the middle of a character
    except UnicodeDecodeError:
        return False
    return _NO_TEXT.search(head) is None
