"""Seeded schedules of faults and SIGKILLs in a real Airflow, and after each an audit of the org against the export.

``python3 dev.py chaos 500`` runs 500 of them, ``python3 dev.py chaos --seed plain-bulk-17`` one.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.chaos import tally
from tests.chaos.audit import audit
from tests.chaos.course import Course
from tests.chaos.leaks import leaks
from tests.chaos.mapped import MappedTask
from tests.chaos.newer import TwoIntervals
from tests.chaos.schedules import SAMPLE, draw, names
from tests.chaos.told import Told
from tests.chaos.written_back import Nights, WrittenBack
from tests.integration.real_airflow import RealAirflow, real_airflow

HERE = Path(__file__).parent
AT_ONCE = int(os.environ.get("SFLEADS_CHAOS_AT_ONCE", "4"))
SETTINGS = {
    # A frozen worker keeps its slot, a mapped task takes several.
    "AIRFLOW__CORE__PARALLELISM": str(AT_ONCE * 3),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "20",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # That a worker is frozen, and now and then that one was killed, Airflow knows by its silence.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "12",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    # A process that has ended is seen that soon.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
}


def _regressions() -> list[str]:
    lines = (line.partition("#")[0].strip() for line in (HERE / "seeds.txt").read_text().splitlines())
    return [line for line in lines if line]


def _chosen() -> list[str]:
    only = os.environ.get("SFLEADS_CHAOS_SEEDS")
    if only:
        return only.split(",")
    return list(dict.fromkeys([*_regressions(), *names(int(os.environ.get("SFLEADS_CHAOS", str(SAMPLE))))]))


NAMES = _chosen()
#: What strikes in any sample, whatever else is drawn.
STRIKES = {"kill", "term", "on_kill", "freeze", "woken", "detach", "doze", "match_email", "mapped"}
STRIKES |= {"newer after", "newer beside", "kill in the merge", "three nights"}
COURSES = {"newer": TwoIntervals, "mapped": MappedTask, "write_back": WrittenBack, "changed_only": Nights}


@dataclass(frozen=True)
class Ended:
    """A schedule that has come to its end, whatever that was."""

    told: Told
    error: BaseException | None
    seconds: float


@pytest.fixture(scope="module")
def airflow(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAirflow]:
    """One Airflow for all schedules."""
    with _ItsDatabase(postgres_url):
        folder = tmp_path_factory.mktemp("airflow")
        shutil.copytree(HERE / "airflow_config", folder / "home" / "config")
        with real_airflow(postgres_url, folder, HERE / "airflow_dags", SETTINGS) as running:
            running.wait_for(lambda: len(running.call("GET", "/dags")["dags"]) == 9, "nine Dags are read")
            yield running


@pytest.fixture(scope="module")
def warehouse(airflow: RealAirflow, postgres_url: str) -> str:
    """URL of a database for the tables of write-backs, with a connection to it."""
    name = "chaos_warehouse"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    at = urlsplit(postgres_url)
    body = {"connection_id": name, "conn_type": "postgres", "host": at.hostname, "port": at.port, "login": at.username}
    airflow.call("POST", "/connections", {**body, "schema": name})
    return f"{postgres_url.rpartition('/')[0]}/{name}"


class _ItsDatabase:
    """Drops what another test's Airflow of this session has left."""

    def __init__(self, postgres_url: str) -> None:
        self._url = postgres_url

    def _drop(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS real_airflow WITH (FORCE)")

    def __enter__(self) -> None:
        self._drop()

    def __exit__(self, *_error: object) -> None:
        self._drop()


@pytest.fixture(scope="module")
def schedules(
    airflow: RealAirflow, warehouse: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, Future[Ended]]]:
    """All schedules that are to run, some of them side by side, each from when its turn comes."""
    folder = tmp_path_factory.mktemp("schedules")
    # What it says of each request would hide the story of a schedule that fails.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    mine = [item for item in request.session.items if getattr(item, "module", None) is request.module]
    chosen = [item.callspec.params["name"] for item in mine if hasattr(item, "callspec")]

    def run(name: str) -> Ended:
        started = time.monotonic()
        course = COURSES.get(draw(name).mode, Course)(airflow, folder / name, name, warehouse)
        error: BaseException | None = None
        try:
            course.go()
        except BaseException as problem:  # noqa: BLE001 - whatever it is, its own test shows it
            error = problem
        return Ended(told=course.told, error=error, seconds=time.monotonic() - started)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(run, name) for name in dict.fromkeys(chosen) if name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_doubled_lost_wrong_or_moved_back(
    schedules: dict[str, Future[Ended]], name: str, record_property: Callable[[str, object], None]
) -> None:
    """Whatever happens: lost answers, refusals, kills, retries and clears."""
    ended = schedules[name].result()
    told = ended.told
    came_to = tally.Ended(name=name, tries=told.tries, struck=dict(told.struck), seconds=ended.seconds)
    record_property(tally.ENDED, came_to)
    story = "\n".join([f"The story of {name}, {ended.seconds:.0f} s:", *told.story])
    print(story)  # noqa: T201 - pytest shows it, with -rP also that of a success
    if ended.error is not None:
        ended.error.add_note(story)
        raise ended.error
    found = audit(draw(name), told)
    assert not found, "\n".join([*found[:20], "", story])


def test_the_troubles_that_the_bed_is_for_struck(schedules: dict[str, Future[Ended]]) -> None:
    """Else there was peace, and nothing is proved."""
    if os.environ.get("SFLEADS_CHAOS_SEEDS") or not {*names(SAMPLE)} <= schedules.keys():
        pytest.skip("only a whole sample has to have them all")
    struck = Counter[str]()
    for schedule in schedules.values():
        struck.update(schedule.result().told.struck)
    assert {what for what in STRIKES if not struck[what]} == set()


def test_no_log_and_no_table_tells_what_it_must_not(airflow: RealAirflow, schedules: dict[str, Future[Ended]]) -> None:
    """No secret, no token and nothing of a person, in all that the schedules before have left."""
    told = [schedule.result().told for schedule in schedules.values()]
    secrets = [text for each in told for text in each.secrets]
    assert leaks(airflow, secrets, {row for each in told for row in each.triggers}) == []
