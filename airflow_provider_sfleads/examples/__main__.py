"""Lists the example Dags, or copies them: ``python -m airflow_provider_sfleads.examples [FOLDER]``."""

from __future__ import annotations

import argparse
import ast
import os
import secrets
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_sfleads.exceptions import ParameterError

_FOLDER = Path(__file__).parent / "dags"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A file with example Dags.

    :param name: of the file, without its ending; its first Dag has the same.
    :param about: what its Dags do, in one sentence.
    :param source: its text.
    """

    name: str
    about: str
    source: str


def examples(names: Iterable[str] = ()) -> list[Example]:
    """Return the example Dags by name.

    :param names: only these, in this order; all if empty.
    :raises ParameterError: where there is none of that name.
    """
    files = sorted(path for path in _FOLDER.iterdir() if path.suffix == ".py")
    sources = {path.stem: path.read_text(encoding="utf-8") for path in files}
    wanted = [name.removesuffix(".py") for name in names] or list(sources)
    unknown = [name for name in wanted if name not in sources]
    if unknown:
        raise ParameterError(f"There is no example Dag {', '.join(unknown)}, but {', '.join(sources)}.")
    about = {name: " ".join((ast.get_docstring(ast.parse(sources[name])) or "").split()) for name in wanted}
    return [Example(name=name, about=text, source=sources[name]) for name, text in about.items()]


def copy(wanted: Iterable[Example], folder: Path, *, overwrite: bool) -> dict[str, list[Path]]:
    """Write examples to a folder, which is made if only it is missing; all of them or none.

    :param overwrite: whether files of the same name that differ are replaced.
    :return: the files by what happened to them: ``written``, or ``there`` where they were the same already.
    :raises ParameterError: where the folder cannot be one, or files would be overwritten.
    """
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder} is a file; name a folder, such as Airflow's dags folder.")
    if not folder.resolve().parent.is_dir():
        raise ParameterError(f"{folder} cannot be made: there is no folder {folder.resolve().parent}.")
    files = {folder / f"{example.name}.py": example.source.encode() for example in wanted}
    there = [path for path, source in files.items() if path.is_file() and path.read_bytes() == source]
    differ = [path for path in files if path not in there and os.path.lexists(path)]
    if differ and not overwrite:
        raise ParameterError(
            f"Nothing is written: {', '.join(map(str, differ))} would be overwritten. Take another folder, "
            "name the Dags to copy with --dag, or add --overwrite."
        )
    folder.mkdir(exist_ok=True)
    written = [path for path in files if path not in there]
    for path in written:
        _write(path, files[path])
    return {"written": written, "there": there}


def _write(path: Path, source: bytes) -> None:
    # Airflow may look at the folder at any moment: it is to see no half of a Dag. The draft is no Python file to it.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(source)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
