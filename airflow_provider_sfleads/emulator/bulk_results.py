"""What a job's results hold, as streams: successful, failed and unprocessed records, in no promised order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_sfleads.emulator import bulk_counting, bulk_csv
from airflow_provider_sfleads.emulator.bulk_csv import Block
from airflow_provider_sfleads.emulator.bulk_jobs import Job
from airflow_provider_sfleads.emulator.wire import ApiError, Call, Reply, Stream, not_found

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator.state import Emulator

# Records that are shuffled one by one; larger blocks are dealt like cards, which takes a tenth of the time.
_SHUFFLED = 5_000
_HANDS = 7

_COLUMNS = {
    "successfulresults": ("sf__Id", "sf__Created"),
    "failedresults": ("sf__Id", "sf__Error"),
    "unprocessedrecords": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Records of a file that go into a result, and what is put before each (by the number of the first)."""

    path: Path
    blocks: Sequence[Block]
    before: Callable[[int, list[bytes]], list[bytes]] | None = None


def serve(call: Call, job: Job) -> Reply:
    """`GET /jobs/ingest/{id}/{kind}`."""
    kind = call.params["kind"].lower()
    if kind not in _COLUMNS:
        raise not_found()
    jobs = call.emulator.jobs
    with jobs.changed:
        if not job.over:
            raise ApiError("INVALIDJOBSTATE", f"Job results are not available while the job is {job.state}")
        content = job.content
        if content is None or content.problem is not None:
            return Reply(stream=Stream(pieces=lambda: iter(()), size=0))
        uploaded = bulk_csv.header(jobs.file(job, "upload"), content)
        header = job.form.header(_COLUMNS[kind], uploaded).encode()
        source = _SOURCES[kind](call.emulator, job)
        count = sum(block.rows for block in source.blocks)
    size = len(header) + sum(block.size for block in source.blocks)
    seed = int.from_bytes(job.id.encode(), "big") if call.emulator.settings.bulk_result_order == "shuffled" else None
    stream = Stream(pieces=lambda: _pieces(header, source, seed, job.form.line_end.encode()), size=size)
    return Reply(stream=stream, records=count)


def _successful(emulator: Emulator, job: Job) -> Source:
    if not job.counted:
        return _written(emulator, job, "successful")
    path, blocks = emulator.jobs.file(job, "upload"), job.content.blocks if job.content else ()
    done = bulk_csv.stretch(path, blocks, 0, job.processed)
    return Source(path=path, blocks=done, before=bulk_counting.before(job))


def _failed(emulator: Emulator, job: Job) -> Source:
    return _written(emulator, job, "failed")


def _written(emulator: Emulator, job: Job, kind: str) -> Source:
    path = emulator.jobs.file(job, kind)
    return Source(path=path, blocks=bulk_csv.index(path) if path.exists() else [])


def _unprocessed(emulator: Emulator, job: Job) -> Source:
    path, blocks = emulator.jobs.file(job, "upload"), job.content.blocks if job.content else ()
    left = 0 if job.state == "JobComplete" else job.rows - job.processed
    return Source(path=path, blocks=bulk_csv.stretch(path, blocks, job.processed, left))


_SOURCES: dict[str, Callable[[Emulator, Job], Source]] = {
    "successfulresults": _successful,
    "failedresults": _failed,
    "unprocessedrecords": _unprocessed,
}


def _pieces(header: bytes, source: Source, seed: int | None, line_end: bytes) -> Iterator[bytes]:
    yield header
    if not source.blocks:
        # As recorded: where there is no record, an empty line follows the header.
        yield line_end
    order = list(source.blocks)
    chance = random.Random(seed)  # noqa: S311 - repeatable by design
    if seed is not None:
        chance.shuffle(order)
    for block in order:
        lines = bulk_csv.records(bulk_csv.read(source.path, block))
        del lines[block.rows :]
        if not lines:
            continue
        if not lines[-1].endswith(line_end):
            lines[-1] += line_end
        if source.before is not None:
            lines = source.before(block.first, lines)
        if seed is not None:
            lines = _mixed(lines, chance)
        yield b"".join(lines)


def _mixed(lines: list[bytes], chance: random.Random) -> list[bytes]:
    if len(lines) <= _SHUFFLED:
        chance.shuffle(lines)
        return lines
    dealt = [lines[hand::_HANDS] for hand in range(_HANDS)]
    chance.shuffle(dealt)
    return [line for hand in dealt for line in hand]
