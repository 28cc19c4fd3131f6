"""Make an Airflow's database, its users under FAB, and its Dags; run as a program, in that Airflow's environment."""

from __future__ import annotations

import sys
from typing import Any

from airflow.cli.cli_parser import get_parser

from tests.ui.people import NOBODY, RESOURCES, STANDARD, password


def run(*command: str) -> None:
    """Run one of Airflow's commands; all of them in one process, which has loaded Airflow once."""
    arguments = get_parser().parse_args(command)
    arguments.func(arguments)


def make_people() -> None:
    """Make FAB's roles and users."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import (  # type: ignore[import-not-found, unused-ignore]
        get_application_builder,
    )

    with get_application_builder() as builder:
        manager = builder.sm
        manager.sync_roles()
        manager.bulk_sync_roles(
            {"role": role, "perms": [("can_read", name) for name in resources]} for role, resources in RESOURCES.items()
        )
        for user, role in (STANDARD | {name: name for name in RESOURCES if name != "Public"}).items():
            _add(manager, user, [manager.find_role(role)])
        _add(manager, NOBODY, [])


def _add(manager: Any, user: str, roles: list[Any]) -> None:  # noqa: ANN401 - FAB's own
    if not manager.add_user(user, user, "Example", f"{user}@example.com", roles, password(user)):
        raise RuntimeError(f"FAB made no user {user}")


if __name__ == "__main__":
    run("db", "migrate")
    if "fab" in sys.argv:
        make_people()
    # Reads the Dags as Airflow's Dag processor does, and so takes over what they say of FAB's roles.
    run("dags", "reserialize")
