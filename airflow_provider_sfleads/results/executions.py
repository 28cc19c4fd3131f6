"""What the executions of a task instance recorded of themselves, below ``results_path``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from airflow_provider_sfleads.core.executions import Entry, entry_of_rows, gathered, in_order
from airflow_provider_sfleads.core.report import SyncReport
from airflow_provider_sfleads.exceptions import ResultsError
from airflow_provider_sfleads.results.counting import tally_of
from airflow_provider_sfleads.results.folder import DRY_RUN, REPORT, ResultsFolder, is_execution
from airflow_provider_sfleads.results.small_json import read_small_json

log = logging.getLogger(__name__)


def other_executions(folder: ResultsFolder, *, by_rows: bool = False) -> tuple[Entry, ...]:
    """What the other executions of a task instance came to, oldest first.

    :param folder: of the execution that they are told to.
    :param by_rows: count the rows that live ones recorded, and believe no report: where records are lost, the execution
        at hand may count anew what they lack.
    :raises OSError: where the storage cannot be read.
    """
    names = [name for name in execution_names(folder) if name != folder.execution]
    reported = gathered(written_reports(folder, names))
    told = {entry["execution"]: entry for entry in reported if entry["dry_run"] or not by_rows}
    told.pop(folder.execution, None)
    counted = (_counted(replace(folder, execution=name)) for name in names if name not in told)
    return in_order([*told.values(), *(entry for entry in counted if entry is not None)])


def execution_names(folder: ResultsFolder) -> list[str]:
    """The names of the task instance's executions, newest first."""
    return sorted(filter(is_execution, folder.directory.parent.folders()), reverse=True)


def written_reports(folder: ResultsFolder, names: Sequence[str]) -> Iterator[tuple[str, SyncReport]]:
    """Yield the reports of some executions, those that can be read."""
    for name in names:
        directory = replace(folder, execution=name).directory
        if not directory.has(REPORT):
            continue
        try:
            report = SyncReport.from_json(read_small_json(directory, REPORT))
        except ValueError as problem:
            log.warning("The report in %s is none: %s", directory.path, problem)
            continue
        yield name, report


def _counted(folder: ResultsFolder) -> Entry | None:
    """What an execution without a report recorded; ``None`` where it came to nothing, or nobody can tell."""
    try:
        tally = tally_of(folder)
    except (OSError, ResultsError) as problem:
        log.warning("What the execution in %s did cannot be read: %s", folder.url, problem)
        return None
    return entry_of_rows(folder.execution, tally, dry_run=folder.execution.endswith(DRY_RUN)) if tally.read else None
