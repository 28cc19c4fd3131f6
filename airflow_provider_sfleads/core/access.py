"""Objects beside Lead that a sync reads, which a Run-As user made for leads alone may not see."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_sfleads.core.replies import errors_of, plain_text
from airflow_provider_sfleads.core.wire import Call, Reply
from airflow_provider_sfleads.exceptions import ObjectAccessError

# What hides an object, and what hides a field of it: SOAP API Developer Guide, "ExceptionCode".
_HIDDEN = frozenset({"INVALID_TYPE", "INVALID_FIELD", "INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY"})


@dataclass(frozen=True, slots=True)
class SecondObject:
    """An object beside Lead, and what to say where it may not be read.

    :param sobject: its API name.
    :param reader: the parameter that has it read.
    :param remedy: what to give the Run-As user, or to change in the Dag.
    """

    sobject: str
    reader: str
    remedy: str

    def check(self, reply: Reply, *, conn_id: str) -> None:
        """Refuse a reply that says that the object, or the fields asked for, cannot be seen.

        :raises ObjectAccessError: naming object, permission and parameter.
        """
        errors = errors_of(reply)
        if any(error.code in _HIDDEN for error in errors):
            raise ObjectAccessError(
                f"{self.reader} reads {self.sobject}, and the Run-As user of connection {conn_id!r} has no Read access "
                f"to it (HTTP {reply.status}: {plain_text(errors)}). {self.remedy}",
                status=reply.status,
                codes=tuple(error.code for error in errors),
            )


CONTACT = SecondObject(
    "Contact",
    "match_email=True",
    "Give it a permission set with Read on Contact and on its field Email (and View All on Contact, to find those of "
    "other owners), or set match_email=False.",
)
ASSIGNMENT_RULE = SecondObject(
    "AssignmentRule",
    "assignment_rule='default' in bulk",
    "Give it a permission set with View Setup and Configuration, or give assignment_rule the rule's own id (01Q...), "
    "or take api='collections'.",
)


def contacts_call() -> Call:
    """Ask for as little as shows whether contacts can be found by e-mail; no value of anybody is read."""
    return Call(
        method="GET", path="query", params={"q": "SELECT Id FROM Contact WHERE Email = 'nobody@invalid' LIMIT 1"}
    )
