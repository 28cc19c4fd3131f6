"""Salesforce record ids: 15 case-sensitive characters, or those and 3 check characters."""

from __future__ import annotations

import re
from collections import defaultdict
from string import ascii_uppercase

LEAD_PREFIX = "00Q"
#: What the ids of an object begin with (Object Reference, "Standard Objects").
KEY_PREFIXES = {
    "AssignmentRule": "01Q",
    "Contact": "003",
    "Job": "750",
    "Lead": LEAD_PREFIX,
    "Organization": "00D",
    "User": "005",
}
_SHAPE = re.compile(r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-5]{3})?")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_CAPITALS = defaultdict(lambda: "0", dict.fromkeys(map(ord, ascii_uppercase), "1"))
_SHORT = 15


def checksum(id15: str) -> str:
    """Return the 3 check characters of a 15-character id; each says which of 5 characters are capitals."""
    # Read from its end, which characters are capitals is a binary number, five digits for each check character.
    bits = int(id15.translate(_CAPITALS)[::-1], 2)
    return _ALPHABET[bits & 31] + _ALPHABET[bits >> 5 & 31] + _ALPHABET[bits >> 10]


def to_18(value: str) -> str | None:
    """Return the 18-character form of an id, or ``None`` where ``value`` is no id.

    An 18-character id whose letters all lost their case (a spreadsheet, a case-insensitive store) gets it back from
    its check characters; one whose case contradicts them otherwise is a typing error, not an id.
    """
    if not _SHAPE.fullmatch(value):
        return None
    head, tail = value[:_SHORT], value[_SHORT:].upper()
    check = checksum(head)
    if tail in ("", check):
        return head + check
    if head not in (head.lower(), head.upper()):
        return None
    mended = "".join(
        char.upper() if _ALPHABET.index(tail[place // 5]) >> place % 5 & 1 else char.lower()
        for place, char in enumerate(head)
    )
    return mended + tail if checksum(mended) == tail else None


def full_id(value: str) -> str:
    """Return the 18-character form of an id that came from the server; what is no id stays as it is."""
    return to_18(value) or value


def is_id(value: object, sobject: str) -> bool:
    """Return whether a value that came from the server has the form of such a record's id.

    Fit for a path or a file's name.
    """
    return has_form(value) and str(value).startswith(KEY_PREFIXES[sobject])


def has_form(value: object) -> bool:
    """Return whether a value has the form of an id; its check characters are the server's business."""
    return isinstance(value, str) and _SHAPE.fullmatch(value) is not None


def lead_id(value: str) -> str | None:
    """Return the 18-character form of a Lead's id, or ``None`` where ``value`` is none."""
    full = to_18(value)
    return full if full and full.startswith(LEAD_PREFIX) else None
