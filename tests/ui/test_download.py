"""The rejects as a file for a spreadsheet: no cell of it is run, and a file that is hostile ends in words."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest

from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.results.files import Directory, directory_at
from airflow_provider_sfleads.ui.download import for_spreadsheet

BLANKS = (
    "", " ", "   ", "\t", "\n", "\r\n", " \t\n", "\u00a0", "\u2003", "\u3000", "\u200b", "\ufeff", "\u2060", "\u00ad",
    "\u200e", "\x00", "\x0b", "\x1f", "\x85", "\u2028", "\u180e", " \u200b\u00a0\ufeff ", "\u180b", "\ufe0f", "\ufff9",
    "\U000e0020",
)  # fmt: skip
SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\ufe66", "\ufe62", "\ufe63", "\ufe6b")


def of(folder: Path, content: bytes) -> Directory:
    """A folder with such rejects."""
    (folder / "rejects.csv").write_bytes(content)
    return directory_at(str(folder))


def cells(folder: Path, *values: str) -> list[str]:
    """What becomes of the cells of a row."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerows([[f"c{n}" for n in range(len(values))], values])
    text = b"".join(for_spreadsheet(of(folder, line.getvalue().encode()))).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline="")))[1]


@pytest.mark.parametrize("sign", SIGNS)
def test_what_looks_like_a_formula_after_blanks_is_text(tmp_path: Path, sign: str) -> None:
    """Spreadsheets pass over blanks, or what has no width, and read full-width signs as others."""
    # Without a carriage return of its own: the rejects have none in their values.
    values = [f"{blank}{sign}1+1".replace("\r\n", "\n") for blank in BLANKS]
    found = cells(tmp_path, *values)
    assert [value[:1] for value in found] == ["'"] * len(values)
    assert [value.replace("'", "") for value in found] == values


@pytest.mark.parametrize("sign", SIGNS)
def test_so_it_is_behind_another_separator(tmp_path: Path, sign: str) -> None:
    """Where lists are separated by semicolons, each is a cell."""
    assert cells(tmp_path, f"Ltd; \u200b{sign}1+1", "x") == [f"Ltd; \u200b'{sign}1+1", "x"]
    # In the file the quote is a doubled one, and there it opens and closes a cell that goes on with the sign.
    assert cells(tmp_path, f'Ltd;"{sign}1+1"', "x") == [f'Ltd;"\'{sign}1+1"', "x"]


@pytest.mark.parametrize(
    "text", ["-5", "+49", "-5,5", " -5", "1=1", "a@b.example", "Ltd - Co", "\u00a0x", "", "\uff15\uff0b\uff15", "'="]
)
def test_other_cells_are_as_they_were(tmp_path: Path, text: str) -> None:
    """Numbers are, and signs that do not come first."""
    assert cells(tmp_path, text, "x") == [text, "x"]


@pytest.mark.parametrize("character", ["\t", " ", ";", "\u200b", "'", '"'])
def test_a_value_of_one_character_takes_no_time(tmp_path: Path, character: str) -> None:
    """Nobody holds the API server up by a cell that is as long as can be."""
    began = time.monotonic()
    cells(tmp_path, *[f"x{character * 130_000}"] * 4)
    assert time.monotonic() - began < 10


def test_a_phone_number_is_text(tmp_path: Path) -> None:
    """What is no number to a spreadsheet it would reckon with."""
    assert cells(tmp_path, "+49 170 1234567", "x") == ["'+49 170 1234567", "x"]


@pytest.mark.parametrize("content", [b"," * 3_000_000, b"\n" + b"," * 3_000_000 + b"\n1\n", b"x" * 3_000_000, b""])
def test_a_file_without_a_header_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    """A line of millions of columns would take gigabytes as names."""
    with pytest.raises(ExportError, match=r"rejects\.csv"):
        list(for_spreadsheet(of(tmp_path, content)))


def test_a_line_that_never_ends_ends_the_download_in_words(tmp_path: Path) -> None:
    """The rows before it are there, and the last line says that there are more."""
    text = b"".join(for_spreadsheet(of(tmp_path, b"a,b\n1,2\n" + b"x" * 17_000_000))).decode("utf-8-sig")
    assert text.startswith("a,b\n1,2\n")
    assert "the file cannot be read further" in text
    assert len(text) < 1_000
