"""What a sync sends to an object storage that holds its results, and has back: bytes and requests.

One Parquet export goes through the operators, in bulk, with ``results_path`` at an S3-compatible server (moto's) behind
a proxy that counts. The create operator runs without a memory, then for two nights with ``changed_only``; the stage
operator looks each lead up. Rows that are staged go up once or twice, and come back only to another worker.

``python3 dev.py bench remote_results --rows 50000`` is a quick look.
"""

from __future__ import annotations

import argparse
import os
import secrets
import tempfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks._emulator import connect, emulator, execute
from benchmarks._export import write_export
from benchmarks._task import operator_for
from tests.counting_proxy import Counted, counting_proxy
from tests.s3 import Lake, s3_server

# Of the export's bytes: what goes up without a memory, and what comes back.
_UP, _DOWN = 1.5, 1.0


def main() -> None:
    """Run them, and print what went through."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        s3_server() as url,
        emulator(counting=True, virtual_leads=args.rows) as salesforce,
    ):
        at = urlsplit(url)
        lake = Lake(url, f"lake_{secrets.token_hex(4)}", "lake")
        lake.make()
        export = Path(folder) / "export.parquet"
        write_export(export, args.rows)
        print(f"{args.rows:,} rows, {export.stat().st_size:,} bytes of Parquet")
        connect(salesforce)
        with counting_proxy(str(at.hostname), int(at.port or 80)) as counted:
            os.environ[f"AIRFLOW_CONN_{lake.conn_id.upper()}"] = replace(
                lake, endpoint=f"http://127.0.0.1:{counted.port}"
            ).connection
            for title, kind, run_id, more in (
                ("create", "create", "plain", {}),
                ("update_stage, with a look-up", "stage", "plain", {}),
                ("create, first night with changed_only", "create", "first", {"changed_only": True}),
                ("create, second night with changed_only", "create", "second", {"changed_only": True}),
            ):
                counted.up = counted.down = 0
                counted.requests.clear()
                operator = operator_for(kind, export, Path("-"), **{"results_path": f"{lake.url}/r{len(more)}", **more})
                execute(operator, run_id=run_id)
                _say(title, counted, export.stat().st_size, is_bound=not more)


def _say(title: str, counted: Counted, size: int, *, is_bound: bool) -> None:
    up, down = counted.up / size, counted.down / size
    requests = ", ".join(f"{count:,} {method}" for method, count in sorted(counted.requests.items()))
    print(f"{title}: {counted.up:,} bytes up ({up:.2f} of the export), {counted.down:,} down ({down:.2f}); {requests}")
    assert down <= _DOWN, f"more than {_DOWN} of the export came back"
    assert up <= _UP or not is_bound, f"more than {_UP} of the export went up"


if __name__ == "__main__":
    main()
