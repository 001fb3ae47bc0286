"""What README and the pages say can be typed and followed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from aitom_cryosam.cli import build_parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = [*PAGES, ROOT / "CHANGELOG.md"]
MOST_WORDS, LONGEST_SENTENCE = 700, 40


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


def anchors(page: Path) -> set[str]:
    """What a link to a heading of a page names it by."""
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)", page.read_text("utf-8")):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        if anchor and target.name != "commands.md":  # which is made of the parsers
            assert anchor in anchors(target), link


def sentences(text: str) -> list[str]:
    """Of a page, cells of tables and items of lists too, with a word for what is in quotes."""
    text = re.sub(r"^```.*?^```|^ {4}.*?$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`]*`", "X", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text))
    return re.split(r"\n|\||(?<=[.!?:;])\s+", text)


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_no_sentence_is_too_long(page) -> None:
    found = sentences(page.read_text("utf-8"))
    assert [one for one in found if len(one.split()) > LONGEST_SENTENCE] == []


def test_a_sentence_ends_where_it_ends() -> None:
    text = "One `a. b` two. Three [four](x.md): five\n\n    code. code\n\n| six | seven |\n"
    assert [one.strip() for one in sentences(text) if one.strip()] == [
        "One X two.", "Three four:", "five", "six", "seven",
    ]  # fmt: skip


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= MOST_WORDS
