"""Provide the hook: an Airflow connection, and Salesforce behind it."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk.log import mask_secret

from airflow_provider_sfleads.exceptions import SalesforceLeadsError
from airflow_provider_sfleads.hooks.permanent_errors import no_retry_for_permanent

# Dag files import this module: what only a running task needs is imported where it is used.
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from requests import Response, Session

    from airflow_provider_sfleads.hooks.records import Records
    from airflow_provider_sfleads.salesforce.client import Client
    from airflow_provider_sfleads.salesforce.replies import RecordResult
    from airflow_provider_sfleads.salesforce.settings import Settings
    from airflow_provider_sfleads.salesforce.wire import Call, Reply

    Record = Mapping[str, object]

Duplicates = Literal["reject", "allow"]
_permanent = no_retry_for_permanent()
# A person waits for the Test button.
_PATIENCE = 15.0


class SalesforceLeadsHook(HttpHook):
    """Talk to the Salesforce org of an Airflow connection.

    The connection is read once, at the first call; all calls and threads of one hook share one token and one pool of
    connections. Errors are those of :mod:`airflow_provider_sfleads.exceptions`; those that a retry cannot mend fail a
    task without retry.

    :param salesforce_conn_id: Airflow connection of type ``salesforce_leads``.
    :param method: HTTP method of :meth:`run`, as in ``HttpHook``; nothing else uses it.
    """

    conn_name_attr = "salesforce_conn_id"
    default_conn_name = "salesforce_leads_default"
    conn_type = "salesforce_leads"
    hook_name = "Salesforce Leads"

    def __init__(self, salesforce_conn_id: str = default_conn_name, *, method: str = "GET") -> None:
        super().__init__(method=method, http_conn_id=salesforce_conn_id, tcp_keep_alive=False)
        self.salesforce_conn_id = salesforce_conn_id
        self._client: Client | None = None
        self._lock = threading.Lock()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's extra fields for Airflow 3.1; later ones read the provider's metadata."""
        from airflow_provider_sfleads.get_provider_info import connection_type
        from airflow_provider_sfleads.version_compat import form_widgets

        return form_widgets(connection_type()["conn-fields"])

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the form's own fields are named, likewise."""
        from airflow_provider_sfleads.get_provider_info import connection_type

        behaviour = connection_type()["ui-field-behaviour"]
        return {name.replace("-", "_"): value for name, value in behaviour.items()}

    @property
    @_permanent
    def client(self) -> Client:
        """The client of this hook; made once."""
        with self._lock:
            if self._client is None:
                self._client = self._make_client(self._settings())
                self.base_url = self._client.settings.host.url
            return self._client

    @property
    def _records(self) -> Records:
        from airflow_provider_sfleads.hooks.records import Records

        return Records(self.client)

    def _settings(self) -> Settings:
        from airflow.providers.common.compat.sdk import AirflowNotFoundException

        from airflow_provider_sfleads.hooks.connection_fields import no_connection, read_settings, secrets_in

        try:
            connection = self.get_connection(self.salesforce_conn_id)
        except AirflowNotFoundException as error:
            raise no_connection(self.salesforce_conn_id) from error
        settings = read_settings(connection, self.salesforce_conn_id)
        for secret in secrets_in(settings):
            mask_secret(secret)
        return settings

    def _make_client(self, settings: Settings) -> Client:
        from airflow_provider_sfleads.salesforce.client import Client

        return Client(settings, on_secret=mask_secret)

    @_permanent
    def send(self, call: Call) -> Reply:
        """Send one call; see :meth:`airflow_provider_sfleads.salesforce.client.Client.send`.

        :param call: the request, less host, version and token.
        """
        return self.client.send(call)

    @_permanent
    def describe(self, sobject: str = "Lead") -> dict[str, Any]:
        """Return what Salesforce says of an object and its fields, as far as the Run-As user may see them.

        :param sobject: API name of the object.
        """
        return self._records.describe(sobject)

    @_permanent
    def query(self, soql: str, *, include_deleted: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the records of a query, page by page, without Salesforce's ``attributes``.

        :param soql: the query; put values into it with :func:`airflow_provider_sfleads.salesforce.soql.quote`.
        :param include_deleted: whether records in the recycle bin and archived ones count; off as in Salesforce.
        """
        yield from self._records.query(soql, include_deleted=include_deleted)

    @_permanent
    def limits(self) -> dict[str, Any]:
        """Return the org's limits and what is left of them; the Run-As user needs *View Setup and Configuration*."""
        return self._records.limits()

    @_permanent
    def versions(self) -> list[dict[str, Any]]:
        """Return the API versions that the org offers, oldest first; costs no API request."""
        return self._records.versions()

    @_permanent
    def create(
        self,
        records: Iterable[Record],
        *,
        sobject: str = "Lead",
        batch_size: int = 200,
        assignment_rule: str | None = "default",
        duplicates: Duplicates = "reject",
    ) -> list[RecordResult]:
        """Create records, and return one result for each, in order; a refused record is a result, not an error.

        A request whose outcome is unknown is not repeated. Where a request fails as a whole, the error's ``results``
        holds what became of the records before it.

        :param records: field values by API name; any number.
        :param sobject: API name of the object.
        :param batch_size: records a request, up to 200.
        :param assignment_rule: ``"default"`` runs the org's active rule, ``None`` none, an id that rule; a rule
            overwrites ``OwnerId``.
        :param duplicates: ``"allow"`` saves in spite of duplicate rules that merely alert.
        """
        effects = (assignment_rule, duplicates)
        return self._records.write("insert", records, sobject=sobject, size=batch_size, effects=effects)

    @_permanent
    def update(
        self,
        records: Iterable[Record],
        *,
        sobject: str = "Lead",
        batch_size: int = 200,
        assignment_rule: str | None = None,
        duplicates: Duplicates = "reject",
    ) -> list[RecordResult]:
        """Update records, each with its ``id``, and return one result for each, in order.

        :param records: field values by API name, and ``id``; any number. ``None`` clears a field.
        :param sobject: API name of the object.
        :param batch_size: records a request, up to 200.
        :param assignment_rule: as in :meth:`create`, but none by default: an update should not reassign.
        :param duplicates: as in :meth:`create`.
        """
        effects = (assignment_rule, duplicates)
        return self._records.write("update", records, sobject=sobject, size=batch_size, effects=effects)

    @_permanent
    def upsert(
        self,
        records: Iterable[Record],
        external_id_field: str,
        *,
        sobject: str = "Lead",
        batch_size: int = 200,
        assignment_rule: str | None = None,
        duplicates: Duplicates = "reject",
    ) -> list[RecordResult]:
        """Create or update records by an external ID, and return one result for each, in order.

        A value that stands twice in one request fails everywhere it stands.

        :param records: field values by API name, the external ID among them; any number.
        :param external_id_field: API name of the external ID.
        :param sobject: API name of the object.
        :param batch_size: records a request, up to 200.
        :param assignment_rule: as in :meth:`create`, but none by default: Salesforce would run it on updates too.
        :param duplicates: as in :meth:`create`.
        """
        effects, key = (assignment_rule, duplicates), external_id_field
        return self._records.write("upsert", records, sobject=sobject, size=batch_size, effects=effects, key=key)

    @_permanent
    def get(
        self, ids: Iterable[str], fields: Sequence[str], *, sobject: str = "Lead", batch_size: int = 2_000
    ) -> list[dict[str, Any] | None]:
        """Read records by id, and return one for each id, in order; ``None`` for one that is missing or hidden.

        :param ids: record ids; any number.
        :param fields: API names of the fields to read.
        :param sobject: API name of the object.
        :param batch_size: ids a request, up to 2,000.
        """
        return self._records.get(ids, fields, sobject=sobject, size=batch_size)

    def get_conn(self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None) -> Session:
        """Return the pooled session; requests that it sends to the org carry the token, and are not retried.

        :param headers: refused: the session is shared, so give headers to the request instead.
        :param extra_options: refused likewise.
        """
        from airflow_provider_sfleads.hooks.records import refuse_options

        refuse_options(headers=headers, extra_options=extra_options)
        return self.client.session

    def url_from_endpoint(self, endpoint: str | None) -> str:
        """Return the URL of a path below the connection's host.

        :param endpoint: path below the host.
        """
        return f"{self.client.settings.host.url}/{(endpoint or '').lstrip('/')}"

    @_permanent
    def run(
        self,
        endpoint: str | None = None,
        data: dict[str, Any] | str | None = None,
        headers: dict[str, Any] | None = None,
        extra_options: dict[str, Any] | None = None,
        **request_kwargs: Any,
    ) -> Response:
        """Send one request as ``HttpHook.run`` does, through this hook's client.

        Nothing of the connection's extra goes into the headers.

        :param endpoint: path below the host, such as ``services/data/v60.0/limits``.
        :param data: query parameters of a GET, else the body: a text, or a form's fields.
        :param headers: further headers.
        :param extra_options: ``check_response`` and ``timeout``, as in ``HttpHook``.
        :param request_kwargs: ``json`` and ``params``.
        """
        from airflow_provider_sfleads.hooks.records import call_of, read_options
        from airflow_provider_sfleads.salesforce.replies import refusal

        check_response, timeout = read_options(extra_options)
        call = call_of(self.method, endpoint, data=data, headers=headers, **request_kwargs)
        reply, response = self.client.fetch(call, timeout=timeout)
        if check_response and reply.status >= 400:  # noqa: PLR2004
            raise refusal(call, reply, conn_id=self.salesforce_conn_id)
        return response

    def test_connection(self) -> tuple[bool, str]:
        """Say whether this connection works, and if not, which of its causes it is; never raises."""
        from airflow_provider_sfleads.hooks.connection_check import check
        from airflow_provider_sfleads.salesforce.settings import Retries

        client: Client | None = None
        try:
            settings = self._settings()
            retries = Retries(attempts=2, cap=2.0, total=_PATIENCE)
            quick = dataclasses.replace(settings, retries=retries, timeout=min(settings.timeout, _PATIENCE))
            client = self._make_client(quick)
            return True, check(client)
        except SalesforceLeadsError as error:
            return False, str(error)
        except Exception as error:  # noqa: BLE001
            # Its text may hold what must not be shown.
            return False, f"The test itself failed ({type(error).__name__}); see the log of the process that ran it."
        finally:
            if client is not None:
                client.close()
