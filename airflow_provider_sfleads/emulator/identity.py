"""The identity URL, which a token reply names as `id`: who the run-as user is, and which language it has.

Salesforce Help, "Identity URLs" and "Identity URL Response"; the fields are those of public captures.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_sfleads.emulator.ids import ORG_ID, RUN_AS_USER_ID, to_18
from airflow_provider_sfleads.emulator.setup_data import SETUP_ROWS
from airflow_provider_sfleads.emulator.wire import Call, Reply

_LANGUAGES = {"en": ("en_US", "en_US"), "de": ("de", "de_DE")}
_REST = {
    "rest": "",
    "sobjects": "sobjects/",
    "search": "search/",
    "query": "query/",
    "recent": "recent/",
    "tooling_rest": "tooling/",
    "feeds": "chatter/feeds",
    "groups": "chatter/groups",
    "users": "chatter/users",
    "feed_items": "chatter/feed-items",
    "feed_elements": "chatter/feed-elements",
}
_SOAP = {"enterprise": "c", "metadata": "m", "partner": "u", "tooling_soap": "T"}


def show(call: Call) -> Reply:
    """`GET /id/{org}/{user}`, with a token as its bearer."""
    refused = _refused(call)
    if refused is not None:
        return refused
    emulator = call.emulator
    language, locale = _LANGUAGES[emulator.settings.language]
    (user,) = (row for row in SETUP_ROWS["User"] if row["Id"] == RUN_AS_USER_ID)
    first_name, _, last_name = user["Name"].rpartition(" ")
    return Reply(
        body={
            "id": f"{call.base_url}/id/{ORG_ID}/{RUN_AS_USER_ID}",
            "asserted_user": True,
            "user_id": RUN_AS_USER_ID,
            "organization_id": ORG_ID,
            "username": user["Username"],
            "nick_name": user["Username"].partition("@")[0],
            "display_name": user["Name"],
            "email": user["Email"],
            "email_verified": True,
            "first_name": first_name,
            "last_name": last_name,
            "timezone": "GMT",
            "photos": {},
            **dict.fromkeys(("addr_street", "addr_city", "addr_state", "addr_country", "addr_zip"), None),
            "mobile_phone": None,
            "mobile_phone_verified": False,
            "is_lightning_login_user": False,
            "status": {"created_date": None, "body": None},
            "urls": _urls(call.base_url),
            "active": bool(user["IsActive"]),
            "user_type": "STANDARD",
            "language": language,
            "locale": locale,
            "utcOffset": 0,
            "last_modified_date": "2026-01-01T00:00:00Z",
            "is_app_installed": True,
        }
    )


def _refused(call: Call) -> Reply | None:
    _, _, token = call.headers.get("authorization", "").partition(" ")
    if not token.strip():
        return Reply(status=403, body="Missing_OAuth_Token")
    if call.emulator.tokens.expiry(token.strip(), call.emulator.settings) is None:
        return Reply(status=403, body="Bad_OAuth_Token")
    if to_18(call.params["org"]) != ORG_ID:
        return Reply(status=403, body="Wrong_Org")
    return None if to_18(call.params["user"]) == RUN_AS_USER_ID else Reply(status=404, body="Bad_Id")


def _urls(base: str) -> dict[str, Any]:
    rest = f"{base}/services/data/v{{version}}/"
    return {
        **{name: f"{base}/services/Soap/{kind}/{{version}}/{ORG_ID[:15]}" for name, kind in _SOAP.items()},
        **{name: rest + path for name, path in _REST.items()},
        "profile": f"{base}/{RUN_AS_USER_ID}",
        "custom_domain": base,
    }
