from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "airflow_provider_sfleads.emulator"]

WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"starlette", "uvicorn"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
sys.meta_path.insert(0, Missing())
"""


def test_help_explains_itself() -> None:
    """What it is, how to reach it, how to break it."""
    text = subprocess.run([*COMMAND, "--help"], check=True, capture_output=True, text=True).stdout

    for word in ("--port", "--db", "--latency-ms", "--api-limit", "emulator-key", "/_emulator/", "drop_after"):
        assert word in text


def test_it_says_where_it_is_and_stops_when_told(tmp_path: Path) -> None:
    """One line with its URL on start; settings come from the command line; Ctrl-C ends it cleanly.

    So does ``python -m airflow_provider_sfleads.emulator`` alone.
    """
    fields = tmp_path / "fields.json"
    fields.write_text('[{"name": "Tier__c", "length": 10}]')
    options = ["--port", "0", "--db", str(tmp_path / "org.db"), "--fields", str(fields), "--hide-field", "Fax",
               "--set", "duplicate_rule=alert", "--set", "lead_access=false", "--api-limit", "5"]  # fmt: skip
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line
    shown = requests.get(f"{found[0]}/_emulator/settings", timeout=10).json()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)

    assert (process.returncode, rest, errors) == (0, "", "")
    assert [field["name"] for field in shown["extra_fields"]] == ["Tier__c"]
    assert shown["hidden_fields"] == ["Fax"]
    assert (shown["duplicate_rule"], shown["lead_access"], shown["api_limit"]) == ("alert", False, 5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--set", "nonsense=1"], "Unknown settings"),
        (["--fields", "/nowhere.json"], "nowhere.json"),
        (["--host", "192.0.2.1", "--port", "0"], "cannot listen on 192.0.2.1"),
    ],
)
def test_a_bad_option_is_explained(options: list[str], says: str) -> None:
    """Exit code 2 and one message, no traceback."""
    ended = subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_the_extra_it_says_what_to_install() -> None:
    """The command and the import name the extra; importing the package alone does no harm."""
    run = WITHOUT + "from airflow_provider_sfleads.emulator.__main__ import main\nmain(['--port', '0'])"
    command = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=False)
    use = WITHOUT + (
        "import airflow_provider_sfleads.emulator as e\ne.EmulatorSettings\n"
        "try:\n    e.EmulatorServer\nexcept ModuleNotFoundError as error:\n    print(error)"
    )
    imported = subprocess.run([sys.executable, "-c", use], capture_output=True, text=True, check=True)

    assert command.returncode == 2
    assert "pip install 'airflow-provider-sfleads[emulator]'" in command.stderr
    assert "pip install 'airflow-provider-sfleads[emulator]'" in imported.stdout


def test_it_shares_nothing_with_the_provider() -> None:
    """Else it would agree with the provider's bugs; and it needs neither Airflow nor requests."""
    code = (
        "import sys\nfrom airflow_provider_sfleads.emulator import EmulatorServer\n"
        "with EmulatorServer(): pass\n"
        "print([m for m in sys.modules if m.split('.')[0] in {'airflow', 'requests'} or "
        "(m.startswith('airflow_provider_sfleads.') and not m.startswith('airflow_provider_sfleads.emulator'))])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout.strip() == "[]"
