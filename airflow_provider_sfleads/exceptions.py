"""Every error this provider raises, in one tree.

::

    SalesforceLeadsError
    ├── ConfigurationError            mend the Dag or the connection; a retry cannot help
    │   ├── ConnectionFieldError      a field of the Airflow connection cannot be right
    │   ├── ParameterError            an operator parameter cannot be right
    │   ├── MappingError              the mapping does not fit Lead's describe; lists every problem
    │   ├── PlanChangedError          the Dag was changed while rows of the try before were not settled
    │   └── TrialRefusedError         the contract check may not write to this org, or cannot; nothing was written
    ├── ExportError                   the export cannot be read (missing file, column, wrong encoding ...)
    │   └── WarehouseUnavailableError the warehouse cannot be reached just now; worth a retry
    ├── AuthenticationError           Salesforce gives no usable token
    │   ├── WrongHostError            no Salesforce token endpoint answers at this host
    │   ├── WrongKeyOrSecretError     consumer key or secret is not this org's, or the private key not the app's
    │   ├── FlowNotEnabledError       the flow is off, or it has no usable Run-As user
    │   ├── ApiAccessError            the Run-As user or the org has no API access
    │   └── SessionRejectedError      a new token is refused just like the old one
    ├── RequestRefusedError           Salesforce refused a whole request (4xx)
    ├── ObjectAccessError             the Run-As user may not read an object that the sync needs
    │   └── LeadAccessError           the Run-As user cannot see the Lead object
    ├── ContractBrokenError           the contract check found that an assumption does not hold
    ├── ReplyTooLargeError            an answer is larger than any of Salesforce's
    ├── LeadsLeftError                the contract check could not delete all leads that it made; names them
    ├── BulkJobError                  a Bulk API 2.0 job ended before its end, and another one would as well
    ├── ApiLimitError                 a request limit is reached; worth a later retry
    │   └── ConcurrencyLimitError     too many long requests at once; worth a retry in some minutes
    ├── ServiceUnavailableError       Salesforce cannot serve just now; worth a retry
    ├── ConnectionFailedError         the request never reached Salesforce; worth a retry
    ├── OutcomeUnknownError           a write was sent and no answer came back
    ├── ResultsError                  results_path cannot be written, or lost what was written; worth a retry
    │   └── RecordsLostError          what was sent is not recorded any more, and cannot be asked for; no retry
    ├── DisownedError                 a newer try owns the task; this process writes nothing any more
    └── SyncError                     the sync ran to its end and did not come out clean
        ├── RejectsExceededError      more rows rejected than max_rejects allows; no retry
        ├── RowsNotSentError          rows were left unsent; a retry sends them
        ├── WriteBackError            Salesforce is in order, the warehouse table is not; a retry writes it
        └── LeaseTakenError           a run that could be undone, or undo this one, has its turn; a retry goes on

``transient`` says whether trying the same again can help. Errors that are not transient fail an
Airflow task without retry when they leave the hook or an operator.
"""

from __future__ import annotations

from typing import ClassVar


class SalesforceLeadsError(Exception):
    """Base of every error raised by this provider.

    ``retry_after`` is after how many seconds another try is worthwhile: by Salesforce's own word, by the kind of limit,
    or since only then it can be told what became of a request; ``None`` where nothing says so.
    """

    transient: ClassVar[bool] = False
    retry_after: float | None = None


class ConfigurationError(SalesforceLeadsError):
    """The Dag or the connection has to be changed."""


class ConnectionFieldError(ConfigurationError):
    """A field of the Airflow connection cannot be right."""


class ParameterError(ConfigurationError, ValueError):
    """An operator or export parameter cannot be right."""


