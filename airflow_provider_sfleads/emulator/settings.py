"""Every switch of the emulator, as one frozen value that is replaced as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from airflow_provider_sfleads.emulator.deviations import check_deviations
from airflow_provider_sfleads.emulator.fields import FieldSpec
from airflow_provider_sfleads.emulator.json_types import Json
from airflow_provider_sfleads.emulator.jwt_bearer import check_certificates
from airflow_provider_sfleads.emulator.permissions import check_known
from airflow_provider_sfleads.emulator.setup_data import RUN_AS_USERNAME

Versions = tuple[str, ...]
_VERSIONS: Versions = tuple(f"{number}.0" for number in range(31, 69))


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorSettings:
    """How the emulated org is set up.

    Access: `client_id` and `client_secret` of the app; `flow_enabled` False -> `unsupported_grant_type`;
    `run_as_user` False -> `invalid_grant`; `token_lifetime` seconds without use after which a token is
    dead; `token_calls` calls after which it is dead (None: no such rule); `instance_url` what the token
    reply says instead of the URL that the client used; `api_enabled` False -> 403
    `API_DISABLED_FOR_ORG`; `lead_access` False -> Lead does not exist for the run-as user;
    `hidden_objects`, such as Contact or AssignmentRule, do not exist for it either; `limits_access` False ->
    `/limits` is refused; `denied` takes permissions of the run-as user away by name (`Lead.Edit`, `Contact.Read`,
    `ViewSetup`, `Lead.Email.Read` ..., all in `permissions.known_permissions`); `api_limit` is the M of
    `Sforce-Limit-Info`.

    JWT bearer: `jwt_certificates` of the app, in PEM (none: no assertion is good); an app has one, and
    while a key is rotated two, as two apps of one key would; `jwt_username` of the user that is
    approved for the app, with `jwt_approved` False that user is not; `jwt_audiences` that the org takes.

    Disputed facts, so that a client can be tried both ways: `structural_errors` - an unknown field or a
    wrong JSON type costs the whole `page` or only its `row`; `failed_row_ids` - failed rows carry `id`
    and `created` as `null` or leave them `missing`; `duplicate_value_fields` - `DUPLICATE_VALUE` names
    the field in `fields`; `duplicate_value_wording` `unknown` - its text names neither field nor record;
    `language` `de` - its text is translated, and the identity URL says so.

    Assumptions of clients: `broken` names those that do not hold, all in `deviations.DEVIATIONS`.

    The org and its rules: `organization_type`; `is_sandbox`; `assignment_rule_active`; `duplicate_rule` `off`,
    `alert` (allow and alert, so that `allowSave=true` overrides it) or `block`; `forward_only` stages in order
    (none: no such rule), so that a validation rule refuses to move `Lead_Stage__c` back, also to one that is not
    among them; `hidden_fields` are withheld by field-level security; `extra_fields` are added to Lead, or replace
    its fields of the same name.

    Bulk API 2.0: `bulk_rate` rows a second that each job is processed at (None: at once); `bulk_delay`
    seconds that a job waits in UploadComplete; `bulk_upload_limit` bytes of an upload;
    `bulk_batch_limit` batches of `bulk_batch_rows` rows that are processed before the next reset (rows
    beyond get no result of any kind); `bulk_result_order` of the lines in results; `bulk_fail_after`
    rows after which a job ends Failed (None: none does); `bulk_list_page_size` jobs on a page of the
    list; `bulk_query_page_size` records of a query result where `maxRecords` does not say. `counting` -
    rows of new jobs are counted and not kept: each succeeds, with an id made of its number, and the
    results echo it as it was uploaded. `virtual_leads` - with `counting`, that many leads exist, with
    the keys K-0000001 and so on.

    Wire: `latency_ms` from a request's arrival to its answer; `gzip_replies` compresses for clients that
    accept it; `query_page_size` records a query page; `versions` that the org serves; `clock_offset` seconds that
    its clock is ahead; `withheld_headers`, such as Date, which a proxy takes out of the answers.
    """

    client_id: str = "emulator-key"
    client_secret: str = "emulator-secret"  # noqa: S105 - guards nothing
    flow_enabled: bool = True
    run_as_user: bool = True
    token_lifetime: float = 7200.0
    token_calls: int | None = None
    instance_url: str | None = None
    jwt_certificates: tuple[str, ...] = ()
    jwt_username: str = RUN_AS_USERNAME
    jwt_approved: bool = True
    jwt_audiences: tuple[str, ...] = ("https://login.salesforce.com",)
    api_enabled: bool = True
    lead_access: bool = True
    hidden_objects: tuple[str, ...] = ()
    limits_access: bool = True
    denied: tuple[str, ...] = ()
    api_limit: int = 115_000
    structural_errors: Literal["page", "row"] = "page"
    failed_row_ids: Literal["missing", "null"] = "missing"
    duplicate_value_fields: bool = False
    duplicate_value_wording: Literal["named", "unknown"] = "named"
    language: Literal["en", "de"] = "en"
    broken: tuple[str, ...] = ()
    organization_type: str = "Enterprise Edition"
    is_sandbox: bool = True
    assignment_rule_active: bool = True
    duplicate_rule: Literal["off", "alert", "block"] = "off"
    forward_only: tuple[str, ...] = ()
    hidden_fields: tuple[str, ...] = ()
    extra_fields: tuple[FieldSpec, ...] = ()
    latency_ms: float = 0.0
    gzip_replies: bool = True
    query_page_size: int = 2000
    clock_offset: float = 0.0
    withheld_headers: tuple[str, ...] = ()
    versions: Versions = _VERSIONS
    bulk_rate: float | None = None
    bulk_delay: float = 0.0
    bulk_upload_limit: int = 100 * 1024 * 1024
    bulk_batch_limit: int = 15_000
    bulk_batch_rows: int = 10_000
    bulk_result_order: Literal["shuffled", "upload"] = "shuffled"
    bulk_fail_after: int | None = None
    bulk_list_page_size: int = 1000
    bulk_query_page_size: int = 50_000
    counting: bool = False
    virtual_leads: int = 0

    def __post_init__(self) -> None:
        if self.bulk_rate is not None and self.bulk_rate <= 0:
            message = f"Setting bulk_rate cannot be {self.bulk_rate}; to hold jobs back, set bulk_delay"
            raise ValueError(message)
        check_known(self.denied, self.extra_fields)
        check_deviations(self.broken)
        check_certificates(self.jwt_certificates)

    def changed(self, changes: Mapping[str, Any]) -> EmulatorSettings:
        """Return these settings with some replaced; values may come from JSON and are checked."""
        hints = get_type_hints(EmulatorSettings)
        unknown = sorted(set(changes) - set(hints))
        if unknown:
            message = f"Unknown settings {unknown}; known are {sorted(hints)}"
            raise ValueError(message)
        return replace(self, **{name: _checked(name, raw, hints[name]) for name, raw in changes.items()})

    def to_json(self) -> dict[str, Any]:
        """Return all settings but the secret."""
        shown = asdict(self)
        del shown["client_secret"]
        return shown


def _checked(name: str, raw: Json, hint: Json) -> Json:
    if name == "extra_fields":
        return tuple(f if isinstance(f, FieldSpec) else FieldSpec.from_json(f) for f in _items(name, raw))
    if hint == tuple[str, ...]:
        return tuple(str(item) for item in _items(name, raw))
    allowed = get_args(hint)
    if allowed and all(isinstance(item, str) for item in allowed):
        if raw in allowed:
            return raw
    elif float in {hint, *allowed} and isinstance(raw, int | float) and not isinstance(raw, bool):
        return float(raw)
    elif isinstance(raw, hint) and (hint is bool or not isinstance(raw, bool)):
        return raw
    message = f"Setting {name} cannot be {raw!r}; it takes {allowed or hint.__name__}"
    raise ValueError(message)


def _items(name: str, raw: Json) -> list[Any]:
    if isinstance(raw, list | tuple | set | frozenset):
        return list(raw)
    message = f"Setting {name} takes a list, not {raw!r}"
    raise ValueError(message)


def default_of(name: str) -> Json:
    """Return the default of a setting, for help texts."""
    (found,) = (item.default for item in fields(EmulatorSettings) if item.name == name)
    return None if found is MISSING else found
