"""What Airflow is told of this provider; its entry point is in ``pyproject.toml``."""

from __future__ import annotations

from typing import Any

_DISTRIBUTION = "airflow-provider-sfleads"
_NAME = "Salesforce Leads"
_CONN_TYPE = "salesforce_leads"
# Where the documentation is. Airflow itself takes that from the project's URLs in pyproject.toml, and sets what is here
# under `documentation-url` aside.
_DOCUMENTATION = "https://airflow-provider-sfleads.readthedocs.io/en/stable/"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, as ``provider_info.schema.json`` of Airflow has it."""
    return {
        "package-name": _DISTRIBUTION,
        "name": _NAME,
        "description": "Keeps Salesforce leads in step with a data warehouse.",
        "integrations": [
            {
                "integration-name": _NAME,
                "external-doc-url": "https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/",
                "logo": f"{_DOCUMENTATION}_static/logo.svg",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": _NAME, "python-modules": ["airflow_provider_sfleads.hooks.salesforce"]}],
        "operators": [{"integration-name": _NAME, "python-modules": ["airflow_provider_sfleads.operators.leads"]}],
        "sensors": [{"integration-name": _NAME, "python-modules": ["airflow_provider_sfleads.sensors.bulk"]}],
        "triggers": [{"integration-name": _NAME, "python-modules": ["airflow_provider_sfleads.triggers.bulk"]}],
        "extra-links": [
            f"airflow_provider_sfleads.operators.links.{name}Link" for name in ("LeadSyncResults", "BulkJob", "Leads")
        ],
        "notifications": ["airflow_provider_sfleads.notifications.report.SyncReportNotifier"],
        "asset-uris": [
            {
                "schemes": ["salesforce"],
                "handler": None,
                "to_openlineage_converter": "airflow_provider_sfleads.operators.lineage.dataset_of",
            }
        ],
        "connection-types": [connection_type()],
    }


def connection_type() -> dict[str, Any]:
    """Return the connection form; Port stays visible, for Airflow 3.3.2 cannot test a connection saved without one."""
    return {
        "connection-type": _CONN_TYPE,
        "hook-class-name": "airflow_provider_sfleads.hooks.salesforce.SalesforceLeadsHook",
        "hook-name": _NAME,
        "ui-field-behaviour": {
            "hidden-fields": ["schema"],
            "relabeling": {
                "host": "My Domain host",
                "login": "Consumer key",
                "password": "Consumer secret",
                "port": "Port, for the Test button",
            },
            "placeholders": {
                "host": "acme.my.salesforce.com",
                "port": "443",
                "login": "of the External Client App",
                "password": "of the External Client App; none with jwt_bearer",
            },
        },
        "conn-fields": _extras(),
    }


def _bearer() -> dict[str, Any]:
    """Return the fields of the two flows.

    Airflow hides what is saved by the name of a field, and what is entered by its format, which is then one line.
    """
    hidden = {"type": ["string", "null"], "format": "password"}
    return {
        "auth": {
            "label": "Authentication",
            "description": "client_credentials takes the consumer secret, jwt_bearer a private key and a username.",
            "schema": {
                "type": ["string", "null"],
                "enum": ["client_credentials", "jwt_bearer"],
                "default": "client_credentials",
            },
        },
        "username": {
            "label": "Username",
            "description": "For jwt_bearer: of the Run-As user, who is pre-authorised for the app.",
            "schema": {"type": ["string", "null"]},
        },
        "private_key": {
            "label": "Private key",
            "description": "For jwt_bearer: the text of the PEM file, whose certificate the app has; RSA, from 2,048 "
            "bits. That its line breaks are lost here does no harm.",
            "schema": hidden,
        },
        "private_key_password": {
            "label": "Private key password",
            "description": "For jwt_bearer, where the private key is encrypted.",
            "schema": hidden,
        },
        "audience": {
            "label": "Audience",
            "description": "For jwt_bearer: https://login.salesforce.com, https://test.salesforce.com (sandboxes, "
            "scratch orgs) or the My Domain URL; what fits the host if empty.",
            "schema": {"type": ["string", "null"]},
        },
    }


def _extras() -> dict[str, Any]:
    """Return the extra fields; a number is text there, which the hook reads.

    What Airflow 3.3.2's number fields do not take they change without a word: 90 to the largest number allowed, a text
    to nothing, and any of them when the wheel is turned over the field.
    """
    return {
        **_bearer(),
        "api_version": {
            "label": "API version",
            "description": "Salesforce REST API version, such as 60.0 or v60.0.",
            "schema": {"type": ["string", "null"], "default": "60.0", "pattern": r"^[vV]?\d{2,3}(\.0)?$"},
        },
        "timeout": {
            "label": "Timeout (seconds)",
            "description": "To connect, and to wait for each part of an answer; up to 600, and 60 if empty.",
            "schema": {"type": ["string", "null"], "default": "60"},
        },
        "max_api_usage": {
            "label": "API usage ceiling",
            "description": "Part of the org's daily API requests from which on nothing more is written: a percentage "
            "such as 90%, or a share such as 0.9.",
            "schema": {"type": ["string", "null"], "default": "0.9"},
        },
        "proxies": {
            "label": "Proxies",
            "description": 'URL by scheme, such as {"https": "http://proxy:3128"}; from the environment if empty.',
            "schema": {"type": ["object", "null"]},
        },
        "verify": {
            "label": "Verify TLS certificate",
            "description": "Leave on. For a CA of your own, put the path of its file into Extra Fields JSON.",
            "schema": {"type": ["boolean", "null"], "default": True},
        },
    }
