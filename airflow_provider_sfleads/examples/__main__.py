"""Lists the example Dags, or copies them: ``python -m airflow_provider_sfleads.examples [FOLDER]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_sfleads.examples.copying import copy, examples
from airflow_provider_sfleads.exceptions import ParameterError

_TO_SET = """\
What they need:
  connection salesforce_leads_default   to the org, of the type Salesforce Leads
  connection warehouse                  to the database with the tables signups and lead_scores: change the SQL in the
                                        files to what yours is called; a table salesforce_leads is made there
  Variable salesforce_results           folder or URL for what became of each row, such as s3://lake/salesforce-results;
                                        without it, a temporary folder of the worker, good for a first try only
  in Salesforce, on Lead                the fields External_Id__c (unique external ID), Lead_Stage__c and Lead_Score__c,
                                        or the names of yours in the files
New Dags are paused, unless Airflow is set up otherwise. Begin with one whose name ends in _dry_run: it changes nothing
in Salesforce."""


def main(arguments: Sequence[str] | None = None) -> int:
    """List, print or copy.

    :return: 0; 2 where nothing was done, since a name or the folder is wrong or files would be overwritten.
    """
    asked = _parser().parse_args(arguments)
    try:
        wanted = examples(asked.dag)
        if asked.print:
            print("\n\n".join(example.source.rstrip("\n") for example in wanted))  # noqa: T201 - talks to a terminal
        elif asked.folder is None:
            _tell([f"{example.name}\n    {example.about}" for example in wanted])
            _tell(["", "To copy them: python -m airflow_provider_sfleads.examples FOLDER", "", _TO_SET])
        else:
            done = copy(wanted, asked.folder, overwrite=asked.overwrite)
            _tell([f"written        {path}" for path in done["written"]])
            _tell([f"there already  {path}" for path in done["there"]])
            _tell(["", _TO_SET])
    except (ParameterError, OSError) as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_sfleads.examples",
        description="The example Dags of this package: without a folder, a list of them and what they need.",
        epilog="`airflow config get-value core dags_folder` prints the folder that Airflow reads. It ends with 2 where "
        "nothing was done.",
    )
    parser.add_argument("folder", nargs="?", type=Path, help="where to copy them to; made if it is missing")
    parser.add_argument(
        "--dag", action="append", default=[], metavar="NAME", help="only this one, as the list names it; repeatable"
    )
    parser.add_argument("--print", action="store_true", help="print the source instead of copying it")
    parser.add_argument("--overwrite", action="store_true", help="replace files of the same name that differ")
    return parser


def _tell(lines: Sequence[str]) -> None:
    for line in lines:
        print(line)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
