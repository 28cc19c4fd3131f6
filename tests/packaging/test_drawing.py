"""Property tests find on one machine what they find on another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "pytest", "-m", "hypothesis", "-p", "no:cacheprovider", "tests/core/test_host.py"]


def drawn(*options: str) -> tuple[str, list[str]]:
    """What the head of a run says of its examples, and the examples of one test."""
    done = subprocess.run(
        [*COMMAND, "-rP", "--hypothesis-verbosity=verbose", *options],
        cwd=ROOT,
        # Hypothesis's own settings for CI heed no seed.
        env=os.environ | {"CI": "true"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    (head,) = (line for line in done.stdout.splitlines() if line.startswith("property tests:"))
    return head, [case.partition("\n)")[0] for case in done.stdout.split("Test case: ")[1:]]


def test_examples_are_drawn_by_a_seed_that_is_told() -> None:
    """The same seed draws the same ones, in whatever process, another seed others, and as many as asked for."""
    head, fixed = drawn("--examples=0.1")
    again, same = drawn(*head.removeprefix("property tests:").split())
    _, others = drawn("--examples=0.2", "--hypothesis-seed=1")
    shared, those = drawn("--examples=0.1", "--numprocesses=1")

    assert again == shared == head == "property tests: --hypothesis-seed=0 --examples=0.1"
    assert fixed == same == those
    assert others[: len(fixed)] != fixed
    assert (len(fixed), len(others)) == (10, 20)
