"""What the command and :func:`~airflow_provider_sfleads.check.check_contract` have in common."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from airflow_provider_sfleads.check.contract import Contract, carry_out
from airflow_provider_sfleads.check.findings import State
from airflow_provider_sfleads.check.org import Org, Wanted
from airflow_provider_sfleads.check.recording import recording_of, write_private
from airflow_provider_sfleads.check.table import as_text
from airflow_provider_sfleads.exceptions import ContractBrokenError, ParameterError
from airflow_provider_sfleads.hooks.failing import no_retry_for_permanent
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook

log = logging.getLogger(__name__)


def checked_path(json_path: str | None) -> Path | None:
    """Return where the answers go, before anything is asked.

    :raises ParameterError: where nothing can be written there.
    """
    if json_path is None:
        return None
    path = Path(json_path)
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ParameterError(
            f"The answers cannot be written to {json_path}: it has to be a file in a folder that is "
            "there and can be written to."
        )
    return path


def run(conn_id: str, wanted: Wanted, *, write: bool = False, json_path: Path | None = None) -> Contract:
    """Check an org, and write down its answers.

    :raises ConnectionFieldError: where the connection cannot be used.
    :raises OSError: where the answers cannot be written.
    """
    client = SalesforceLeadsHook(conn_id).client
    try:
        contract = carry_out(Org(client, wanted), write=write)
        if json_path is not None:
            write_private(json_path, recording_of(contract))
    finally:
        client.close()
    return contract


@no_retry_for_permanent()
def run_logged(conn_id: str, wanted: Wanted, *, write: bool, json_path: str | None) -> dict[str, Any]:
    """Check an org in a task.

    :raises ContractBrokenError: where an assumption does not hold.
    """
    contract = run(conn_id, wanted, write=write, json_path=checked_path(json_path))
    log.info("%s", as_text(contract))
    broken = contract.named(State.BROKEN)
    if broken:
        raise ContractBrokenError(
            f"The org of connection {conn_id!r} is not as this provider assumes: {', '.join(broken)}. The table in the "
            "log says what was seen and what to do."
        )
    return contract.as_json()
