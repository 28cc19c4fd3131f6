"""The directive ``command-help``: what a command says of itself with ``--help``."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class CommandHelp(Directive):
    """Runs ``python -m <module> --help``, and shows what it prints."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the text; a command that fails is an error of the page."""
        (module,) = self.arguments
        # As wide as a page's column, whatever the terminal of whoever builds.
        env = os.environ | {"COLUMNS": "80", "NO_COLOR": "1"}
        command = (sys.executable, "-m", module, "--help")
        shown = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        if shown.returncode:
            raise self.error(f"{module} --help failed: {shown.stderr}")
        return [nodes.literal_block(shown.stdout, shown.stdout, language="text")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
