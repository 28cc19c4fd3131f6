"""Checks of the emulator that write."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.check.probe import CheckOptions, Finding, Org, State, Timeouts, findings_of
from airflow_provider_sfleads.check.writing import write_probes
from tests.check.conftest import client_of

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

BY_KEY = CheckOptions(external_id_field="External_Id__c")
#: What the emulator as shipped gives no occasion for.
UNTRIED = {"converted.update", "duplicates.allow_save"}
SHORT = Timeouts(jobs=60.0, late=5.0, poll=lambda _elapsed: 0.02)


def written(emulator: EmulatorServer, options: CheckOptions = BY_KEY, timeouts: Timeouts = SHORT) -> list[Finding]:
    """Try all that writes, and leave."""
    with closing(client_of(emulator.url)) as client:
        org = Org(client, options, timeouts)
        with write_probes(org) as probes:
            return list(findings_of(probes, org))


def named(findings: list[Finding], state: State) -> set[str]:
    """The names of the findings in a state."""
    return {finding.name for finding in findings if finding.state is state}


def seen(findings: list[Finding], name: str) -> str:
    """What was seen of an assumption."""
    (finding,) = (finding for finding in findings if finding.name == name)
    return finding.seen


def made(emulator: EmulatorServer) -> list[dict[str, Any]]:
    """All leads that were ever made."""
    return emulator.leads(include_deleted=True)
