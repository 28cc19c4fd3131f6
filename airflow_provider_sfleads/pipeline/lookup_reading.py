"""What a look-up reads with."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from airflow_provider_sfleads.salesforce.wire import Call, Reply, Send

Batches = Callable[[], Iterator[pa.RecordBatch]]
"""Begins anew with the staged rows of a part."""
Leads = Generator[pa.RecordBatch, None, None]
"""Leads as Salesforce has them: a column of strings for each field read, null where there is nothing.

Who breaks off closes it: a query job is deleted then.
"""
Mask = npt.NDArray[np.bool_]


class Memory(Protocol):
    """Remembers values, each in its space; see :class:`pipeline.key_memory.KeyMemory`."""

    def add(self, key: str, space: str = "key", /) -> bool:
        """Whether the value is new in its space."""

    def add_many(self, keys: pa.Array, space: str = "key", /) -> Mask:
        """Which of the values are new; the first of equal ones is."""


class Stopped(Exception):  # noqa: N818 - no error: the run is to end
    """The run was asked to end while the look-up waited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a look-up reads with.

    :param send: the transport; called from several threads.
    :param download: the transport for results that go into a file.
    :param conn_id: the connection that errors name.
    :param concurrency: calls in flight.
    :param directory: an existing local folder for what is downloaded; it is left as it was.
    :param pause: waits so many seconds, or shorter where the run is to end.
    :param stopped: whether the run is to end.
    """

    send: Send
    download: Callable[[Call, Path], Reply]
    conn_id: str
    concurrency: int
    directory: Path
    pause: Callable[[float], None]
    stopped: Callable[[], bool]
