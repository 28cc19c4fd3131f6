"""What the command and :func:`~airflow_provider_sfleads.check.check_contract` have in common."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_sfleads.check.contract import Contract, carry_out
from airflow_provider_sfleads.check.findings import State
from airflow_provider_sfleads.check.org import Org, Wanted
from airflow_provider_sfleads.check.recording import recording_of, write_private
from airflow_provider_sfleads.check.table import as_text
from airflow_provider_sfleads.exceptions import ContractBrokenError, ParameterError
from airflow_provider_sfleads.hooks.permanent_errors import no_retry_for_permanent
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook

log = logging.getLogger(__name__)


def _checked(json_path: str | None) -> Path | None:
    if json_path is None:
        return None
    path = Path(json_path)
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ParameterError(
            f"The answers cannot be written to {json_path}: it has to be a file in a folder that is "
            "there and can be written to."
        )
    return path


def run(
    conn_id: str, wanted: Wanted, show: Callable[[Contract], object], *, write: bool = False, json_path: str | None
) -> Contract:
    """Check an org, show what was found, and only then write down its answers, which may fail.

    :raises ConnectionFieldError: where the connection cannot be used.
    :raises OSError: where the answers cannot be written.
    :raises ParameterError: likewise, before anything is asked.
    """
    path = _checked(json_path)
    client = SalesforceLeadsHook(conn_id).client
    try:
        contract = carry_out(Org(client, wanted), write=write)
        show(contract)
        if path is not None:
            write_private(path, recording_of(contract))
    finally:
        client.close()
    return contract


@no_retry_for_permanent()
def run_logged(conn_id: str, wanted: Wanted, *, write: bool, json_path: str | None) -> dict[str, Any]:
    """Check an org in a task.

    :raises ContractBrokenError: where an assumption does not hold.
    """

    def tell(contract: Contract) -> None:
        log.info("%s", as_text(contract))

    contract = run(conn_id, wanted, tell, write=write, json_path=json_path)
    broken = contract.named(State.BROKEN)
    if broken:
        raise ContractBrokenError(
            f"The org of connection {conn_id!r} is not as this provider assumes: {', '.join(broken)}. The table in the "
            "log says what was seen and what to do."
        )
    return contract.as_json()
