"""Carry out the whole check: all questions in their order, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_sfleads.check import access, bulk_reads, lead_describe, lookups
from airflow_provider_sfleads.check.cleanup import DELETED
from airflow_provider_sfleads.check.probe import Assumption, Finding, Org, Probe, State, findings_of
from airflow_provider_sfleads.check.trial import Timeouts
from airflow_provider_sfleads.check.writing import write_probes
from airflow_provider_sfleads.exceptions import LeadsLeftError, SalesforceLeadsError

WRITE = Assumption(
    "write",
    "Trial leads may be made here",
    "a sandbox or a Developer Edition, with Create and Delete on Lead",
    "Give --write where trial leads do no harm, together with --external-id.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a check came to.

    :param org: the org, with all its answers.
    :param findings: one for each assumption, in the order of the questions.
    """

    org: Org
    findings: tuple[Finding, ...]

    def named(self, state: State) -> list[str]:
        """Names of the findings in a state."""
        return [finding.name for finding in self.findings if finding.state is state]

    @property
    def heading(self) -> str:
        """Say which org was asked, as whom, and where."""
        client, settings = self.org.client, self.org.client.settings
        if client.token_requests == 0 or access.TOKEN.name in self.named(State.BROKEN):
            return f"Connection {settings.conn_id}: {settings.host.url}, API version {settings.api_version}"
        edition = f" ({self.org.edition})" if self.org.edition else ""
        return (
            f"Org {client.org_id}{edition}, Run-As user {client.user_id}, {client.base_url}, "
            f"API version {settings.api_version}, connection {settings.conn_id}"
        )

    @property
    def cost(self) -> str:
        """Say what the check cost the org."""
        calls, tokens = self.org.client.api_calls, self.org.client.token_requests
        return f"It cost {calls} of the org's API calls and {tokens} token request{'' if tokens == 1 else 's'}."

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        client, named = self.org.client, access.TOKEN.name not in self.named(State.BROKEN)
        return {
            "conn_id": self.org.conn_id,
            "host": client.base_url,
            "org_id": client.org_id if named else None,
            "user_id": client.user_id if named else None,
            "edition": self.org.edition or None,
            "api_version": client.settings.api_version,
            "holds": not self.named(State.BROKEN),
            "findings": [asdict(finding) | {"state": finding.state.value} for finding in self.findings],
            "api_calls": client.api_calls,
            "token_requests": client.token_requests,
        }


def carry_out(org: Org, *, write: bool = False, timeouts: Timeouts | None = None) -> Contract:
    """Ask everything.

    :param write: whether to try also what only a write shows; where the org is no sandbox, that is refused.
    :param timeouts: how long the writing waits; ``None`` leaves it to that.
    """
    findings = list(findings_of(_reading(org), org))
    if write:
        findings += _written(org, findings, timeouts)
    findings += findings_of([Probe(access.TOKEN_REUSED, access.token_reused, needs=(access.TOKEN,))], org, findings)
    return Contract(org=org, findings=tuple(findings))


def _reading(org: Org) -> Sequence[Probe]:
    needs = (lead_describe.READ, lookups.CONTACT) if org.options.match_email else (lead_describe.READ,)
    converted = Probe(lead_describe.CONVERTED, lead_describe.converted_contact, needs=needs)
    return (*access.probes(), *lead_describe.probes(), *lookups.probes(), converted, *bulk_reads.probes())


def _written(org: Org, known: Sequence[Finding], timeouts: Timeouts | None) -> list[Finding]:
    if access.API.name not in {each.name for each in known if each.state is State.HOLDS}:
        return [WRITE.not_tried(f"{access.API.name} does not hold", f"See {access.API.name}.")]
    findings: list[Finding] = []
    try:
        with write_probes(org, timeouts) as probes:
            findings.append(WRITE.judged("a sandbox, or a Developer Edition", holds=True))
            findings += findings_of(probes, org, known)
    except LeadsLeftError as error:
        findings.append(DELETED.judged(str(error), holds=False))
    except SalesforceLeadsError as error:
        findings.append(WRITE.judged(str(error), holds=False))
    return findings
