"""Check the contract: whether an org and its Run-As user are as this provider assumes."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["check_contract"]

log = logging.getLogger(__name__)


def check_contract(  # noqa: PLR0913 - each is what a Dag may use of the org
    conn_id: str = "salesforce_leads_default",
    *,
    external_id_field: str | None = None,
    stage_field: str | None = None,
    match_email: bool = False,
    fields: tuple[str, ...] | list[str] = (),
    write: bool = False,
    json_path: str | None = None,
) -> dict[str, Any]:
    """Check whether an org and its Run-As user are as this provider assumes, and return the findings as plain JSON.

    The table goes to the log first. Nothing is written to the org unless ``write`` says so.

    :param conn_id: Airflow connection of type ``salesforce_leads``.
    :param external_id_field: Lead's external ID that the Dags use.
    :param stage_field: Lead's field that holds the stage.
    :param match_email: whether Dags look people up by e-mail.
    :param fields: further Lead fields that Dags write.
    :param write: try also what only a write shows, with up to 20 leads that are deleted at the end; in a sandbox or a
        Developer Edition only.
    :param json_path: local file that all answers are written to, redacted.
    :raises ContractBrokenError: where an assumption does not hold; no retry.
    :raises ConnectionFieldError: where the connection cannot be used.
    """
    from airflow_provider_sfleads.check.command import as_text, run
    from airflow_provider_sfleads.check.probe import CheckOptions, State
    from airflow_provider_sfleads.exceptions import ContractBrokenError
    from airflow_provider_sfleads.hooks.permanent_errors import no_retry_for_permanent

    options = CheckOptions(
        external_id_field=external_id_field, stage_field=stage_field, match_email=match_email, fields=tuple(fields)
    )
    with no_retry_for_permanent():
        contract = run(conn_id, options, lambda found: log.info("%s", as_text(found)), write=write, json_path=json_path)
        broken = contract.named(State.BROKEN)
        if broken:
            raise ContractBrokenError(
                f"The org of connection {conn_id!r} is not as this provider assumes: {', '.join(broken)}. The table in "
                "the log says what was seen and what to do."
            )
    return contract.as_json()
