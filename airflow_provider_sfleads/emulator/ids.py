"""Record ids: 15 case-sensitive characters, or 18 with three check characters.

The check characters say which of the 15 are upper case, so an 18-character id survives a store
that loses letter case, and Salesforce repairs the case from them.
"""

from __future__ import annotations

CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHORT, _LONG = 15, 18
_INSTANCE = "5g00000"

LEAD_PREFIX = "00Q"
CONTACT_PREFIX = "003"
ACCOUNT_PREFIX = "001"
LOCATOR_PREFIX = "01g"
JOB_PREFIX = "750"


def with_check(id15: str) -> str:
    """Append the three check characters to a 15-character id."""
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << j for j in range(5) if "A" <= id15[start + j] <= "Z")
        suffix += CHECK[bits]
    return id15 + suffix


def make_id(prefix: str, number: int) -> str:
    """Return the 18-character id of the `number`-th record of the object with this key prefix."""
    digits = ""
    for _ in range(15 - len(prefix) - len(_INSTANCE)):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return with_check(prefix + _INSTANCE + digits)


def number_of(id18: str) -> int:
    """Return the number that `make_id` made the id of."""
    number = 0
    for char in id18[_SHORT - 5 : _SHORT]:
        number = number * 62 + _BASE62.index(char)
    return number


def to_18(raw: object) -> str | None:
    """Return the 18-character form of a 15- or 18-character id, or None where it cannot be an id."""
    if not isinstance(raw, str) or not raw.isascii() or not raw.isalnum():
        return None
    if len(raw) == _SHORT:
        return with_check(raw)
    if len(raw) != _LONG:
        return None
    repaired = ""
    for group, check in enumerate(raw[_SHORT:].upper()):
        bits = CHECK.find(check)
        if bits < 0:
            return None
        for j, char in enumerate(raw[group * 5 : group * 5 + 5]):
            repaired += char.upper() if bits >> j & 1 else char.lower()
    fixed = with_check(repaired)
    # A check character that claims a digit is upper case belongs to no id.
    return fixed if fixed[_SHORT:] == raw[_SHORT:].upper() else None


ORG_ID = make_id("00D", 1)
RUN_AS_USER_ID = make_id("005", 1)
SALES_USER_ID = make_id("005", 2)
INACTIVE_USER_ID = make_id("005", 3)
QUEUE_ID = make_id("00G", 1)
SECOND_QUEUE_ID = make_id("00G", 2)
ACTIVE_RULE_ID = make_id("01Q", 1)
INACTIVE_RULE_ID = make_id("01Q", 2)
# The same in every org.
MASTER_RECORD_TYPE_ID = "012000000000000AAA"
