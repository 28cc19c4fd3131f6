"""The one table of Salesforce's error codes: what each means, who mends it, and what to do.

Whatever judges a code, or gives advice, looks it up here. A further code is one more entry of :data:`TABLE` (records,
requests, bulk jobs) or of :data:`TOKEN_TABLE` (logins).

SOAP API Developer Guide, "StatusCode" and "ExceptionCode"; Bulk API Developer Guide, "Errors";
https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_flow_errors.htm
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from enum import StrEnum

from airflow_provider_sfleads.exceptions import (
    ApiAccessError,
    ApiLimitError,
    AuthenticationError,
    BulkJobError,
    ConcurrencyLimitError,
    FlowNotEnabledError,
    RequestRefusedError,
    SalesforceLeadsError,
    ServiceUnavailableError,
    SessionRejectedError,
    WrongHostError,
    WrongKeyOrSecretError,
)


class Meaning(StrEnum):
    """What becomes of a row whose record was refused."""

    REJECTED = "rejected"
    NO_SINGLE_LEAD = "rejected: no lead, or no single one, is the row's"
    LEAD_EXISTS = "unchanged or updated if the lead exists, else rejected"
    LEAD_MAY_EXIST = "rejected, unless a look finds the row's own lead"
    LEAD_CONVERTED = "unchanged: the lead is converted"
    RULE_BROKEN = "rejected; a lead that has moved on meanwhile is unchanged"
    SENT_AGAIN = "sent again at once"
    LATER = "sent by the next try"
    ENDS_RUN = "sent by the next try, as is all that follows"

    @property
    def is_open(self) -> bool:
        """Whether the same record may go through another time."""
        return self in (Meaning.SENT_AGAIN, Meaning.LATER, Meaning.ENDS_RUN)


class Mender(StrEnum):
    """Who makes an error go away."""

    OWNER = "owner of the data"
    ENGINEER = "data engineer"
    ADMIN = "Salesforce admin"
    NOBODY = "nobody, it passes"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """What is known of an error code.

    :param code: in Salesforce's spelling; of a login the one that the words mostly come with.
    :param mender: who mends it.
    :param advice: what to do, in sentences; empty where the code says it all.
    :param words: regular expression, in any case, for a message that gives the code this meaning; the groups that it
        names stand in ``advice``. Such an entry stands before the code's own.
    :param row: what becomes of a row whose record was refused with it.
    :param raises: what a whole request, a job or a login that failed with it ends in. :class:`BulkJobError`: a job
        made again would fail again, and a request is refused as with most codes. ``ServiceUnavailableError``: the work
        was not begun, so that any request can be sent again.
    :param row_advice: what to do about rejected rows, where that is not ``advice``.
    :param retry_after: seconds after which another try is worthwhile, where Salesforce names none.
    :param plain: messages hold no value of a field, so that logs may show them.
    :param hides: the object, or a field of it, is not shown to the Run-As user.
    :param overload: the org has too much to do, so that other calls had better wait as well.
    """

    code: str
    mender: Mender
    advice: str = ""
    _: KW_ONLY
    words: str = ""
    row: Meaning = Meaning.REJECTED
    raises: type[SalesforceLeadsError] = RequestRefusedError
    row_advice: str | None = None
    retry_after: float | None = None
    plain: bool = False
    hides: bool = False
    overload: bool = False

    @property
    def advice_for_rows(self) -> str:
        """What to do about rejected rows, beside mending their values; empty where there is nothing else."""
        return self.advice if self.row_advice is None else self.row_advice


#: Where an allowance of a day is used up it comes back bit by bit.
AN_HOUR = 3600.0
# Long requests end within ten minutes, most of them sooner; a login in the next minutes is one more that is counted.
_SOME_MINUTES = 300.0
_OWNER, _ENGINEER, _ADMIN, _NOBODY = Mender.OWNER, Mender.ENGINEER, Mender.ADMIN, Mender.NOBODY
_PASSES, _JOB = ServiceUnavailableError, BulkJobError

_ALLOWANCE = (
    "The allowance covers the last 24 hours and comes back bit by bit: retry in an hour or more, and see Setup > {} "
    "for who uses it."
)
_JOBS_USED_UP = _ALLOWANCE.format("Bulk Data Load Jobs")
_EXEMPT = "A transaction security policy is in the way: the Salesforce admin mends it, or exempts the Run-As user."
_LEAD_ACCESS = "Give the Run-As user Create, Read and Edit on Lead in a permission set."
_LOCKED = "Others hold the records locked: try again later, at another hour than other loads."
_SOMEBODY = "Somebody else has closed, aborted or deleted the job: see Setup > Bulk Data Load Jobs, and try again."
_UNREADABLE = "Salesforce cannot read what was uploaded: take api='collections' meanwhile, and report this as a bug."
_UPSERT_KEY = "external_id_field has to be an External ID field of Lead that the Run-As user can see."
_VERSION = "Set api_version in the connection's extra to one that the org lists at /services/data/."

#: The session is over, which a new token mends once.
SESSION_OVER = ErrorCode(
    "INVALID_SESSION_ID",
    _ADMIN,
    "Check the IP ranges enforced on the Run-As user's sessions against this machine's outgoing address, and the app's "
    "session policies.",
    raises=SessionRejectedError,
    plain=True,
)
#: The API version of the connection is served no more.
VERSION_RETIRED = ErrorCode("UNSUPPORTED_API_VERSION", _ENGINEER, _VERSION, plain=True)

# fmt: off
#: Of records, requests and jobs. Bulk API writes some codes without underscores, or in letters of both cases: neither
#: counts.
TABLE: tuple[ErrorCode, ...] = (
    # The row's values.
    *(ErrorCode(code, _OWNER) for code in (
        "FIELD_INTEGRITY_EXCEPTION", "INVALID_EMAIL_ADDRESS", "INVALID_TYPE_ON_FIELD_IN_RECORD", "MALFORMED_ID",
        "MALFORMED_ROW", "MISSING_ARGUMENT", "NUMBER_OUTSIDE_VALID_RANGE", "REQUIRED_FIELD_MISSING", "STRING_TOO_LONG",
    )),
    ErrorCode("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", _OWNER,
        "Mend the values, or the Salesforce admin adds them to the picklist."),
    ErrorCode("JSON_PARSER_ERROR", _OWNER,
        "A value does not fit its field's type: see the field's description in Setup.", row_advice=""),
    # The row's lead.
    ErrorCode("CANNOT_UPDATE_CONVERTED_LEAD", _OWNER,
        "A converted lead can only be read: leave it out, the person is a contact now.", row=Meaning.LEAD_CONVERTED),
    ErrorCode("DUPLICATES_DETECTED", _ADMIN,
        "A duplicate rule is in the way: take duplicates='allow' if it only alerts, or the Salesforce admin lets the "
        "Run-As user bypass it. With match_email, several open leads may have the address: merge them.",
        row=Meaning.LEAD_MAY_EXIST),
    ErrorCode("DUPLICATE_EXTERNAL_ID", _ADMIN,
        "Several leads have this external ID, or this e-mail address: merge them, and make the field unique.",
        row=Meaning.NO_SINGLE_LEAD),
    ErrorCode("DUPLICATE_VALUE", _OWNER,
        "Another record has this value of a unique field already: error_message names it, or the Run-As user does not "
        "see it (View All on Lead shows the leads of other owners).", row=Meaning.LEAD_EXISTS),
    ErrorCode("ENTITY_IS_DELETED", _OWNER, "The lead lies in the recycle bin: restore it there, or leave the row out.",
        row=Meaning.NO_SINGLE_LEAD),
    ErrorCode("INVALID_CROSS_REFERENCE_KEY", _OWNER,
        "An id (of the lead, owner, record type ...) is not this org's, or hidden from the Run-As user; a sandbox has "
        "other ids than production.", row=Meaning.NO_SINGLE_LEAD),
    ErrorCode("NOT_FOUND", _ENGINEER,
        "It is deleted or misspelt, not in this API version, or the Run-As user lacks access to it.",
        row=Meaning.NO_SINGLE_LEAD, row_advice=""),
    # The org's own rules and code.
    ErrorCode("CANNOT_EXECUTE_FLOW_TRIGGER", _NOBODY, _LOCKED, words="UNABLE_TO_LOCK_ROW", row=Meaning.SENT_AGAIN),
    ErrorCode("CANNOT_EXECUTE_FLOW_TRIGGER", _ADMIN,
        "A flow of the org failed: show error_message to the Salesforce admin."),
    ErrorCode("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", _NOBODY, _LOCKED, words="UNABLE_TO_LOCK_ROW",
        row=Meaning.SENT_AGAIN),
    ErrorCode("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", _ADMIN,
        "An Apex trigger of the org failed: show error_message to the Salesforce admin; at a CPU or query limit, lower "
        "batch_size."),
    ErrorCode("FIELD_CUSTOM_VALIDATION_EXCEPTION", _OWNER,
        "A validation rule of the org is in the way: mend the rows as it says, or the Salesforce admin exempts the "
        "Run-As user.", row=Meaning.RULE_BROKEN),
    ErrorCode("INACTIVE_OWNER_OR_USER", _ADMIN,
        "The owner is not active: name another one, also in the org's assignment rule."),
    ErrorCode("INVALID_ASSIGNMENT_RULE", _ENGINEER,
        "assignment_rule names no lead assignment rule of this org: give 'default' or its id.", plain=True),
    ErrorCode("STORAGE_LIMIT_EXCEEDED", _ADMIN, "Free data storage or buy more, see Setup > Storage Usage.",
        row=Meaning.ENDS_RUN, plain=True),
    ErrorCode("TXN_SECURITY_APEX_ERROR", _ADMIN, _EXEMPT),
    ErrorCode("TXN_SECURITY_METERING_ERROR", _ADMIN, _EXEMPT, row=Meaning.SENT_AGAIN, raises=_PASSES),
    ErrorCode("TXN_SECURITY_NO_ACCESS", _ADMIN, _EXEMPT),
    ErrorCode("TXN_SECURITY_RUNTIME_ERROR", _ADMIN, _EXEMPT, row=Meaning.SENT_AGAIN, raises=_PASSES),
    # What the Run-As user may do and see.
    ErrorCode("API_DISABLED_FOR_ORG", _ADMIN,
        "The Run-As user lacks the permission API Enabled, or the org's edition has no API.", raises=ApiAccessError,
        plain=True),
    ErrorCode("INSUFFICIENT_ACCESS", _ADMIN, "Give the Run-As user Create, Read and Edit on the object.", raises=_JOB,
        hides=True),
    ErrorCode("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", _ADMIN,
        "Give the Run-As user access to the record that a field refers to (owner, record type, campaign ...)."),
    ErrorCode("INSUFFICIENT_ACCESS_OR_READONLY", _ADMIN,
        "Give the Run-As user Edit on Lead, and Modify All on Lead for leads of other owners; an approval process may "
        "have locked the record.", raises=_JOB, hides=True),
    ErrorCode("INVALID_FIELD", _ADMIN,
        "The field is misspelt or deleted, or the Run-As user lacks access to it: give it edit access in the field's "
        "field-level security.", raises=_JOB, hides=True,
        row_advice="Mend values that are not of the field's type; for a field that is not found, give the Run-As user "
        "edit access to it in its field-level security."),
    ErrorCode("INVALID_FIELD_FOR_INSERT_UPDATE", _ADMIN,
        "Give the Run-As user edit access to the field in its field-level security, or take a field that cannot be "
        "written out of fields.", raises=_JOB),
    ErrorCode("INVALID_TYPE", _ADMIN,
        "The object is misspelt, or the Run-As user lacks access to it: give it Read on the object.", raises=_JOB,
        hides=True),
    ErrorCode("InvalidEntity", _ADMIN, _LEAD_ACCESS, raises=_JOB, plain=True),
    ErrorCode("InvalidOperation", _ADMIN, _LEAD_ACCESS, raises=_JOB),
    ErrorCode("InvalidUser", _ADMIN, "Activate or unfreeze the Run-As user, and give it the permission API Enabled.",
        raises=_JOB),
    ErrorCode("FeatureNotEnabled", _ADMIN,
        "The Run-As user may not do this in bulk: ask the admin, or take api='collections'.", raises=_JOB, plain=True),
    # The session.
    ErrorCode("INVALID_AUTH_HEADER", _ENGINEER,
        "The Authorization header did not arrive as it was sent. Check proxies and gateways on the way, which may take "
        "it out or change it.", raises=SessionRejectedError, plain=True),
    ErrorCode("INVALID_OPERATION_WITH_EXPIRED_PASSWORD", _ADMIN,
        "The password of the Run-As user has expired, and a new token does not help. An API-only user is never asked "
        "for a new password: the Salesforce admin resets it in Setup > Users, and gives the user the permission "
        "Password Never Expires.", raises=SessionRejectedError),
    ErrorCode("INVALID_SESSION_ID", _ADMIN,
        "Salesforce takes the token but not for the REST API, and a new one does not help: check the app's scopes "
        "(api), the app's and the Run-As user's access policies, and API Access Control.",
        words="not valid for use with the rest api|not attached to agent", raises=SessionRejectedError, plain=True),
    SESSION_OVER,
    # The request.
    ErrorCode("ALL_OR_NONE_OPERATION_ROLLED_BACK", _OWNER, "Another record of the request failed: mend that one.",
        row=Meaning.SENT_AGAIN),
    ErrorCode("API_ERROR", _NOBODY, "Try again later.", plain=True),
    ErrorCode("EXCEEDED_ID_LIMIT", _ENGINEER, "Lower batch_size.", plain=True),
    ErrorCode("INVALID_ENTITY_FOR_UPSERT", _ENGINEER, _UPSERT_KEY),
    ErrorCode("INVALID_EXTERNAL_ID_FIELD_NAME", _ENGINEER, _UPSERT_KEY),
    ErrorCode("INVALID_QUERY_LOCATOR", _NOBODY, "The results of a query are kept for two days: begin it anew."),
    ErrorCode("InvalidVersion", _ENGINEER, _VERSION, raises=_JOB),
    ErrorCode("MALFORMED_QUERY", _ENGINEER, "Mend the query."),
    ErrorCode("METHOD_NOT_ALLOWED", _ENGINEER, "The resource does not take this method: check path and API version.",
        plain=True),
    ErrorCode("PROCESSING_HALTED", _OWNER, "Another part of the request failed: mend that one."),
    ErrorCode("QUERY_TIMEOUT", _ENGINEER,
        "Select less at once, by indexed fields: Salesforce ends a query after two minutes.", plain=True),
    ErrorCode("QUERY_TOO_COMPLICATED", _ENGINEER, "Select less at once: fewer fields, fewer formula fields.",
        plain=True),
    ErrorCode("REQUEST_RUNNING_TOO_LONG", _ENGINEER,
        "Lower batch_size: triggers and flows of the org take too long for so many records.", row=Meaning.SENT_AGAIN,
        plain=True),
    VERSION_RETIRED,
    # What passes, and limits.
    ErrorCode("API_CURRENTLY_DISABLED", _NOBODY, row=Meaning.LATER, raises=_PASSES, plain=True),
    ErrorCode("ExceededQuota", _NOBODY, _JOBS_USED_UP, raises=ApiLimitError, retry_after=AN_HOUR, plain=True),
    ErrorCode("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", _NOBODY,
        "Try again when Salesforce's maintenance is over.", row=Meaning.LATER, raises=_PASSES),
    ErrorCode("LIMIT_EXCEEDED", _NOBODY, _JOBS_USED_UP, raises=ApiLimitError, retry_after=AN_HOUR, plain=True),
    ErrorCode("REQUEST_LIMIT_EXCEEDED", _ENGINEER, "If it comes back, lower concurrency or batch_size.",
        words="concurrent", raises=ConcurrencyLimitError, retry_after=_SOME_MINUTES, plain=True, overload=True),
    ErrorCode("REQUEST_LIMIT_EXCEEDED", _ADMIN, _ALLOWANCE.format("Company Information > API Requests"),
        raises=ApiLimitError, retry_after=AN_HOUR, plain=True),
    ErrorCode("SERVER_UNAVAILABLE", _NOBODY, row=Meaning.SENT_AGAIN, raises=_PASSES, plain=True, overload=True),
    ErrorCode("TooManyLockFailure", _NOBODY, _LOCKED, plain=True),
    ErrorCode("UNABLE_TO_LOCK_ROW", _NOBODY, _LOCKED, row=Meaning.SENT_AGAIN, raises=_PASSES),
    # A bulk job's upload.
    ErrorCode("ClientInputError", _ENGINEER, _UNREADABLE, raises=_JOB),
    ErrorCode("InvalidBatch", _ADMIN,
        "The Run-As user does not see the field {field}: it was deleted or renamed, or the user has lost access. Give "
        "the user edit access to {field} in its field-level security, by a permission set, or take the field out of "
        "the Dag.", words=r"Field name not found\s*:\s*(?P<field>[A-Z][\w.]{0,254})", raises=_JOB, plain=True),
    ErrorCode("InvalidBatch", _ENGINEER, _UNREADABLE, raises=_JOB, plain=True),
    ErrorCode("InvalidJob", _NOBODY, _SOMEBODY, raises=_JOB, plain=True),
    ErrorCode("InvalidJobState", _NOBODY, _SOMEBODY, plain=True),
    ErrorCode("InvalidUrl", _ENGINEER, raises=_JOB),
    ErrorCode("InvalidXml", _ENGINEER, raises=_JOB),
)
# fmt: on

#: What a connection needs in its Host.
MY_DOMAIN = "Enter the org's own My Domain host, such as acme.my.salesforce.com, into Host."
_WAIT = "This passes by itself: try again later."
_KEY = (
    "Enter the consumer key of an External Client App of this very org (a sandbox has its own) as Consumer key; an app "
    "younger than about 10 minutes may not be known yet."
)
_PRIVATE_KEY = (
    "The certificate of the app does not belong to the connection's private_key: upload the certificate that was made "
    "with that key (the app's OAuth settings, JWT Bearer Flow), or enter the private key of the one that is there{}."
)
_NOT_APPROVED = "not admin approved|hasn't approved|invalid_app_access"

# fmt: off
#: Of the token endpoint: the first of which the words, or else the code, are found in its error and description.
TOKEN_TABLE: tuple[ErrorCode, ...] = (
    ErrorCode("rate_limit_exceeded", _NOBODY, _WAIT, words="rate_limit_exceeded|rate exceeded", raises=_PASSES,
        retry_after=_SOME_MINUTES),
    ErrorCode("unknown_error", _NOBODY, _WAIT, words="unknown_error|retry your request|already being processed",
        raises=_PASSES),
    ErrorCode("server_error", _NOBODY, _WAIT, raises=_PASSES),
    ErrorCode("temporarily_unavailable", _NOBODY, _WAIT, raises=_PASSES),
    ErrorCode("invalid_client_id", _ADMIN, _KEY, raises=WrongKeyOrSecretError),
    ErrorCode("app_not_found", _ADMIN, _KEY, raises=WrongKeyOrSecretError),
    ErrorCode("unsupported_grant_type", _ADMIN,
        "Tick 'Enable Client Credentials Flow' in the app's settings and in its policies.",
        words="unsupported_grant_type|unauthorized_client", raises=FlowNotEnabledError),
    ErrorCode("invalid_client", _ADMIN,
        "The app is not installed in this org, which is not a matter of the secret: the Salesforce admin installs it "
        "in Setup > Connected Apps OAuth Usage, or gives the Run-As user the permission Approve Uninstalled Connected "
        "Apps (Use Any API Client under API Access Control); or take an External Client App made in this org.",
        words="must be installed", raises=AuthenticationError),
    ErrorCode("invalid_grant", _ADMIN,
        "Name a Run As user, by username, in the app's client-credentials policy; if there is one, it lacks the "
        "permission API Enabled or may not use the API.", words="no client credentials user",
        raises=FlowNotEnabledError),
    ErrorCode("invalid_grant", _ENGINEER, MY_DOMAIN, words="not supported on this domain", raises=WrongHostError),
    ErrorCode("invalid_grant", _ADMIN,
        "Allow this machine's outgoing IP address in the app's IP policy and in the login IP ranges of the Run-As "
        "user's profile.", words="ip restricted", raises=AuthenticationError),
    ErrorCode("invalid_app_access", _ADMIN,
        "Give the Run-As user a permission set or profile that the app's policy lists as pre-authorised.",
        words=_NOT_APPROVED, raises=AuthenticationError),
    ErrorCode("invalid_grant", _ADMIN, "Give the Run-As user the permission API Enabled.", words="api not enabled",
        raises=ApiAccessError),
    ErrorCode("inactive_user", _ADMIN, "Activate or unfreeze the Run-As user.", words="inactive.user",
        raises=AuthenticationError),
    ErrorCode("inactive_org", _ADMIN, "The org is locked, closed or under maintenance; ask its Salesforce admin.",
        words="inactive.org", raises=AuthenticationError),
    # OAuth servers say invalid_client for either half; the description tells which.
    ErrorCode("invalid_client", _ADMIN, _KEY, words="^invalid_client .*identifier", raises=WrongKeyOrSecretError),
    ErrorCode("invalid_client", _ADMIN,
        "Enter the app's current consumer secret as Consumer secret (Password); it changes when somebody rotates it.",
        words="^invalid_client ", raises=WrongKeyOrSecretError),
)
#: What means something else to the JWT bearer flow; ``{audience}``, ``{lifetime}`` and ``{clock}`` are the assertion's.
BEARER_TABLE: tuple[ErrorCode, ...] = (
    ErrorCode("invalid_grant", _ADMIN, _PRIVATE_KEY.format(""), words="invalid assertion",
        raises=WrongKeyOrSecretError),
    ErrorCode("invalid_client", _ADMIN, _PRIVATE_KEY.format("; check the consumer key, too"),
        words="invalid client credentials", raises=WrongKeyOrSecretError),
    ErrorCode("invalid_grant", _ENGINEER,
        "The assertion was addressed to {audience}: set audience to https://test.salesforce.com for a sandbox or a "
        "scratch org, and to https://login.salesforce.com or the org's My Domain URL for any other; empty takes the "
        "one that fits the host.", words="audience is invalid|audience validation failed|invalid audience",
        raises=AuthenticationError),
    ErrorCode("invalid_grant", _ENGINEER,
        "An assertion is valid for {lifetime} seconds by this machine's clock; set the clock by NTP{clock}.",
        words="expired authorization code", raises=AuthenticationError),
    ErrorCode("invalid_app_access", _ADMIN,
        "Check username: it is the one of a user of this very org, not an e-mail address, and in a sandbox it ends in "
        "the sandbox's name. Pre-authorise that user: in the app's policies choose 'Admin approved users are "
        "pre-authorized', and give the user a permission set that is listed there.", words=_NOT_APPROVED,
        raises=AuthenticationError),
    ErrorCode("invalid_grant", _ADMIN,
        "Give the app the scopes 'Manage user data via APIs (api)' and 'Perform requests at any time (refresh_token)'.",
        words="no valid scopes", raises=FlowNotEnabledError),
    ErrorCode("unsupported_grant_type", _ADMIN,
        "Tick 'Enable JWT Bearer Flow' in the app's OAuth settings and upload a certificate there.",
        words="unsupported_grant_type|unauthorized_client", raises=FlowNotEnabledError),
)
# fmt: on
#: What stands in no table.
UNKNOWN = ErrorCode("", _OWNER)
UNKNOWN_TOKEN_ERROR = ErrorCode(
    "", _ADMIN, "Look the user up in Setup > Login History, which names the reason.", raises=AuthenticationError
)

#: Codes of rows of which a look-up finds that they are no, or no single, lead's.
NO_SINGLE_LEAD = frozenset(entry.code for entry in TABLE if entry.row is Meaning.NO_SINGLE_LEAD)


def look_up(code: str, message: str = "") -> ErrorCode:
    """Return what is known of the code of a record, a request or a job; :data:`UNKNOWN` where nothing is."""
    for entry in _BY_CODE.get(_bare(code), ()):
        if not entry.words:
            return entry
        found = re.search(entry.words, message, re.IGNORECASE | re.ASCII)
        if found is not None:
            return replace(entry, advice=entry.advice.format(**found.groupdict()))
    return UNKNOWN


def look_up_token_error(error: str, description: str, *, assertion: Mapping[str, object] | None = None) -> ErrorCode:
    """Return what is known of a refused login; :data:`UNKNOWN_TOKEN_ERROR` where nothing is.

    :param error: in lower case, as is ``description``.
    :param assertion: of the JWT bearer flow, what its advice tells of the assertion.
    """
    entries = (*BEARER_TABLE, *TOKEN_TABLE) if assertion else TOKEN_TABLE
    # What passes goes first, whatever else is said.
    for entry in sorted(entries, key=lambda entry: entry.raises is not _PASSES):
        if re.search(entry.words or entry.code, f"{error} {description}"):
            return replace(entry, advice=entry.advice.format(**assertion or {}))
    return UNKNOWN_TOKEN_ERROR


def advice_for(entries: Iterable[ErrorCode]) -> str:
    """Say what to do about some errors, each advice once; empty where there is none."""
    return " ".join(dict.fromkeys(entry.advice for entry in entries if entry.advice))


def _bare(code: str) -> str:
    return code.replace("_", "").upper()


_BY_CODE = {_bare(each.code): tuple(e for e in TABLE if _bare(e.code) == _bare(each.code)) for each in TABLE}
