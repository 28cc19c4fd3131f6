# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from airflow_provider_sfleads.pipeline.job_results import ErrorTexts


def test_texts_that_are_read_in_between_stay_what_they_are(tmp_path: Path) -> None:
    """Those that come later stand behind all before them, wherever somebody has read."""
    stored = ErrorTexts(tmp_path)
    assert stored.add(pa.array(["one", None, "täwo"])[1:]) == 0
    assert stored.read(np.array([1, 0], dtype=np.int32)) == ["täwo", ""]
    assert stored.read(np.array([0], dtype=np.int32)) == [""]
    assert stored.add(pa.array(["three", "four"])) == 2
    assert stored.read(np.arange(4, dtype=np.int32)) == ["", "täwo", "three", "four"]
    assert not list(tmp_path.iterdir())
    stored.close()
