"""What a piece of work costs a process of its own: CPU seconds, wall clock, and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What work cost.

    :param imports: seconds of CPU that loading the modules took that the work needs; not in ``cpu``.
    :param cpu: seconds of CPU, user and system, of all threads.
    :param wall: seconds by the clock.
    :param growth: MB by which the process's resident memory peaked above what it was before.
    :param idle: MB that it was before.
    :param counts: what came of it.
    """

    imports: float
    cpu: float
    wall: float
    growth: float
    idle: float
    counts: dict[str, int]


def measured(work: Callable[[], dict[str, int]], modules: Sequence[str]) -> None:
    """Do some work in this process, fresh as it is, and print what it cost for :func:`alone`.

    :param modules: what the work would load.
    """
    idle = _memory("VmRSS")
    began = time.process_time()
    for module in modules:
        import_module(module)
    cpu, wall = time.process_time(), time.perf_counter()
    counts = work()
    cost = Cost(
        imports=cpu - began,
        cpu=time.process_time() - cpu,
        wall=time.perf_counter() - wall,
        growth=_memory("VmHWM") - idle,
        idle=idle,
        counts=counts,
    )
    print(json.dumps(asdict(cost)))


def alone(module: str, *options: object) -> Cost:
    """Run a module of this folder in a fresh process, where it calls :func:`measured`."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=_environment())
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\n{' '.join(command)} ended with {done.returncode}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _environment() -> dict[str, str]:
    # What Airflow logs goes to stdout otherwise and there is much of it.
    return {**os.environ, "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING", "NO_PROXY": "127.0.0.1,localhost"}


def _memory(name: str) -> float:
    """Return a figure of the process's own memory in MB.

    The peak is that since the process began to run this program.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(name)
