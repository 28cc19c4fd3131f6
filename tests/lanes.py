"""Which tests one process has to run one after another, where several processes share the suite."""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

#: What goes through one process, by the lane's name. What takes longest is begun first, so that nobody waits for it in
#: the end.
LANES = {
    # Each has an Airflow of several programs. One of those at a time is what two processors can bear: in front of two,
    # a person would wait too long as well. They wait more than they reckon, and leave that to the others.
    "real Airflows": (
        "tests/browser/",
        "tests/chaos/",
        "tests/demo/test_ui.py",
        "tests/integration/test_backfills.py",
        "tests/integration/test_bulk_triggerer.py",
        "tests/integration/test_jwt_triggerer.py",
        "tests/lineage/test_real_airflow.py",
        "tests/notifications/test_real_airflow.py",
    ),
    # They share an API server, which takes long to start.
    "API server": ("tests/ui/",),
    # They share what is built, and where it is installed.
    "packages": ("tests/packaging/",),
}


def lane(nodeid: str) -> str:
    """Name what goes through one process as a whole: the test's file, or the files that it shares something with.

    :param nodeid: pytest's name of the test.
    """
    of_its_own = nodeid.partition("::")[0]
    return next((name for name, paths in LANES.items() if nodeid.startswith(paths)), of_its_own)


def by_length(nodeid: str) -> bool:
    """Sort first what is in a lane with others."""
    return lane(nodeid) not in LANES


class Lanes(LoadScopeScheduling):  # type: ignore[misc]
    """Gives a free process the next lane."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # By the number of tests, the longest would come last: they are few.
        self.config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid)
