"""What to do about an error code of Salesforce's, where that is not simply to mend the row.

SOAP API Developer Guide, "ExceptionCode" and "StatusCode"; Bulk API Developer Guide, "Errors".
"""

from __future__ import annotations

from collections.abc import Iterable

_EXEMPT = "A transaction security policy is in the way: the Salesforce admin mends it, or exempts the Run-As user."
_LOCKED = "Others hold the records locked: try again later, at another hour than other loads."
_UPSERT_KEY = "external_id_field has to be an External ID field of Lead that the Run-As user can see."
_UNREADABLE = "Salesforce cannot read what was uploaded: take api='collections' meanwhile, and report this as a bug."
_SOMEBODY = "Somebody else has closed, aborted or deleted the job: see Setup > Bulk Data Load Jobs, and try again."

# Of a record as well as of a whole request.
_RECORD = {
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": "Another record of the request failed: mend that one.",
    "CANNOT_EXECUTE_FLOW_TRIGGER": "A flow of the org failed: show error_message to the Salesforce admin.",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": (
        "An Apex trigger of the org failed: show error_message to the Salesforce admin; at a CPU or query limit, lower "
        "batch_size."
    ),
    "CANNOT_UPDATE_CONVERTED_LEAD": "A converted lead can only be read: leave it out, the person is a contact now.",
    "DUPLICATES_DETECTED": (
        "A duplicate rule is in the way: take duplicates='allow' if it only alerts, or the Salesforce admin lets the "
        "Run-As user bypass it."
    ),
    "DUPLICATE_EXTERNAL_ID": "Several leads have this external ID: merge them, and make the field unique.",
    "DUPLICATE_VALUE": (
        "Another record has this value of a unique field already: error_message names it, or the Run-As user does not "
        "see it (View All on Lead shows the leads of other owners)."
    ),
    "ENTITY_IS_DELETED": "The lead lies in the recycle bin: restore it there, or leave the row out.",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": (
        "A validation rule of the org is in the way: mend the rows as it says, or the Salesforce admin exempts the "
        "Run-As user."
    ),
    "INACTIVE_OWNER_OR_USER": "The owner is not active: name another one, also in the org's assignment rule.",
    "INSUFFICIENT_ACCESS": "Give the Run-As user Create, Read and Edit on the object.",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": (
        "Give the Run-As user access to the record that a field refers to (owner, record type, campaign ...)."
    ),
    "INSUFFICIENT_ACCESS_OR_READONLY": (
        "Give the Run-As user Edit on Lead, and Modify All on Lead for leads of other owners; an approval process may "
        "have locked the record."
    ),
    "INVALID_ASSIGNMENT_RULE": "assignment_rule names no lead assignment rule of this org: give 'default' or its id.",
    "INVALID_CROSS_REFERENCE_KEY": (
        "An id (of the lead, owner, record type ...) is not this org's, or hidden from the Run-As user; a sandbox has "
        "other ids than production."
    ),
    "INVALID_FIELD": (
        "Mend values that are not of the field's type; for a field that is not found, give the Run-As user edit access "
        "to it in its field-level security."
    ),
    "INVALID_FIELD_FOR_INSERT_UPDATE": (
        "Give the Run-As user edit access to the field in its field-level security, or take a field that cannot be "
        "written out of fields."
    ),
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "Mend the values, or the Salesforce admin adds them to the picklist.",
    "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE": "Try again when Salesforce's maintenance is over.",
    "PROCESSING_HALTED": "Another part of the request failed: mend that one.",
    "STORAGE_LIMIT_EXCEEDED": "Free data storage or buy more, see Setup > Storage Usage.",
    "TXN_SECURITY_APEX_ERROR": _EXEMPT,
    "TXN_SECURITY_METERING_ERROR": _EXEMPT,
    "TXN_SECURITY_NO_ACCESS": _EXEMPT,
    "TXN_SECURITY_RUNTIME_ERROR": _EXEMPT,
    "UNABLE_TO_LOCK_ROW": _LOCKED,
}
# Of a whole request, or of a job; Bulk API writes some codes without underscores, or in letters of both cases.
_REQUEST = {
    "API_ERROR": "Try again later.",
    "CLIENTINPUTERROR": _UNREADABLE,
    "EXCEEDED_ID_LIMIT": "Lower batch_size.",
    "FEATURENOTENABLED": "The Run-As user may not do this in bulk: ask the admin, or take api='collections'.",
    "INVALIDBATCH": _UNREADABLE,
    "INVALIDENTITY": "Give the Run-As user Create, Read and Edit on Lead in a permission set.",
    "INVALIDJOB": _SOMEBODY,
    "INVALIDJOBSTATE": _SOMEBODY,
    "INVALIDOPERATION": "Give the Run-As user Create, Read and Edit on Lead in a permission set.",
    "INVALIDUSER": "Activate or unfreeze the Run-As user, and give it the permission API Enabled.",
    "INVALIDVERSION": "Set api_version in the connection's extra to one that the org lists at /services/data/.",
    "INVALID_ENTITY_FOR_UPSERT": _UPSERT_KEY,
    "INVALID_EXTERNAL_ID_FIELD_NAME": _UPSERT_KEY,
    "INVALID_FIELD": (
        "The field is misspelt or deleted, or the Run-As user lacks access to it: give it edit access in the field's "
        "field-level security."
    ),
    "INVALID_QUERY_LOCATOR": "The results of a query are kept for two days: begin it anew.",
    "INVALID_TYPE": "The object is misspelt, or the Run-As user lacks access to it: give it Read on the object.",
    "JSON_PARSER_ERROR": "A value does not fit its field's type: see the field's description in Setup.",
    "MALFORMED_QUERY": "Mend the query.",
    "METHOD_NOT_ALLOWED": "The resource does not take this method: check path and API version.",
    "NOT_FOUND": "It is deleted or misspelt, not in this API version, or the Run-As user lacks access to it.",
    "QUERY_TIMEOUT": "Select less at once, by indexed fields: Salesforce ends a query after two minutes.",
    "QUERY_TOO_COMPLICATED": "Select less at once: fewer fields, fewer formula fields.",
    "REQUEST_RUNNING_TOO_LONG": "Lower batch_size: triggers and flows of the org take too long for so many records.",
    "TOOMANYLOCKFAILURE": _LOCKED,
}


def bare_code(code: str) -> str:
    """Return a code without its underscores, in capitals: requests and jobs spell the same ones differently."""
    return code.replace("_", "").upper()


_OF_REQUESTS = {bare_code(code): remedy for code, remedy in (_RECORD | _REQUEST).items()}


def remedies_for(codes: Iterable[str]) -> str:
    """Say what to do about a request, or a job, that was refused with these codes; empty where there is no advice."""
    found = (_OF_REQUESTS.get(bare_code(code)) for code in codes)
    return " ".join(dict.fromkeys(filter(None, found)))


def record_remedy(code: str) -> str | None:
    """Say what to do about records that were refused with this code, beside mending their values."""
    return _RECORD.get(code)
