"""What a look-up decided about the rows of a part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from airflow_provider_sfleads.pipeline.plan import Settled
from airflow_provider_sfleads.pipeline.staged_items import Sending

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Classes of rows other than the number of a way.
SETTLED, TAIL, APART = -1, -2, -3

OUTCOME = pa.schema(
    [(name, pa.string()) for name in ("action", "reason", "salesforce_id", "contact_id", "old_stage", "new_stage")]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """One decision for each row of a part, by position.

    :param ways: the ways that rows may be sent, the same for every part of a run.
    :param classes: ``SETTLED`` (the outcome is in :meth:`columns`), ``TAIL`` (the row code looks at the row by itself),
        ``APART`` (the outcome is in ``apart``), or the number of the way that the row is sent.
    :param found: what is known of each row, in the columns of :data:`OUTCOME`, dictionaries where that is smaller.
    :param apart: outcomes that take more than those columns (refusals), by position.
    """

    ways: tuple[Sending, ...]
    classes: npt.NDArray[np.int8]
    found: pa.RecordBatch
    apart: Mapping[int, Settled]

    def columns(self, start: int, count: int) -> pa.RecordBatch:
        """The rows ``start`` to ``start + count`` as plain strings (:data:`OUTCOME`).

        Of a settled row they are the outcome. Of a row that is sent, ``action`` and ``reason`` are null, and the rest
        is what is known of its lead: id, old and new stage. Those of other rows say nothing that counts.
        """
        part = self.found.slice(start, count)
        return pa.RecordBatch.from_arrays([column.cast(pa.string()) for column in part.columns], schema=OUTCOME)
