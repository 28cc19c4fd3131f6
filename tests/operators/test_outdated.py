"""The digests of what a load is asked for."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
from dataclasses import dataclass
from airflow_provider_sfleads.operators.load_settings import _canonical

@dataclass(frozen=True)
class Asked:
    stages: frozenset
    more: object

print(_canonical([Asked(frozenset(map(str, range(50))), {"a": (None, 1.5)}), object()]))
"""


def test_what_is_asked_for_reads_the_same_in_every_process() -> None:
    """Python orders sets of texts another way in each."""
    told = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert len(set(told)) == 1
    assert "0x" not in told[0]
