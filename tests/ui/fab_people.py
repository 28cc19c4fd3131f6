"""Make FAB's roles and users; run as a program, in the environment of an Airflow that uses FAB."""

from __future__ import annotations

from airflow.providers.fab.auth_manager.cli_commands.utils import (  # type: ignore[import-not-found, unused-ignore]
    get_application_builder,
)

from tests.ui.people import NOBODY, RESOURCES, STANDARD, password


def make() -> None:
    """Make all of them."""
    with get_application_builder() as builder:
        manager = builder.sm
        manager.sync_roles()
        manager.bulk_sync_roles(
            {"role": role, "perms": [*(("can_read", name) for name in resources), ("menu_access", "Browse")]}
            for role, resources in RESOURCES.items()
        )
        roles = STANDARD | {name: name for name in RESOURCES if name != "Public"}
        for user, role in roles.items():
            add(manager, user, [manager.find_role(role)])
        add(manager, NOBODY, [])


def add(manager: object, user: str, roles: list[object]) -> None:
    """Make a user."""
    made = manager.add_user(user, user, "Example", f"{user}@example.com", roles, password(user))  # type: ignore[attr-defined]
    if not made:
        raise RuntimeError(f"FAB made no user {user}")


if __name__ == "__main__":
    make()
