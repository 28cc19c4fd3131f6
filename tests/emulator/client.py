"""A client that knows the emulator's paths and nothing of the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

Record = dict[str, Any]


def lead(**fields: object) -> Record:
    """A record that Salesforce would take, for a collections call."""
    return {"attributes": {"type": "Lead"}, "LastName": "Ray", "Company": "Acme", **fields}


class Api:
    """Requests below `/services/data/v60.0`, with a token where one is needed."""

    def __init__(self, server: EmulatorServer, *, version: str = "60.0") -> None:
        self.server = server
        self.base = f"{server.url}/services/data/v{version}"
        self.session = requests.Session()

    def login(self) -> Api:
        """Get a token."""
        token = self.token().json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"
        return self

    def token(self, **form: str) -> requests.Response:
        """Ask for a token."""
        fields = {
            "grant_type": "client_credentials",
            "client_id": "emulator-key",
            "client_secret": "emulator-secret",
            **form,
        }
        return self.session.post(f"{self.server.url}/services/oauth2/token", data=fields, timeout=10)

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        """Any request below the version."""
        return self.session.request(method, self.base + path, timeout=10, **more)

    def get(self, path: str, **params: str) -> requests.Response:
        """A GET."""
        return self.call("GET", path, params=params)

    def query(self, soql: str) -> list[Record]:
        """The records of a query's first page, without their attributes."""
        reply = self.get("/query", q=soql)
        assert reply.status_code == 200, reply.text
        records: list[Record] = reply.json()["records"]
        return [{name: value for name, value in record.items() if name != "attributes"} for record in records]

    def create(self, *records: Record, **more: Any) -> list[Record]:
        """Create by a collections call."""
        return self._outcomes("POST", "/composite/sobjects", records, more)

    def update(self, *records: Record, **more: Any) -> list[Record]:
        """Update by a collections call."""
        return self._outcomes("PATCH", "/composite/sobjects", records, more)

    def upsert(self, key: str, *records: Record, **more: Any) -> list[Record]:
        """Upsert by a collections call."""
        return self._outcomes("PATCH", f"/composite/sobjects/Lead/{key}", records, more)

    def _outcomes(self, method: str, path: str, records: tuple[Record, ...], more: dict[str, Any]) -> list[Record]:
        body = {"allOrNone": more.pop("all_or_none", False), "records": list(records)}
        reply = self.call(method, path, json=body, **more)
        assert reply.status_code == 200, reply.text
        outcomes: list[Record] = reply.json()
        return outcomes


def code(outcome: Record) -> str:
    """The statusCode of a failed record; `ok` of one that went well."""
    if outcome["success"]:
        return "ok"
    first: str = outcome["errors"][0]["statusCode"]
    return first
