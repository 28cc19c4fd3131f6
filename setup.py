"""What a package index shows of README, whose relative links and pictures lead nowhere there.

Everything else about the package is in ``pyproject.toml`` and ``setup.cfg``.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import urljoin

from setuptools import setup

ROOT = Path(__file__).parent
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
SOURCE = re.compile(r'(?P<before><img\b[^>]*\bsrc=")(?P<target>[^"]+)')
ELSEWHERE = re.compile(r"#|[a-z]+:")
# Where Sphinx puts what lies in the folder docs/, and the changelog beside it.
PLACES = (
    (re.compile(r"docs/images/([^/]+)"), r"_images/\1"),
    (re.compile(r"docs/(_static/.+)"), r"\1"),
    (re.compile(r"docs/([^#]+)\.md(#.*)?"), r"\1.html\2"),
    (re.compile(r"CHANGELOG\.md(#.*)?"), r"changelog.html\1"),
)


def place_of(target: str, documentation: str) -> str | None:
    """Return the address of a link's target for readers who have no checkout; nothing where there is none."""
    if ELSEWHERE.match(target):
        return target
    for pattern, place in PLACES:
        if pattern.fullmatch(target):
            return urljoin(documentation, pattern.sub(place, target))
    return None


def readable(readme: str, documentation: str) -> str:
    """Return README as it reads away from its files: a link to one that is not in the documentation is plain text.

    :raises ValueError: where a picture is not in the documentation.
    """

    def picture(target: str) -> str:
        place = place_of(target, documentation)
        if place is None:
            raise ValueError(f"README shows {target}, which is no picture in docs/images or docs/_static.")
        return place

    def link(found: re.Match[str]) -> str:
        _, text, target = found.groups()
        if found["image"]:
            return f"![{text}]({picture(target)})"
        place = place_of(target, documentation)
        return text if place is None else f"[{text}]({place})"

    return SOURCE.sub(lambda found: found["before"] + picture(found["target"]), LINK.sub(link, readme))


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    setup(
        long_description=readable((ROOT / "README.md").read_text(encoding="utf-8"), project["urls"]["Documentation"]),
        long_description_content_type="text/markdown",
    )
