"""How logs and messages name a row, and what they may say of its error."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

# In a broken line any value may stand where the key is.
_KEYLESS = frozenset({"MALFORMED_ROW"})


def log_name(key: str, *, salt: str) -> str:
    """A key as it may be logged: one that looks like an e-mail address is a person's and is hashed.

    :param salt: makes the hash another one for each Dag.
    """
    if "@" not in key:
        return repr(key)
    return "sha:" + hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8, salt=_salt(salt)).hexdigest()


def is_named(error_code: str) -> bool:
    """Whether a row that is rejected with this code can be named by what stands as its key."""
    return error_code not in _KEYLESS


def error_words(*, was_sent: bool, fields: Sequence[str], message: str | None) -> str:
    """What may be said of a reject beside its code: Salesforce's own words may repeat a value, ours do not.

    :param was_sent: whether Salesforce refused the row, so that the message is Salesforce's.
    """
    return ", ".join(fields) if was_sent else message or ""


def _salt(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=hashlib.blake2b.SALT_SIZE).digest()
