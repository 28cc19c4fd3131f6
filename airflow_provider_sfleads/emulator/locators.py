"""Query results that are handed out page by page."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_sfleads.emulator.fields import FieldSpec
from airflow_provider_sfleads.emulator.ids import LOCATOR_PREFIX, make_id

_KEPT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """All rows of a query, as they were when it was asked."""

    id: str
    object: str
    columns: tuple[FieldSpec, ...]
    rows: Sequence[Any]
    page_size: int


class Locators:
    """The last results that have further pages."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: OrderedDict[str, Result] = OrderedDict()
        self._next = 1

    def new_id(self) -> str:
        """Return an id for a result."""
        with self._lock:
            number, self._next = self._next, self._next + 1
        return make_id(LOCATOR_PREFIX, number)

    def keep(self, result: Result) -> None:
        """Keep a result, and let go of the oldest."""
        with self._lock:
            self._results[result.id] = result
            while len(self._results) > _KEPT:
                self._results.popitem(last=False)

    def find(self, locator: str) -> Result | None:
        """Return the result of that id."""
        with self._lock:
            return self._results.get(locator)

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            self._results.clear()
