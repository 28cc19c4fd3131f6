"""The directive ``commands``: what each command of the package says of itself with ``--help``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import airflow_provider_sfleads

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_PACKAGE = airflow_provider_sfleads.__name__
# As wide as a page's column, whatever the terminal of whoever builds.
_WIDE = {"COLUMNS": "88", "NO_COLOR": "1"}


class Commands(SphinxDirective):
    """Makes a section for each ``python -m airflow_provider_sfleads.<command>``."""

    def run(self) -> list[nodes.Node]:
        """Return the sections, by name; a command that fails is an error of the page."""
        folder = Path(airflow_provider_sfleads.__file__).parent
        return [self._section(path.parent.name) for path in sorted(folder.glob("*/__main__.py"))]

    def _section(self, name: str) -> nodes.section:
        command = f"python -m {_PACKAGE}.{name}"
        call = (sys.executable, "-m", f"{_PACKAGE}.{name}", "--help")
        shown = subprocess.run(call, capture_output=True, text=True, check=False, env=os.environ | _WIDE)
        if shown.returncode:
            raise self.error(f"{command} --help failed: {shown.stderr}")
        section = nodes.section(ids=[name], names=[name])
        section += nodes.title(command, command)
        section += nodes.literal_block(shown.stdout, shown.stdout, language="text")
        self.state.document.note_explicit_target(section)
        return section


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
