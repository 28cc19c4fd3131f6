"""A task that is cleared while it runs: Airflow replaces its task instance, and no longer takes what it writes down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.support import StateStore, Task, creating, leads, moving, people
from tests.integration.test_unknown_outcomes import AT_ONCE, names, plain

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")


class ReplacedError(Exception):
    """What Airflow's client raises on an answer 404."""


class Replaced(StateStore):
    """The store as a process sees it whose task instance is replaced before it writes for the nth time."""

    def __init__(self, values: dict[str, Any], nth: int) -> None:
        super().__init__()
        self.values = values
        self.left = nth

    def get(self, key: str) -> object:
        """Read a value; the answer 404 passes for one that there is not."""
        return super().get(key) if self.left else None

    def set(self, key: str, value: object) -> None:
        """Write a value."""
        if self.left:
            self.left -= 1
        if not self.left:
            raise ReplacedError("task instance not found")
        super().set(key, value)


@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("api", ["collections", "bulk"])
@pytest.mark.parametrize("how", ["plain", "keyed", "stage"])
def test_whenever_it_is_cleared_the_next_try_comes_through(
    emulator: EmulatorServer, tmp_path: Path, how: str, api: str, nth: int
) -> None:
    """Nothing that was begun is mistaken for something that was sent, and no job is left open."""
    task, rows = Task(), people(300)
    if how == "stage":
        emulator.seed_leads(leads(rows))

    def operator() -> Any:  # noqa: ANN401
        if how == "plain":
            return plain(rows, tmp_path, late=AT_ONCE, api=api)
        return (creating if how == "keyed" else moving)(rows, tmp_path, api=api)

    values: dict[str, Any] = {}
    task.store = Replaced(values, nth)
    first = task.run(operator())
    task.store = StateStore()
    task.store.values = values
    second = task.run(operator())
    if first.error is None and how != "stage":
        # It wrote less often than that.
        assert second.counts == {"unchanged": 300}
    assert second.error is None
    assert (second.full["read"], len(second.rows)) == (300, 300)
    assert len(names(emulator)) == len(set(names(emulator))) == 300
    assert "Open" not in {job["state"] for job in emulator.jobs()}