class MappingError(ConfigurationError):
    """The mapping does not fit what ``describe`` says of Lead.

    :param problems: one sentence per problem, all of them.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        lines = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(f"The mapping does not fit Salesforce's Lead object; nothing is sent:{lines}")


class PlanChangedError(ConfigurationError):
    """The Dag was changed between two tries, and rows of the first are open: by the new plan they could double."""


class TrialRefusedError(ConfigurationError):
    """The contract check writes to no such org, or has no field to find its leads by; nothing was written."""


class ExportError(SalesforceLeadsError):
    """The export cannot be read to its end."""


class WarehouseUnavailableError(ExportError):
    """The warehouse cannot be reached, or was lost while the rows were read."""

    transient = True


class AuthenticationError(SalesforceLeadsError):
    """Salesforce gives no usable token."""


class WrongHostError(AuthenticationError):
    """No Salesforce token endpoint answers at this host."""


class WrongKeyOrSecretError(AuthenticationError):
    """The consumer key or secret is not this org's, or the private key is not that of the app's certificate."""


class FlowNotEnabledError(AuthenticationError):
    """The flow is off, or it has no Run-As user that may use the API."""


class ApiAccessError(AuthenticationError):
    """The org, or the Run-As user, has no API access."""


class SessionRejectedError(AuthenticationError):
    """Salesforce refuses a token that it has just issued."""


class RequestRefusedError(SalesforceLeadsError):
    """Salesforce refused a whole request.

    :param message: what was refused, for whom, and what to do.
    :param status: HTTP status.
    :param codes: Salesforce's ``errorCode`` values, in the order of the reply.
    """

    def __init__(self, message: str, *, status: int, codes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.codes = codes


class ObjectAccessError(RequestRefusedError):
    """The Run-As user may not do with an object, or a field of it, what the sync needs."""


class LeadAccessError(ObjectAccessError):
    """The Run-As user cannot see the Lead object, or may not create or edit leads."""


class ContractBrokenError(SalesforceLeadsError):
    """The org or its Run-As user is not as this provider assumes; the message names what does not hold."""


class ReplyTooLargeError(SalesforceLeadsError):
    """An answer is larger than any that Salesforce gives; it was not read to its end."""


class LeadsLeftError(SalesforceLeadsError):
    """Leads or jobs that the contract check made are still there; the message says which, and how to find them."""


class BulkJobError(SalesforceLeadsError):
    """A Bulk API 2.0 job failed as a whole for a reason that stays.

    Of the sensor: it failed for whatever reason, was aborted, or was deleted before its end.
    """


class ApiLimitError(SalesforceLeadsError):
    """A request limit of the org, or the connection's ``max_api_usage``, is reached."""

    transient = True


class ConcurrencyLimitError(ApiLimitError):
    """The org runs too many long requests at once."""


class ServiceUnavailableError(SalesforceLeadsError):
    """Salesforce could not serve the request, and the retries are used up."""

    transient = True


class ConnectionFailedError(SalesforceLeadsError):
    """The request did not reach Salesforce, and the retries are used up."""

    transient = True


class OutcomeUnknownError(SalesforceLeadsError):
    """A write was sent, and whether Salesforce carried it out is not known."""

    transient = True


class ResultsError(SalesforceLeadsError):
    """The results cannot be written below ``results_path``, or are not there any more."""

    transient = True


class RecordsLostError(ResultsError):
    """Records of what was sent are lost, and the API that is asked for cannot find out."""

    transient = False


class DisownedError(SalesforceLeadsError):
    """A newer try of the task has taken over, or nothing shows that none has."""

    transient = True


class SyncError(SalesforceLeadsError):
    """The sync ran to its end and did not come out clean."""


class RejectsExceededError(SyncError):
    """More rows were rejected than ``max_rejects`` allows."""


class RowsNotSentError(SyncError):
    """Rows were left unsent or their outcome is unknown."""

    transient = True


class WriteBackError(SyncError):
    """Salesforce is in order, but the warehouse table was not written; a retry writes it."""

    transient = True


class LeaseTakenError(SyncError):
    """Another run has its turn on the same leads, or this one has lost its own; a retry sends what is left."""

    transient = True
