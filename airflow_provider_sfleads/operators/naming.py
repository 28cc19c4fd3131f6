"""How logs and messages name a row."""

from __future__ import annotations

import hashlib


def log_name(key: str, *, salt: str) -> str:
    """A key as it may be logged: one that looks like an e-mail address is a person's and is hashed.

    :param salt: makes the hash another one for each Dag.
    """
    if "@" not in key:
        return repr(key)
    return "sha:" + hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8, salt=_salt(salt)).hexdigest()


def _salt(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=hashlib.blake2b.SALT_SIZE).digest()
