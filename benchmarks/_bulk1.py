"""As much of Bulk API 1.0 as ``SalesforceBulkOperator`` speaks: ``python -m benchmarks._bulk1``.

The emulator has Bulk API 2.0 only. Every batch is processed at once, and every row of it created.
"""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

_BATCH = re.compile(r"/services/async/[\d.]+/job/(\w+)/batch(?:/(\w+)(/result)?)?")


class Handler(BaseHTTPRequestHandler):
    """Answers jobs, batches and their results."""

    protocol_version = "HTTP/1.1"
    batches: dict[str, int] = {}  # noqa: RUF012 - one server to a process
    numbers = count(1)

    def do_POST(self) -> None:
        """Create or close a job, or take a batch."""
        given: Any = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = _BATCH.fullmatch(self.path)
        if found is None:
            self._answer({"id": "750000000000001AAA", "state": given.get("state", "Open")})
            return
        batch_id = f"751{next(self.numbers):012}AAA"
        self.batches[batch_id] = len(given)
        self._answer(_info(found[1], batch_id))

    def do_GET(self) -> None:
        """Say how a batch stands, or what became of its rows."""
        found = _BATCH.fullmatch(self.path)
        assert found is not None, self.path
        if not found[3]:
            self._answer(_info(found[1], found[2]))
            return
        rows = range(self.batches[found[2]])
        self._answer([{"success": True, "created": True, "id": f"00Q{row:012}AAA", "errors": []} for row in rows])

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _info(job_id: str, batch_id: str) -> dict[str, str]:
    return {"id": batch_id, "jobId": job_id, "state": "Completed"}


def main() -> None:
    """Serve on a free port until terminated."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(f"Bulk API 1.0 at http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
