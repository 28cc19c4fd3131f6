"""`python -m airflow_provider_sfleads.emulator`: run the emulator until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow_provider_sfleads.emulator.settings import EmulatorSettings, default_of

_ABOUT = """\
A local stand-in for the part of Salesforce that lead syncs talk to: token endpoint, versions, limits,
describe, rows, sObject Collections, SOQL and Bulk API 2.0 jobs on Lead, with Salesforce's own error bodies.

Point an Airflow connection of type salesforce_leads at the printed URL, with the key and the secret below.
The same URL in a browser shows the leads, the history of each, and the bulk jobs. Whoever reaches the
port can read and change everything: keep it on loopback."""

_MORE = """\
control API (JSON, below /_emulator/): reset, settings, stats, requests, leads, history, contacts, faults,
tokens/expire, usage, jobs, jobs/finish, jobs/{id}/fail. For example, to close the connection after the
second create was committed:
  curl -X POST URL/_emulator/faults -d '{"effect": "drop_after", "path": "/composite/sobjects", "nth": 2}'"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_sfleads.emulator",
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8990, help="port to listen on, 0 for a free one (default: %(default)s)")
    add("--db", metavar="FILE", help="SQLite file that keeps the leads (default: in memory)")
    add("--client-id", help=f"consumer key (default: {default_of('client_id')})")
    add("--client-secret", help=f"consumer secret (default: {default_of('client_secret')})")
    add("--certificate", metavar="FILE", action="append", help="PEM certificate of the app, for the JWT bearer flow")
    add("--token-lifetime", type=float, metavar="SECONDS", help="of an unused token (default: 7200)")
    add("--api-limit", type=int, metavar="CALLS", help="daily API requests of the org (default: 115000)")
    add("--latency-ms", type=float, metavar="MS", help="from a request's arrival to its answer (default: 0)")
    add("--fields", metavar="FILE", help="JSON list of further Lead fields, or replacements by name")
    add("--hide-field", action="append", metavar="NAME", help="withhold a field, as field-level security does")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=JSON",
        help="any other setting, such as duplicate_rule='\"alert\"' or lead_access=false; GET /_emulator/settings "
        "lists them",
    )
    return parser


def _changes(args: argparse.Namespace) -> dict[str, Any]:
    named = ("client_id", "client_secret", "token_lifetime", "api_limit", "latency_ms")
    changes = {name: getattr(args, name) for name in named if getattr(args, name) is not None}
    if args.fields:
        changes["extra_fields"] = json.loads(Path(args.fields).read_text(encoding="utf-8"))
    if args.certificate:
        changes["jwt_certificates"] = [Path(name).read_text(encoding="utf-8") for name in args.certificate]
    if args.hide_field:
        changes["hidden_fields"] = args.hide_field
    for item in args.set:
        name, _, value = item.partition("=")
        try:
            changes[name] = json.loads(value)
        except ValueError:
            # Quoting JSON strings for a shell is a nuisance; a bare word is meant as one.
            changes[name] = value
    return changes


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments, then serve."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        settings = EmulatorSettings().changed(_changes(args))
    except (ValueError, TypeError, OSError) as error:
        parser.error(str(error))
    try:
        from airflow_provider_sfleads.emulator import server
    except ModuleNotFoundError as error:
        parser.error(f"the emulator needs {error.name}: pip install 'airflow-provider-sfleads[emulator]'")
    from airflow_provider_sfleads.emulator.state import Emulator

    logging.basicConfig(level=logging.WARNING)
    try:
        sock = server.listen(args.host, args.port)
    except OSError as error:
        parser.error(f"cannot listen on {args.host}:{args.port}: {error.strerror}; try --port 0 for a free port")
    if not _is_loopback(args.host):
        sys.stderr.write("Warning: everybody who reaches this port can read and change everything.\n")
    emulator = Emulator(settings, db=args.db)
    kept = f"leads kept in {args.db}" if args.db else "leads in memory"
    sys.stdout.write(f"Salesforce emulator at {server.url_of(sock)} ({kept}; Ctrl-C stops it)\n")
    sys.stdout.flush()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.make_server(emulator).run(sockets=[sock])
    finally:
        emulator.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
