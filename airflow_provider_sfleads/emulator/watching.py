"""Who watches the requests of an emulator: told of each when it is there, and again when it is carried out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from mmap import mmap
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A request, as a watcher sees it.

    :param number: its number in the request log.
    :param target: path and query.
    :param body: what it brought; readable only during the watcher's call, and empty once it is carried out.
    :param phase: ``arrived`` before anything is done, ``done`` when all is done and nothing of the answer is sent.
    """

    number: int
    method: str
    target: str
    body: bytes | mmap
    phase: Literal["arrived", "done"]


Watcher = Callable[[Sight], None]
"""Is called in the emulator's own thread, which serves nobody meanwhile: it has to be quick, and must not raise."""
