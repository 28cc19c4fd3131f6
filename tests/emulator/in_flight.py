"""What the emulator's request log says of requests that were under way together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any


def peak(requests: Iterable[Mapping[str, Any]]) -> int:
    """How many of the requests were under way together at most."""
    steps = sorted(step for request in requests for step in ((request["started"], 1), (request["ended"], -1)))
    return max(accumulate(change for _, change in steps))
