"""An emulator in a thread, for tests and benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn

from airflow_provider_sfleads.emulator import sales
from airflow_provider_sfleads.emulator.app import build_app
from airflow_provider_sfleads.emulator.faults import Fault
from airflow_provider_sfleads.emulator.protocol import DroppableProtocol
from airflow_provider_sfleads.emulator.settings import EmulatorSettings
from airflow_provider_sfleads.emulator.state import Emulator
from airflow_provider_sfleads.emulator.watching import Watcher

_START_SECONDS = 10.0
_STOP_SECONDS = 1.0


class _Server(uvicorn.Server):
    """Stops when it is told to, not up to 0.1 s later: tests start and stop many."""

    _loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Wait for the word."""
        self._told = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        while not self.should_exit:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 0.1)
            await self.on_tick(0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, finish what is being answered, hang up, and do not wait longer than that."""
        for server in self.servers:
            server.close()
        for sock in sockets or []:
            sock.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        deadline = time.monotonic() + _STOP_SECONDS
        while (  # noqa: ASYNC110 - uvicorn has no event for it
            self.server_state.connections or self.server_state.tasks
        ) and time.monotonic() < deadline:
            await asyncio.sleep(0.001)
        # A request that a fault rule still holds back is given up.
        for task in list(self.server_state.tasks):
            task.cancel()

    def stop(self) -> None:
        """Stop, from any thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)


def make_server(emulator: Emulator) -> _Server:
    """Return a uvicorn server of this emulator, not yet running."""
    config = uvicorn.Config(
        build_app(emulator),
        http=DroppableProtocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # The org's clock says what goes in there.
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=300,
        h11_max_incomplete_event_size=256 * 1024,
    )
    return _Server(config)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches off delayed sending only where it is told that it speaks TCP.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(2048)
    except OSError:
        sock.close()
        raise
    return sock


def url_of(sock: socket.socket) -> str:
    """Return where a listening socket is reached."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class EmulatorServer:
    """A running emulator: `with EmulatorServer(EmulatorSettings(api_limit=100)) as server: ...`.

    It listens on a free loopback port (`server.url`) until the block ends. Every method may be called
    from any thread at any time, and takes effect at once.

    :param settings: how the org is set up.
    :param db: file to keep the leads in; in memory by default.
    :param port: port to listen on; a free one by default.
    """

    def __init__(
        self, settings: EmulatorSettings | None = None, *, db: Path | str | None = None, port: int = 0
    ) -> None:
        self._given = settings
        self._db = None if db is None else str(db)
        self._port = port
        self.url = ""

    def __enter__(self) -> Self:
        self.emulator = Emulator(self._given, db=self._db)
        sock = listen("127.0.0.1", self._port)
        self.url = url_of(sock)
        self._server = make_server(self.emulator)
        self._thread = threading.Thread(target=self._run, args=(sock,), name="salesforce-emulator", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                message = "The emulator did not start; its log says why."
                raise RuntimeError(message)
            time.sleep(0.005)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        self._thread.join()
        self.emulator.close()

    def _run(self, sock: socket.socket) -> None:
        asyncio.run(self._server.serve(sockets=[sock]))

    @property
    def settings(self) -> EmulatorSettings:
        """How the org is set up just now; replace with `change_settings`."""
        return self.emulator.settings

    def change_settings(self, **changes: Any) -> EmulatorSettings:
        """Replace settings by name, from the next request on."""
        return self.emulator.change_settings(changes)

    def add_fault(self, effect: str, **rule: Any) -> int:
        """Make requests go wrong; see `faults.Fault` for the parameters. Returns the rule's id."""
        return self.emulator.faults.add(Fault.from_json({"effect": effect, **rule}))

    def faults(self) -> list[dict[str, Any]]:
        """Return the rules, with how often each matched and struck."""
        return self.emulator.faults.to_json()

    def clear_faults(self) -> None:
        """Remove all rules."""
        self.emulator.faults.clear()

    def stats(self) -> dict[str, Any]:
        """Return counts since the last reset: `calls` by method and route, `tokens_minted`, `leads` ..."""
        return self.emulator.stats()

    def requests(self, last: int | None = None) -> list[dict[str, Any]]:
        """Return the request log: number, method, path, query, route, status, records, started, ended, fault."""
        return self.emulator.journal.entries(last)

    def leads(self, *, include_deleted: bool = False) -> list[dict[str, Any]]:
        """Return all leads with all fields, oldest first, as Salesforce would give them out."""
        return sales.list_leads(self.emulator, include_deleted=include_deleted)

    def lead(self, lead_id: str) -> dict[str, Any]:
        """Return one lead with all its fields."""
        return sales.get_lead(self.emulator, lead_id)

    def history(self, lead_id: str | None = None) -> list[dict[str, Any]]:
        """Return each change of each field of a lead, or of all: lead_id, field, old, new, at, actor, request."""
        return sales.history(self.emulator, lead_id)

    def seed_leads(self, leads: Iterable[Mapping[str, Any]]) -> list[str]:
        """Create leads as if they had long been there; returns their ids. No rule of the org runs."""
        return sales.seed(self.emulator, list(leads))

    def edit_lead(self, lead_id: str, **values: Any) -> None:
        """Change a lead as somebody in Sales would."""
        sales.edit(self.emulator, lead_id, values)

    def convert_lead(self, lead_id: str) -> str:
        """Convert a lead as somebody in Sales would; returns the new contact's id."""
        return sales.convert(self.emulator, lead_id)

    def delete_lead(self, lead_id: str) -> None:
        """Put a lead into the recycle bin."""
        sales.delete(self.emulator, lead_id)

    def seed_contacts(self, contacts: Iterable[Mapping[str, Any]]) -> list[str]:
        """Create contacts; returns their ids."""
        return sales.seed_contacts(self.emulator, list(contacts))

    def jobs(self) -> list[dict[str, Any]]:
        """Return all Bulk API 2.0 jobs, oldest first: id, operation, state, rows, processed, failed, query ..."""
        return [job.summary() for job in self.emulator.jobs.all()]

    def finish_jobs(self) -> None:
        """Bring all jobs that are under way to their end, however slow they are set to be."""
        self.emulator.worker.finish()

    def fail_job(self, job_id: str, message: str = "InternalServerError : The job was failed by hand") -> None:
        """End a job that is not over as Failed; the rows not yet processed stay so."""
        self.emulator.worker.fail(job_id, message)

    def abort_job(self, job_id: str) -> None:
        """End a job that is not over as Aborted, as somebody under Setup would."""
        self.emulator.worker.abort(job_id)

    def expire_tokens(self) -> None:
        """Kill all tokens: their next use is answered with 401."""
        self.emulator.tokens.expire()

    def tokens_issued(self) -> list[str]:
        """Return all tokens that were ever given out, the dead ones, too."""
        return list(self.emulator.tokens.issued)

    def watch(self, watcher: Watcher) -> None:
        """Have every request shown, twice; see `watching.Sight`."""
        self.emulator.watchers.append(watcher)

    def set_api_usage(self, used: int) -> None:
        """Set the N of `Sforce-Limit-Info`."""
        self.emulator.journal.api_used = used

    def reset(self) -> None:
        """Empty the org and forget every request; settings stay."""
        self.emulator.reset()
