"""Checks an org: ``python -m airflow_provider_sfleads.check CONN_ID``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what was asked for.

    :return: 0 where all assumptions hold; 1 where one does not; 2 where the connection or an option is wrong.
    """
    asked = _parser().parse_args(arguments)
    from rich.console import Console

    from airflow_provider_sfleads.check.command import run, show
    from airflow_provider_sfleads.check.probe import CheckOptions, State
    from airflow_provider_sfleads.exceptions import ConfigurationError
    from airflow_provider_sfleads.reports.table import in_one_line

    options = CheckOptions(
        external_id_field=asked.external_id,
        stage_field=asked.stage_field,
        match_email=asked.match_email,
        fields=tuple(asked.field),
    )
    console = Console(highlight=False)
    try:
        contract = run(
            asked.conn_id, options, lambda found: show(found, console), write=asked.write, json_path=asked.json
        )
    except (ConfigurationError, OSError) as problem:
        for line in str(problem).splitlines():
            print(in_one_line(line), file=sys.stderr)  # noqa: T201 - talks to a terminal
        return 2
    return 1 if contract.named(State.BROKEN) else 0


def _command() -> int:
    """Check what was asked for, with a log of its own, which whoever calls :func:`main` has already."""
    try:
        # Airflow takes two seconds to import, in which somebody may press Ctrl-C, and sets up a log as it likes.
        import airflow_provider_sfleads.check.command  # noqa: F401

        _log_to_stderr()
        return main()
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)  # noqa: T201
        return _INTERRUPTED


def _log_to_stderr() -> None:
    """Leave what the table says anyway out of the log; what of the leads that were made is left is not in there."""
    logging.getLogger("airflow_provider_sfleads").setLevel(logging.ERROR)
    ours = logging.getLogger("airflow_provider_sfleads.check")
    ours.setLevel(logging.INFO)
    ours.propagate = False
    ours.handlers = [logging.StreamHandler()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_sfleads.check",
        description="Says for an org and its Run-As user whether what this provider assumes of them holds: a line for "
        "each assumption, with what to do where it does not. It only reads, unless --write is given.",
        epilog="It ends with 0 where everything holds, with 1 where something does not, and with 2 where the "
        "connection or an option is wrong.",
    )
    add = parser.add_argument
    add("conn_id", help="Airflow connection of type salesforce_leads")
    add("--external-id", metavar="FIELD", help="Lead's external ID that your Dags use, such as External_Id__c")
    add("--stage-field", metavar="FIELD", help="Lead's field that holds the stage, such as Lead_Stage__c")
    add("--field", metavar="FIELD", action="append", default=[], help="a further Lead field that your Dags write")
    add("--match-email", action="store_true", help="your Dags use match_email=True: look people up by e-mail, too")
    add(
        "--write",
        action="store_true",
        help="in a sandbox or a Developer Edition: also try what only a write shows, with up to 20 leads that are "
        "deleted at the end",
    )
    add("--json", metavar="FILE", help="write all answers there, without anything that is secret or personal")
    return parser


if __name__ == "__main__":
    sys.exit(_command())
