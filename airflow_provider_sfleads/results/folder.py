"""The folder of one execution of a sync, below ``results_path``."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.results.files import PRIVATE_FOLDER, REJECTS, Directory, directory_at
from airflow_provider_sfleads.results.parts import STAGED, are_covered, marks, part_names

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_sfleads.results.writer import ResultsWriter

REPORT = "report.json"
PREVIEW = "preview.json"
STAGING = "_staging"
#: Where a task's journal lies, and where its owner is named; apart, lest writing the one undoes the other.
JOURNAL, OWNER = "_state.json", "_owner.json"
#: How the names of dry executions end.
DRY_RUN = "-dry-run"
#: How an execution is named after its beginning, for ``strftime``; UTC.
EXECUTION = "%Y%m%dT%H%M%S.%fZ"
_BEGUN = "_begun"
_SCRATCH, _COPIES = "scratch-", "staged"
#: The export's columns, beside the rows that are staged.
COLUMNS = "columns.json"
_EXECUTION = re.compile(rf"\d{{8}}T\d{{6}}\.\d{{6}}Z(?:{DRY_RUN})?")
_UNSAFE = re.compile(r"[/\\?#%*\[\]\x00-\x1f\x7f]")
_MAGIC = re.compile(r"([*?\[])")
_LONGEST_PART = 200  # bytes; file systems stop at 255, and drafts add to a name


@dataclass(frozen=True)
class ResultsFolder:
    """Where one execution of one task writes: ``<base>/<dag_id>/<run_id>/<task_id>/<map_index>/<execution>/``.

    :param base: the operator's ``results_path``, anything that ``ObjectStoragePath`` takes.
    :param dag_id: Dag of the task.
    :param run_id: run of the task.
    :param task_id: the task.
    :param map_index: -1 for a task that is not mapped.
    :param execution: tells a deliberate re-run from the execution before it.
    :param conn_id: Airflow connection for remote storage.
    :param guard: called before anything is changed; raises where this process may not write any more.
    :param process: tells the scratch files of this process from those of a frozen one on the same machine.
    """

    base: str | PathLike[str] | ObjectStoragePath
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    execution: str
    conn_id: str | None = None
    guard: Callable[[], object] = field(default=lambda: None, compare=False, repr=False)
    process: str = field(default="", compare=False)

    @cached_property
    def directory(self) -> Directory:
        """The folder at its storage."""
        base = str(self.base).rstrip("/")
        if not base:
            raise ParameterError("results_path is empty; say where the results of each sync are to be written.")
        try:
            root = directory_at(base, conn_id=self.conn_id)
        except (ValueError, ImportError) as problem:
            raise ParameterError(f"results_path {base!r} cannot be used: {problem}") from None
        return replace(root.child("/".join(self._parts)), guard=self.guard)

    @cached_property
    def url(self) -> str:
        """The folder's URL, without a slash at its end; ``ObjectStoragePath`` takes it."""
        if self.directory.is_local:
            return f"file://{self.directory.path}"
        from airflow.sdk import ObjectStoragePath

        base = str(ObjectStoragePath(str(self.base).rstrip("/"), conn_id=self.conn_id)).rstrip("/")
        return "/".join((base, *self._parts))

    @property
    def results_url(self) -> str:
        """The results as a glob, which ``FileExport``, DuckDB and others read as it is; the folder's name is none."""
        return _MAGIC.sub(r"[\1]", self.url) + "/results-*.parquet"

    @property
    def rejects_url(self) -> str:
        """The rejects file."""
        return f"{self.url}/{REJECTS}"

    @property
    def report_url(self) -> str:
        """The report."""
        return f"{self.url}/{REPORT}"

    def writer(self, *, columns: Sequence[str], resume: bool = False, part_rows: int = 50_000) -> ResultsWriter:
        """Return the writer of results and rejects, a context manager.

        :param columns: the export's columns, for the rejects.
        :param resume: keep what an earlier try of this execution settled, except its ``not_sent`` rows, which this
            try is to settle. Default: start anew.
        :param part_rows: rows a part, so the rows that a killed worker can lose from the results.
        """
        from airflow_provider_sfleads.results.writer import ResultsWriter

        return ResultsWriter(self.directory, columns=tuple(columns), resume=resume, part_rows=part_rows)

    @property
    def exists(self) -> bool:
        """Whether anything was ever written to the folder, and is there."""
        return bool(self.directory.names() or self.directory.folders())

    def begin(self) -> None:
        """Write a file that says, durably, that there was this execution, before it has anything to record.

        A retry tells by it an execution that came to nothing from one whose records are lost.
        """
        if not self.has_begun:
            self.directory.write(_BEGUN)

    @property
    def has_begun(self) -> bool:
        """Whether :meth:`begin` was called; one that came to an end has at least an empty part."""
        return self.directory.has(_BEGUN) or bool(part_names(self.directory))

    @property
    def has_staged(self) -> bool:
        """Whether rows lie there that are not accounted for."""
        return self.staged().has(COLUMNS)

    @property
    def is_staged(self) -> bool:
        """Whether the export was read to its end, and its rows lie there."""
        return self.has_staged and STAGED in marks(self.directory)

    def holds_parts(self, first: int, end: int) -> bool:
        """Return whether all parts of the results are there that have numbers from ``first`` on and below ``end``."""
        return are_covered(self.directory, first, end)

    @property
    def began(self) -> datetime:
        """When the execution began, by its name; long ago where that does not tell."""
        try:
            return datetime.strptime(self.execution.removesuffix(DRY_RUN), EXECUTION).replace(tzinfo=UTC)
        except ValueError:
            return datetime(2000, 1, 1, tzinfo=UTC)

    def others(self) -> Iterator[ResultsFolder]:
        """Yield the folders of the task's other executions in this run, oldest first, without dry ones."""
        for name in self.directory.parent.folders():
            if name != self.directory.path.rpartition("/")[2] and not name.endswith(DRY_RUN):
                yield replace(self, execution=name)

    @property
    def of_dag(self) -> Directory:
        """The directory that holds all runs of the Dag."""
        return self.directory.parent.parent.parent.parent

    def write_report(self, report: Mapping[str, Any]) -> str:
        """Write ``report.json`` and return its URL."""
        self._write_json(REPORT, report)
        if self.directory.has(_BEGUN) and part_names(self.directory):
            # The parts say it from here on.
            self.directory.remove(_BEGUN)
        return self.report_url

    def write_preview(self, preview: Mapping[str, Any]) -> str:
        """Write ``preview.json``, what a live run would do, and return its URL."""
        self._write_json(PREVIEW, preview)
        return f"{self.url}/{PREVIEW}"

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        self.directory.write(name, json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")

    def staging(self) -> Path:
        """Return a local directory for what this process keeps on disk; what another one left there is removed.

        Below the folder where that is local, else below the machine's temporary directory. Only this user can enter
        it: the rows are personal data.
        """
        path = self._staging_path
        if self.directory.is_local:
            self.staged().make()
        path.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(
                f"{path} belongs to somebody else; remove it or set TMPDIR to a directory of your own."
            )
        path.chmod(PRIVATE_FOLDER)
        if not self.process:
            return path
        for left in path.glob(f"{_SCRATCH}*"):
            if left.name != f"{_SCRATCH}{self.process}":
                shutil.rmtree(left, ignore_errors=True)
        own = path / f"{_SCRATCH}{self.process}"
        own.mkdir(exist_ok=True, mode=PRIVATE_FOLDER)
        return own

    def staged(self) -> Directory:
        """Return the directory at the storage where rows wait that another worker may have to go on with.

        What this process stages at a remote one it reads from copies of its own.
        """
        directory = self.directory.child(STAGING)
        if directory.is_local or not self.process:
            return directory
        return replace(directory, copies=self._staging_path / f"{_SCRATCH}{self.process}" / _COPIES)

    def remove_staging(self) -> None:
        """Remove the staging directories, once every row is accounted for."""
        self.guard()
        if not self.directory.is_local:
            self.staged().remove_all()
        shutil.rmtree(self._staging_path, ignore_errors=True)

    @property
    def _staging_path(self) -> Path:
        if self.directory.is_local:
            return Path(self.directory.file(STAGING))
        digest = hashlib.blake2b(self.url.encode(), digest_size=12).hexdigest()
        return Path(tempfile.gettempdir()) / f"sfleads-{getpass.getuser()}-{digest}"

    @property
    def _parts(self) -> tuple[str, ...]:
        return tuple(
            path_part(str(part)) for part in (self.dag_id, self.run_id, self.task_id, self.map_index, self.execution)
        )


def is_execution(name: str) -> bool:
    """Return whether a folder is named as an execution's is."""
    return _EXECUTION.fullmatch(name) is not None


def path_part(name: str) -> str:
    """Return ``name`` as one part of a path or URL.

    Run ids keep their ``:`` and ``+``. What could leave the folder, or that URLs and globs read otherwise, becomes
    ``_``; a name that is changed gets a digest, so that two names never share a folder.
    """
    safe = _UNSAFE.sub("_", name)
    if safe in ("", ".", ".."):
        safe = "_"
    while len(safe.encode()) > _LONGEST_PART:
        safe = safe[:-1]
    if safe == name:
        return safe
    return f"{safe}-{hashlib.blake2b(name.encode(errors='replace'), digest_size=4).hexdigest()}"


class StateStore(Protocol):
    """Airflow's task state store, as far as it is used here."""

    def get(self, key: str) -> object:
        """Read a value."""

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Write a value."""


class StateFile:
    """A file beside a task's executions, used as Airflow's task state store is.

    :param folder: the folder of any execution of the task.
    :param name: the file's name.
    """

    def __init__(self, folder: ResultsFolder, name: str = JOURNAL) -> None:
        self._directory = folder.directory.parent
        self._name = name

    @property
    def exists(self) -> bool:
        """Whether a try of the task has been here before."""
        return self._directory.has(self._name)

    def begin(self) -> None:
        """Say that there was a try, though it may come to nothing."""
        if not self.exists:
            self._write({})

    def get(self, key: str) -> object:
        """Read a value; ``None`` where there is none."""
        return self._values().get(key)

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Write a value, durably."""
        self._write(self._values() | {key: value})

    def _write(self, values: dict[str, Any]) -> None:
        self._directory.write(self._name, json.dumps(values))

    def _values(self) -> dict[str, Any]:
        if not self.exists:
            return {}
        values: dict[str, Any] = json.loads(self._directory.read(self._name))
        return values
