"""A storage that fails whoever hands it a name where fsspec would read a pattern."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from fsspec.implementations.memory import (  # type: ignore[import-untyped]  # noqa: TID253 - no Dag file
    MemoryFileSystem,
)


class LiteralMemory(MemoryFileSystem):  # type: ignore[misc]
    """fsspec's memory, without the methods that expand patterns, and all that are made of them."""

    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    def expand_path(self, path: object, *_args: object, **_more: object) -> NoReturn:
        """Fail: ``rm``, ``mv``, ``copy``, ``get``, ``put`` and ``cat`` call it."""
        raise AssertionError(f"{path!r} would be expanded as a pattern")

    def glob(self, path: str, *_args: object, **_more: object) -> NoReturn:
        """Fail."""
        raise AssertionError(f"{path!r} is taken for a pattern")
