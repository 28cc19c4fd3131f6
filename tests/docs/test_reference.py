"""The reference has every public name, and says what each parameter means."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from sphinx.util.inventory import InventoryFile

import airflow_provider_sfleads.exceptions as errors
from airflow_provider_sfleads.core.outcome import Outcome, Reason
from airflow_provider_sfleads.core.report import SyncReport
from airflow_provider_sfleads.get_provider_info import get_provider_info
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.operators.base import LeadSyncOperator
from airflow_provider_sfleads.results.columns import COLUMNS
from airflow_provider_sfleads.results.lead_states import SHARED, Own
from airflow_provider_sfleads.salesforce.error_codes import BEARER_TABLE, TABLE, TOKEN_TABLE, UNKNOWN, look_up
from tests.docs.pages import DOCS, ROOT

PACKAGE = "airflow_provider_sfleads"
# Modules whose `__all__` is what people import from them.
_PACKAGES = ("check", "emulator", "exports", "reports")
_FURTHER = (f"{PACKAGE}.intervals.INTERVAL_MACROS", f"{PACKAGE}.core.report.SyncReport")


def _classes(module: str) -> Iterator[str]:
    for name, value in vars(import_module(module)).items():
        if inspect.isclass(value) and value.__module__ == module and name.startswith("Salesforce"):
            yield f"{module}.{name}"


def public_names() -> list[str]:
    """What Airflow is told of, what packages offer, and every error."""
    info = get_provider_info()
    kinds = ("hooks", "operators", "sensors", "triggers")
    modules = [module for kind in kinds for each in info[kind] for module in each["python-modules"]]
    names = [name for module in modules for name in _classes(module)]
    names += [*info["extra-links"], *info["notifications"]]
    for package in _PACKAGES:
        names += [f"{PACKAGE}.{package}.{name}" for name in import_module(f"{PACKAGE}.{package}").__all__]
    names += [f"{errors.__name__}.{name}" for name, value in vars(errors).items() if inspect.isclass(value)]
    return [*dict.fromkeys(names), *_FURTHER]


def _object(name: str) -> Any:  # noqa: ANN401 - of whatever type the name is
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


@pytest.fixture(scope="session")
def known(site: Path) -> set[str]:
    """Every Python name that the site explains."""
    data = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    return {name for domain, entries in data.items() if domain.startswith("py:") for name in entries}


@pytest.mark.parametrize("name", public_names())
def test_each_public_name_is_in_the_reference(known: set[str], name: str) -> None:
    """By the name that people import it by."""
    assert name in known


def _documented(value: Any) -> set[str]:  # noqa: ANN401
    text = "\n".join(inspect.getdoc(each) or "" for each in getattr(value, "__mro__", [value]))
    # The emulator's switches are told in prose.
    prose = re.findall(r"`(\w+)`", text) if f"{PACKAGE}.emulator" in value.__module__ else []
    return {*re.findall(r"^\s*:param (\w+):", text, re.MULTILINE), *prose}


def _parameters(value: Any) -> set[str]:  # noqa: ANN401
    kinds = (inspect.Parameter.VAR_KEYWORD,)
    names = {p.name for p in inspect.signature(value).parameters.values() if p.kind not in kinds}
    return names - {"self", "context"}


def with_parameters() -> list[str]:
    """The public names that are called with parameters."""
    names = [name for name in public_names() if callable(_object(name)) and not name.endswith("Link")]
    return [name for name in names if not name.startswith(errors.__name__)]


@pytest.mark.parametrize("name", with_parameters())
def test_each_parameter_is_explained(name: str) -> None:
    """In a docstring of the class, or of the one that it is made from."""
    value = _object(name)
    assert not _parameters(value) - _documented(value)


def test_each_parameter_of_the_hook_is_explained() -> None:
    """Also those of its methods."""
    methods = {name: value for name, value in vars(SalesforceLeadsHook).items() if inspect.isfunction(value)}
    public = {name: value for name, value in methods.items() if not name.startswith("_")}
    lacking = {name: _parameters(value) - _documented(value) for name, value in public.items()}
    assert len(public) > 10
    assert not {name: left for name, left in lacking.items() if left}


def test_the_common_parameters_are_those_of_both_operators() -> None:
    """What the reference shows once is what each operator takes; the mapping is each one's own."""
    common = _parameters(LeadSyncOperator) - {"fields", "constants"}
    assert {"export", "key", "results_path", "write_back"} <= common <= _documented(LeadSyncOperator)


def test_each_column_of_results_and_report_is_explained() -> None:
    """A line for each, in the order in which they are written."""
    explained = re.findall(r":param (\w+):", inspect.getdoc(Outcome) or "")
    assert tuple(explained) == COLUMNS
    assert _documented(SyncReport) == _parameters(SyncReport)


def test_each_reason_and_each_column_of_the_table_is_explained() -> None:
    """Each where the guides tell of it."""
    states = (DOCS / "concepts" / "a-run.md").read_text(encoding="utf-8")
    assert not [reason for reason in Reason if f"`{reason}`" not in states]
    table = (DOCS / "how-to" / "write-back.md").read_text(encoding="utf-8")
    assert not [column for column in (*SHARED, *Own.ALL) if f"`{column}`" not in table]


def test_each_error_is_explained() -> None:
    """On the page of errors, by its name, if a task can end with it."""
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    bases = {"SalesforceLeadsError", "ConfigurationError", "SyncError"}
    of_the_check = {"ContractBrokenError", "LeadsLeftError", "TrialRefusedError"}
    names = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert bases | of_the_check <= names
    assert not [name for name in sorted(names - bases - of_the_check) if f"`{name}`" not in page]


def test_each_error_code_is_in_the_reference(site: Path) -> None:
    """As the package's own table has it; and the page of errors names no row's code that the table does not know."""
    page = html.unescape((site / "reference" / "error-codes.html").read_text(encoding="utf-8"))
    entries = (*TABLE, *TOKEN_TABLE, *BEARER_TABLE)
    assert not [entry.code for entry in entries if f">{entry.code}<" not in page]
    assert page.count("<dt>") == len(entries)
    _, _, told = (DOCS / "errors.md").read_text(encoding="utf-8").partition("## Codes of rejected rows")
    codes = re.findall(r"^\| `(\w+)`", told, re.MULTILINE)
    assert len(codes) > 10
    assert not [code for code in codes if look_up(code) is UNKNOWN]


def test_each_command_is_in_the_reference(site: Path) -> None:
    """By the help that it prints itself."""
    page = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    commands = [path.parent.name for path in (ROOT / PACKAGE).glob("*/__main__.py")]
    assert len(commands) >= 3
    assert not [name for name in commands if f"usage: python -m {PACKAGE}.{name} " not in page]
