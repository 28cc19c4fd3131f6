"""What tests of all folders share: an Airflow, the emulator, PostgreSQL, how examples are drawn, and no way out."""

from __future__ import annotations

import atexit
import ipaddress
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.s3 import Lake


# Airflow reads its settings when it is first imported, and test files import it at their top.
HOME = Path(tempfile.mkdtemp(prefix="sfleads-tests-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "NO_PROXY": "127.0.0.1,localhost",
}
if "PYTEST_XDIST_WORKER" in os.environ:
    # Of processes that share the suite, none meets another's scratch files: paths in memory are alike in all of them.
    scratch = HOME / "tmp"
    scratch.mkdir()
    os.environ["TMPDIR"] = str(scratch)
    for folder in (HOME, scratch):
        folder.chmod(0o711)  # PostgreSQL runs as somebody else
    tempfile.tempdir = None


def _stay_on_this_machine(event: str, args: tuple[Any, ...]) -> None:
    """Fail the test that connects to another machine. Child processes are not watched."""
    if event != "socket.connect" or args[0].family not in (socket.AF_INET, socket.AF_INET6):
        return
    host = args[1][0]
    try:
        here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = host == "localhost"
    if not here:
        # `Failed` is no `Exception`: code that survives a lost connection does not survive this.
        pytest.fail(f"A test connects to {host}: tests stay on this machine.")


# An audit hook sees every socket of the process and replaces nothing.
sys.addaudithook(_stay_on_this_machine)

# Hypothesis's own profile for CI heeds no seed. Here a busy machine fails no test, and what one machine has found
# another draws by its seed: a database of examples would be there on the first alone.
settings.register_profile(
    "sfleads",
    settings.get_profile("default"),
    deadline=None,
    database=None,
    derandomize=False,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("sfleads")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer ``--examples``."""
    parser.addoption(
        "--examples",
        type=float,
        default=1.0,
        metavar="TIMES",
        help="let each property test draw so many times its usual number of examples",
    )


def pytest_report_header(config: pytest.Config) -> str:
    """Tell how the examples of this run are drawn again."""
    seed, times = (config.getoption(name) for name in ("--hypothesis-seed", "--examples"))
    return f"property tests: --hypothesis-seed={seed} --examples={times:g}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:  # noqa: ANN401 - xdist's own
    """Share the suite by lanes, whatever ``--dist`` says."""
    from tests.lanes import Lanes

    return Lanes(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each property test draw ``--examples`` times what it draws by itself."""
    times = config.getoption("--examples")
    functions = {item.function for item in items if isinstance(item, pytest.Function)}
    for function in filter(is_hypothesis_test, functions):
        # A test with settings takes no second ones by way of the decorator.
        own = function._hypothesis_internal_use_settings
        function._hypothesis_internal_use_settings = settings(own, max_examples=max(1, round(own.max_examples * times)))
    if hasattr(config, "workerinput"):
        from tests.lanes import by_length

        items.sort(key=lambda item: by_length(item.nodeid))


def pytest_runtest_setup() -> None:
    """Let Airflow forget the secrets of earlier tests: for each new one it compiles all that it knows."""
    for name in ("airflow._shared.secrets_masker", "airflow.sdk._shared.secrets_masker"):
        if masker := sys.modules.get(name):
            masker.reset_secrets_masker()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much has gone wrong in tests of chaos; here, since who shares tests out never reads their folders."""
    from tests.chaos.tally import ended, summary

    if schedules := ended(terminalreporter):
        terminalreporter.section("chaos")
        for line in summary(schedules):
            terminalreporter.line(line)


class RunDag(Protocol):
    """Runs a Dag that a test has defined, with the arguments of :meth:`DAG.test`."""

    def __call__(self, dag: DAG, **kwargs: Any) -> DagRun:
        """Run the Dag and return the run."""


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Airflow's own database; made (in about eight seconds) when a first test asks for it."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def run_dag(airflow_db: None) -> RunDag:  # noqa: ARG001 - has to be there
    """Run a Dag by ``DAG.test``, which wants it in the database first."""

    def run(dag: DAG, **kwargs: Any) -> DagRun:
        from demo.dagbag import DagBag, store

        bag = DagBag(dag_folder=os.devnull, collect_dags=False)
        bag.bag_dag(dag)
        store(bag, "testing")
        result: DagRun = dag.test(**kwargs)
        return result

    return run


@pytest.fixture
def emulator() -> Iterator[EmulatorServer]:
    """A fresh, empty emulator on a port of its own."""
    from airflow_provider_sfleads.emulator import EmulatorServer, EmulatorSettings

    with EmulatorServer(EmulatorSettings()) as server:
        yield server


@pytest.fixture
def salesforce_conn(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Id of an Airflow connection that leads to the emulator."""
    connection = {
        "conn_type": "salesforce_leads",
        "host": emulator.url,
        "login": "emulator-key",
        "password": "emulator-secret",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE_LEADS_DEFAULT", json.dumps(connection))
    return "salesforce_leads_default"


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """Address of an S3-compatible server that lives as long as the tests."""
    from tests.s3 import s3_server

    with s3_server() as url:
        yield url


@pytest.fixture
def lake(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """An empty bucket, and the Airflow connection to it."""
    from tests.s3 import Lake

    made = Lake(endpoint=s3_url, conn_id=f"lake_{secrets.token_hex(4)}", bucket=f"lake-{secrets.token_hex(4)}")
    made.make()
    monkeypatch.setenv(f"AIRFLOW_CONN_{made.conn_id.upper()}", made.connection)
    return made


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of an empty database on a PostgreSQL server that lives as long as the tests."""
    from demo.ui import free_port
    from dev import postgres_bin

    programs = postgres_bin()
    if programs is None:
        pytest.fail("There is no PostgreSQL here: `python3 dev.py test` installs it, or says how.")
    # PostgreSQL does not run as root, and pytest's own folders are closed to everybody else.
    account = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="sfleads-postgres-"))
    if account:
        shutil.chown(folder, account, account)
    port = free_port()

    def run(program: str, *args: str) -> None:
        with (folder.parent / f"{folder.name}.log").open("a") as log:
            subprocess.run(
                [programs / program, *args], check=True, cwd=folder, user=account, group=account, stdout=log, stderr=log
            )

    data = folder / "data"
    run("initdb", "-D", str(data), "-U", "sfleads", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-D", str(data), "-o", options, "-w", "start")
    try:
        yield f"postgresql://sfleads@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)
