"""Keys as they rest on disk: no personal data, and short."""

from __future__ import annotations

import hashlib


def digest_of(key: str, space: str = "key") -> bytes:
    """16 bytes of BLAKE2b; keys of different spaces are different keys."""
    return hashlib.blake2b(f"{space}\0{key}".encode(errors="surrogatepass"), digest_size=16).digest()
