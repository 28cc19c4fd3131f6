"""How Sphinx builds the documentation; ``python3 dev.py docs`` runs it, and needs no network."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

from airflow_provider_sfleads import __version__

# Airflow is imported for the reference; the settings of whoever builds stay out of it.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="sfleads-docs-")
logging.getLogger("airflow").setLevel(logging.WARNING)
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)
sys.path.insert(0, str(Path(__file__).resolve().parent / "_ext"))

project = "airflow-provider-sfleads"
version = release = __version__
html_title = f"Salesforce Leads {__version__}"
html_theme = "furo"
html_static_path = ["_static"]
if (Path(__file__).parent / "_static" / "logo.svg").exists():
    html_logo = html_favicon = "_static/logo.svg"
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sphinx = False
# A browser gives a page in a folder no other page to read, and the console an error for each hit.
html_show_search_summary = False
html_copy_source = False
templates_path = ["_templates"]
exclude_patterns = ["_build"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "command_help", "error_codes"]

myst_enable_extensions = ["colon_fence", "deflist"]
# Anchors of headings are those that code hosts make, so a link works in both.
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
# Defaults as the source has them.
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

# `name` is code, as in Markdown.
default_role = "code"
nitpicky = True
# Without the network nobody knows where other projects explain their names: those stay plain text. Ours all resolve.
# The short ones are imported for type checkers alone, and Record and Duplicates are the hook's names for two of them.
_FOREIGN = r"(airflow|collections|datetime|jinja2|os|pathlib|pyarrow|requests|starlette|types|typing)\..+|mmap\.mmap"
_SHORT = "Context|Duplicates|ObjectStoragePath|PathLike|Record|Response|Session"
nitpick_ignore_regex = [("py:.*", _FOREIGN), ("py:class", _SHORT)]
