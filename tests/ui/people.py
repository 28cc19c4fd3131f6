"""Who asks for the page, and what each of them may read, as FAB has it: roles for all Dags, and the Dags' own."""

from __future__ import annotations

#: The Dag that some of these may read, and the one that only roles for all Dags may.
OURS, THEIRS = "welcome_leads", "others_leads"

_NUMBERS = ("Plugins", "DAG Runs", "Task Instances")

#: What a role may read of any Dag that it may read, by the name of its one user.
RESOURCES = {
    "reader": (*_NUMBERS, "XComs"),
    "numbers": _NUMBERS,
    "outsider": (*_NUMBERS, "XComs"),
    "without_runs": ("Plugins", "Task Instances", "XComs"),
    "without_tasks": ("Plugins", "DAG Runs", "XComs"),
    "without_plugins": ("DAG Runs", "Task Instances", "XComs"),
    # Of those whom nobody knows: what `[fab] auth_role_public` names.
    "Public": _NUMBERS,
}
#: Roles that come with FAB, by the name of a user.
STANDARD = {"admin": "Admin", "op": "Op", "user": "User", "viewer": "Viewer"}
#: Somebody who can log in, and has no role.
NOBODY = "nobody"
#: Everybody who can log in.
USERS = (*STANDARD, *(name for name in RESOURCES if name != "Public"), NOBODY)

_READ = {"DAGs": {"can_read"}}
#: The Dags' `access_control`: by Dag and role, what the role may do.
MAY_READ = {
    OURS: {
        **dict.fromkeys(("reader", "numbers", "without_tasks", "without_plugins", "Public"), _READ),
        # The run's own permission, which the list of runs is content with, and the task instances' are not.
        "without_runs": _READ | {"DAG Runs": {"can_read"}},
    },
    THEIRS: {},
}


def password(user: str) -> str:
    """Their password."""
    return f"{user}-password"
