"""What was asked of the emulator: the request log and its counts."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

_KEPT = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request; `started` and `ended` are seconds since 1970, `status` 0 means no answer was given."""

    number: int
    method: str
    path: str
    query: str
    route: str
    status: int
    records: int
    started: float
    ended: float
    fault: str | None


class Journal:
    """Counts and keeps requests; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._calls: Counter[str] = Counter()
        self._records: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._number = 0
        self._open = 0
        self._peak = 0
        self.api_used = 0

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            still_open = self._open
            self._reset()
            self._open = self._peak = still_open

    def begin(self) -> int:
        """Give a number to a request that has arrived."""
        with self._lock:
            self._number += 1
            self._open += 1
            self._peak = max(self._peak, self._open)
            return self._number

    def use_api(self, limit: int) -> bool:
        """Count one API call against the daily limit; False where the limit is reached."""
        with self._lock:
            if self.api_used >= limit:
                return False
            self.api_used += 1
            return True

    def end(self, entry: Entry) -> None:
        """Keep a request that has been answered."""
        with self._lock:
            self._open -= 1
            self._entries.append(entry)
            self._calls[f"{entry.method} {entry.route}"] += 1
            self._records[f"{entry.method} {entry.route}"] += entry.records
            self._statuses[entry.status] += 1

    def entries(self, last: int | None = None) -> list[dict[str, Any]]:
        """Return the last requests, in the order of their answers."""
        with self._lock:
            kept = list(self._entries)
        return [asdict(entry) for entry in (kept if last is None else kept[-last:])]

    def stats(self) -> dict[str, Any]:
        """Return counts since the last reset."""
        with self._lock:
            entries = self._entries
            return {
                "requests": self._number,
                "calls": dict(self._calls),
                "records": {route: count for route, count in self._records.items() if count},
                "statuses": {str(status): count for status, count in sorted(self._statuses.items())},
                "peak_concurrency": self._peak,
                "api_used": self.api_used,
                "first_started": min((entry.started for entry in entries), default=None),
                "last_ended": max((entry.ended for entry in entries), default=None),
            }
