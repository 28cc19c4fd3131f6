from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import airflow
import jsonschema  # type: ignore[import-untyped]  # comes with Airflow, which brings no stubs
import pytest
from airflow.sdk import BaseNotifier

from airflow_provider_sfleads.get_provider_info import get_provider_info
from airflow_provider_sfleads.hooks.connection_fields import read_settings
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.operators.base import LeadSyncOperator
from airflow_provider_sfleads.sensors.bulk import SalesforceBulkJobSensor

pytestmark = pytest.mark.whole_way

INFO = get_provider_info()
TYPE = INFO["connection-types"][0]


def schema(name: str) -> dict[str, Any]:
    """One of Airflow's own schemas."""
    found: dict[str, Any] = json.loads((Path(airflow.__file__).parent / name).read_text())
    return found


def test_airflow_takes_the_metadata() -> None:
    """The whole is valid by the schema that Airflow checks at run time."""
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


@pytest.mark.parametrize(
    "part",
    ["connection-types", "hooks", "operators", "sensors", "triggers", "extra-links", "notifications", "integrations"],
)
def test_each_part_is_valid_by_the_stricter_schema(part: str) -> None:
    """The schema of provider.yaml also knows the fields of the connection form."""
    jsonschema.validate(INFO[part], schema("provider.yaml.schema.json")["properties"][part])


def test_the_metadata_name_the_hook_as_it_names_itself() -> None:
    """Class, type and title are one."""
    module, _, name = TYPE["hook-class-name"].rpartition(".")
    assert getattr(importlib.import_module(module), name) is SalesforceLeadsHook
    assert TYPE["connection-type"] == SalesforceLeadsHook.conn_type
    assert TYPE["hook-name"] == SalesforceLeadsHook.hook_name


def test_the_notifier_is_named_as_it_is() -> None:
    """Airflow lists a class that is there."""
    (path,) = INFO["notifications"]
    module, _, name = path.rpartition(".")
    assert issubclass(getattr(importlib.import_module(module), name), BaseNotifier)


def test_the_links_are_those_of_the_operators() -> None:
    """Airflow lists the classes that the operators show, no more and no less."""
    classes = (*LeadSyncOperator.operator_extra_links, *SalesforceBulkJobSensor.operator_extra_links)
    assert set(INFO["extra-links"]) == {f"{type(link).__module__}.{type(link).__name__}" for link in classes}


def test_port_is_shown() -> None:
    """Airflow 3.3.2 refuses to test a connection that was saved without a port."""
    assert "port" not in TYPE["ui-field-behaviour"]["hidden-fields"]
    assert "Test" in TYPE["ui-field-behaviour"]["relabeling"]["port"]


def test_the_form_as_airflow_saves_it_is_a_valid_connection() -> None:
    """The defaults of all fields, as the form stores them, are accepted by the hook."""
    from airflow.sdk import Connection

    extra = {name: field["schema"].get("default") for name, field in TYPE["conn-fields"].items()}
    for name, field in TYPE["conn-fields"].items():
        jsonschema.validate(extra[name], field["schema"])
    settings = read_settings(
        Connection(
            conn_id="sf",
            conn_type=TYPE["connection-type"],
            host="acme.my.salesforce.com",
            login="k",
            password="s",
            port=443,
            schema="",
            extra=json.dumps(extra),
        )
    )
    assert (settings.host.url, settings.timeout, settings.max_api_usage) == ("https://acme.my.salesforce.com", 60, 0.9)


def test_no_field_of_the_form_changes_what_is_entered() -> None:
    """Airflow's number fields make the largest number allowed of one above it, and nothing of a text, in silence."""
    for name, field in TYPE["conn-fields"].items():
        assert {"number", "integer"}.isdisjoint(field["schema"]["type"]), name


def test_airflow_finds_the_hook_by_the_entry_point(tmp_path: Path) -> None:
    """Once the package is installed, Airflow lists the provider, its hook and its form, with a Test button."""
    metadata = tmp_path / "airflow_provider_sfleads-9.9.9.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: airflow-provider-sfleads\nVersion: 9.9.9\n")
    entry = "provider_info = airflow_provider_sfleads.get_provider_info:get_provider_info"
    (metadata / "entry_points.txt").write_text(f"[apache_airflow_provider]\n{entry}\n")
    code = """
import json
from airflow.providers_manager import ProvidersManager
manager = ProvidersManager()
hook = manager.hooks["salesforce_leads"]
fields = [name for name in manager.connection_form_widgets if "salesforce_leads" in name]
print(json.dumps([manager.providers["airflow-provider-sfleads"].version, hook.hook_name, hook.connection_testable,
                  hook.connection_id_attribute_name, len(fields)]))
"""
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    run = subprocess.run(
        [sys.executable, "-c", code],
        # Not the checkout, where a build leaves metadata of its own.
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(run.stdout.splitlines()[-1]) == ["9.9.9", "Salesforce Leads", True, "salesforce_conn_id", 10]
