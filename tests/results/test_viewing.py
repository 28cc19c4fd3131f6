"""A page of rows, read from parts that may be anything."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.results.confined import ConfinedReader, UnreadableError
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.part_rows import Wanted
from airflow_provider_sfleads.ui.task_results import page_of
from tests.results.hostile import KINDS, many_rows, own_code, repeated

ROOT = Path(__file__).parents[2]
# Of what reads and of what asks, with all that Python and Arrow take themselves.
MOST_BYTES = 900 * 1024 * 1024


def results(base: Path, rows: int = 250) -> ResultsFolder:
    """Results in parts of a hundred rows."""
    folder = ResultsFolder(base, "dag", "run", "task", -1, "1")
    with folder.writer(columns=["id"], part_rows=100) as writer:
        for number in range(rows):
            writer.write(Outcome(key=f"K-{number}", action=Action.CREATED))
    return folder


def part(folder: ResultsFolder, number: int) -> Path:
    """The path of a part."""
    return Path(folder.directory.file(f"results-{number:05}.parquet"))


@pytest.mark.parametrize(("offset", "limit"), [(0, 10), (95, 10), (199, 1), (240, 100), (300, 10), (0, 1_000)])
def test_pages_go_on_from_part_to_part(tmp_path: Path, offset: int, limit: int) -> None:
    """In the order of the results."""
    page = page_of(results(tmp_path).directory, Wanted(), offset=offset, limit=limit)
    assert [row["key"] for row in page.rows] == [f"K-{n}" for n in range(250)][offset : offset + limit]
    assert (page.total, page.actions, page.problems) == (250, {"created": 250}, [])


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_that_cannot_be_read_says_so_and_the_others_are_shown(tmp_path: Path, kind: str) -> None:
    """It is named with the reason, and what it would hold is in no count."""
    folder = results(tmp_path)
    write, words = KINDS[kind]
    write(part(folder, 1))
    page = page_of(folder.directory, Wanted(), offset=0, limit=1_000)

    assert [row["key"] for row in page.rows] == [f"K-{n}" for n in (*range(100), *range(200, 250))]
    assert (page.total, page.actions) == (150, {"created": 150})
    (problem,) = page.problems
    assert problem.startswith("results-00001.parquet cannot be read: ")
    assert words in problem
    assert len(problem) < 400


def test_memory_is_bounded_whatever_the_file_unpacks_to(tmp_path: Path) -> None:
    """A file of 5 KB whose rows are 6.5 GB of text, seen from outside."""
    folder = results(tmp_path)
    repeated(part(folder, 1), "x" * 650_000, 10_000)
    assert part(folder, 1).stat().st_size < 25_000
    script = f"""if True:
        import resource
        from pathlib import Path
        from airflow_provider_sfleads.results.files import directory_at
        from airflow_provider_sfleads.results.part_rows import Wanted
        from airflow_provider_sfleads.ui.task_results import page_of

        page = page_of(directory_at({folder.directory.path!r}), Wanted(search="x"), offset=0, limit=10)
        assert page.problems, page
        # Not what getrusage says of this process: that begins with what the one had that began it.
        print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    """
    told = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert max(map(int, told.split()[-2:])) * 1024 < MOST_BYTES


def test_time_is_bounded(tmp_path: Path) -> None:
    """Many rows that take hardly any bytes; the file after it is read."""
    many_rows(tmp_path / "many.parquet")
    folder = results(tmp_path)
    with (
        ConfinedReader(file_seconds=0.2) as reader,
        (tmp_path / "many.parquet").open("rb") as stream,
        pytest.raises(UnreadableError, match=r"0\.2 seconds"),
    ):
        reader.rows_of(stream, Wanted(), skip=0, limit=10)
    with ConfinedReader() as reader, part(folder, 0).open("rb") as stream:
        assert reader.rows_of(stream, Wanted(), skip=0, limit=10).total == 100


class Deadly(io.BytesIO):
    """A file that is the end of whoever reads it, as one is that meets a fault in a decoder."""

    reader: ConfinedReader

    def read(self, size: int | None = -1, /) -> bytes:
        """End the reading process."""
        assert self.reader._process is not None
        os.kill(self.reader._process.pid, signal.SIGSEGV)
        return super().read(size)


def test_a_fault_in_the_decoder_is_the_end_of_its_process_alone(tmp_path: Path) -> None:
    """Another one reads the next file."""
    folder = results(tmp_path)
    with ConfinedReader() as reader:
        deadly = Deadly(part(folder, 0).read_bytes())
        deadly.reader = reader
        with pytest.raises(UnreadableError, match="SIGSEGV"):
            reader.rows_of(deadly, Wanted(), skip=0, limit=10)
        with part(folder, 0).open("rb") as stream:
            assert reader.rows_of(stream, Wanted(), skip=0, limit=10).total == 100


def test_a_storage_that_fails_is_no_broken_file(tmp_path: Path) -> None:
    """What the storage says is raised as it is, and the next file is read."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionResetError(f"while reading {size} bytes")

    folder = results(tmp_path)
    with ConfinedReader() as reader:
        with pytest.raises(ConnectionResetError, match="while reading"):
            reader.rows_of(Failing(b"x" * 100), Wanted(), skip=0, limit=10)
        with part(folder, 0).open("rb") as stream:
            assert reader.rows_of(stream, Wanted(), skip=0, limit=10).total == 100


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    """The page tells what it is by its beginning."""
    folder = results(tmp_path, rows=1)
    repeated(part(folder, 0), "x" * 100_000, 2)
    (row, _) = page_of(folder.directory, Wanted(), offset=0, limit=10).rows
    assert row["key"] == "x" * 10_000 + "..."


def test_words_that_all_differ_are_bounded(tmp_path: Path) -> None:
    """Parts of some kilobytes hold a million error codes; of each the most frequent are told, over all parts too."""
    folder = results(tmp_path, rows=400)
    for number in range(4):
        codes = [f"{number}-{n}" for n in range(20_000)] + ["COMMON"] * (number + 2) + ["x" * 100_000]
        own_code(part(folder, number), codes)
    page = page_of(folder.directory, Wanted(), offset=0, limit=1)
    assert (page.total, page.problems, len(page.codes)) == (4 * 20_001 + 14, [], 1_000)
    assert (page.actions, next(iter(page.codes.items()))) == ({"rejected": page.total}, ("COMMON", 14))
    assert max(map(len, page.codes)) <= 200


def test_the_process_that_reads_knows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has of the environment what Python needs to begin."""
    monkeypatch.setenv("AIRFLOW_CONN_SECRET", "secret")
    folder = results(tmp_path)
    with ConfinedReader() as reader, part(folder, 0).open("rb") as stream:
        reader.rows_of(stream, Wanted(), skip=0, limit=10)
        assert reader._process is not None
        assert b"AIRFLOW" not in Path(f"/proc/{reader._process.pid}/environ").read_bytes()
