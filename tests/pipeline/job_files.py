# ruff: noqa: TC002, TID253 - tests are no Dag files
"""What a job answers, as Salesforce writes it: result files, and loads that they speak of."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from airflow_provider_sfleads.pipeline.job_results import JobResults, Match
from airflow_provider_sfleads.pipeline.staged_rows import CLEAR, FIELD, field_names
from airflow_provider_sfleads.salesforce.describe import FieldInfo

JOB = "7505g00000XyZaBAAV"
KEY = FieldInfo(name="External_Id__c", type="string", length=36, external_id=True, unique=True)
Line = Mapping[str, str]


def write_file(path: Path, lines: Sequence[Line], columns: Sequence[str], *, seed: int = 0) -> Path:
    """Write a result file: its lines in no order, its columns in any, and their names in any letter case."""
    chance = random.Random(seed)
    names, shuffled = list(columns), list(lines)
    chance.shuffle(names)
    chance.shuffle(shuffled)
    text = io.StringIO(newline="")
    table = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    table.writerow([chance.choice((name, name.lower(), name.upper())) for name in names])
    table.writerows([[line.get(name, "") for name in names] for line in shuffled])
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    return path


def uploaded(batch: pa.RecordBatch) -> list[dict[str, str]]:
    """The rows of a load as their job echoes them."""
    fields = field_names(batch.schema)
    rows = batch.to_pylist()
    cells = [{name: row[FIELD + name] or "" for name in fields} for row in rows]
    echoed = [{name: "#N/A" if cell == CLEAR else cell for name, cell in row.items()} for row in cells]
    return [{"Id": row["salesforce_id"] or "", **line} for row, line in zip(rows, echoed, strict=True)]


def results_of(
    batches: Sequence[pa.RecordBatch], match: Match, directory: Path, external: str | None = KEY.name
) -> JobResults:
    """Results that wait for their files."""
    known = np.concatenate([match.of_load(batch) for batch in batches])
    return JobResults(known, match, job_id=JOB, directory=directory, external=external)
