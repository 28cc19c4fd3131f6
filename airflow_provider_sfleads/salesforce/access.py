"""What the Run-As user has to be allowed before a sync can begin: to write leads, and to read objects beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_sfleads.exceptions import LeadAccessError, MappingError, ObjectAccessError, SalesforceLeadsError
from airflow_provider_sfleads.salesforce.describe import SObjectInfo
from airflow_provider_sfleads.salesforce.replies import errors_of, plain_text
from airflow_provider_sfleads.salesforce.wire import Call, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a sync does, whatever its rows are.

    :param creates: leads are created.
    :param updates: leads are changed.
    :param contacts: contacts are looked up by e-mail.
    :param active_rule: the org's active assignment rule is to run.
    """

    creates: bool = False
    updates: bool = False
    contacts: bool = False
    active_rule: bool = False


def check_writable(lead: SObjectInfo, needs: Needs, *, conn_id: str) -> None:
    """Refuse what the Run-As user may not do to leads, by what describe says of the object.

    :raises LeadAccessError: naming the permissions.
    """
    wanted = {"Create": needs.creates and not lead.createable, "Edit": needs.updates and not lead.updateable}
    lacking = [permission for permission, is_lacking in wanted.items() if is_lacking]
    if lacking:
        raise LeadAccessError(
            f"The Run-As user of connection {conn_id!r} may not {' and '.join(lacking).lower()} leads. Give it a "
            f"permission set with {' and '.join(lacking)} on Lead.",
            status=200,
        )


def in_one(problems: Sequence[SalesforceLeadsError], *, conn_id: str) -> SalesforceLeadsError:
    """Make one error of all that is lacking, so that whoever mends it does so once."""
    if len(problems) == 1:
        return problems[0]
    sentences: list[str] = []
    for problem in problems:
        sentences += problem.problems if isinstance(problem, MappingError) else [str(problem)]
    refused = [problem for problem in problems if isinstance(problem, ObjectAccessError)]
    lines = "".join(f"\n  - {sentence}" for sentence in sentences)
    return ObjectAccessError(
        f"The Run-As user of connection {conn_id!r} cannot do this; nothing is read of the export or sent:{lines}",
        status=refused[0].status,
        codes=tuple(code for problem in refused for code in problem.codes),
    )


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
        if any(error.entry.hides for error in errors):
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
