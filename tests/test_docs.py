"""What README and the pages say can be typed and followed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from aitom_cryosam.cli import build_parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MOST_WORDS = 700


def commands(text: str) -> list[list[str]]:
    """The arguments of every `cryosam` in a code block, lines that end in \\ joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    found = re.findall(r"^(?: {4}|.* && )cryosam (.+)$", joined, flags=re.MULTILINE)
    return [shlex.split(line, comments=True) for line in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_the_options_that_exist(page) -> None:
    for arguments in commands(page.read_text("utf-8")):
        build_parser(arguments).parse_args(arguments)  # ends the test if it refuses


def test_the_commands_are_found() -> None:
    text = (
        "    cryosam pick a.mrc \\\n        --prompt 1,2,3\n\n    pip install . && cryosam demo\n"
    )
    assert commands(text) == [["pick", "a.mrc", "--prompt", "1,2,3"], ["demo"]]
    assert sum(len(commands(page.read_text("utf-8"))) for page in PAGES) > 15


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SystemExit):
        build_parser(["pick"]).parse_args(["pick", "a.mrc", "--out", "b", "--colour", "red"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= MOST_WORDS
