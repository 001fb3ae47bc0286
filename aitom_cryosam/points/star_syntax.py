"""The text of a STAR file as RELION and Warp take it: line by line, without mercy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import starfile

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.table import CLASS, NAMES, REASON


@dataclass
class Block:
    """One `data_` block.

    Attributes:
        name: what follows `data_`, may be empty.
        labels: without their underscore; each once for every time it is written.
        rows: the values as text; one row if the block is no loop.
        loops: how many `loop_` it has.
    """

    name: str
    labels: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    loops: int = 0

    def has(self, labels: Sequence[str]) -> bool:
        """Whether it has all of them."""
        return set(labels) <= set(self.labels)

    def column(self, label: str) -> list[str]:
        """The values of a label, from the rows that are long enough."""
        place = self.labels.index(label)
        return [row[place] for row in self.rows if len(row) > place]


def scan(text: str) -> tuple[list[Block], list[str]]:
    """All blocks, and what the strict readers of other programs would stumble over.

    Of each kind of trouble in a block the first is told.
    """
    blocks: list[Block] = []
    problems: dict[tuple[int, str], str] = {}
    gap = 0  # the line of a blank one within rows

    def problem(kind: str, sentence: str) -> None:
        problems.setdefault((len(blocks), kind), sentence)

    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            gap = number
        elif line.lstrip().startswith("#"):
            if "data_" in line:
                problem("comment", f"line {number}: RELION begins a block at data_ in a comment")
        elif words[0].startswith("data_"):
            name = words[0].removeprefix("data_")
            if any(block.name == name for block in blocks):
                problem("twice", f"line {number}: a second block data_{name} is not read")
            blocks.append(Block(name))
        elif not blocks:
            problem("before", f"line {number}: text before the first data_")
        elif words[0] == "loop_":
            blocks[-1].loops += 1
            if blocks[-1].loops == 2:
                problem("loop", f"line {number}: a second loop_ in data_{blocks[-1].name}")
        elif words[0].startswith("_"):
            label, glued, _ = words[0][1:].partition("#")
            if glued:
                problem("label", f"line {number}: no space before # in {words[0]}")
            _label(blocks[-1], label, words[1:])
        else:
            block = blocks[-1]
            if gap and block.rows and block.loops:
                problem("gap", f"line {gap}: no row after this blank line is read")
            if len(words) != len(block.labels):
                problem(
                    "row",
                    f"line {number}: {len(words)} values for {len(block.labels)} columns; "
                    "has a value a space in it?",
                )
            block.rows.append(words)
            gap = 0
    return blocks, list(problems.values())


def _label(block: Block, label: str, values: list[str]) -> None:
    """A label of a loop, or a label with its value."""
    block.labels.append(label)
    if not block.loops:
        block.rows = [[*(block.rows[0] if block.rows else []), values[0] if values else ""]]


def star_text(blocks: dict[str, pd.DataFrame | dict[str, float]]) -> str:
    """The blocks as the text of a STAR file, real numbers with six decimals."""
    for block in blocks.values():
        if isinstance(block, pd.DataFrame):
            for column in block.select_dtypes("float"):
                block[column] = block[column].round(6) + 0.0  # no -0.000000
    text = starfile.to_string(blocks, sep=" ")
    return text[text.index("data_") :]  # a comment that begins "data_" would begin a block


def read_blocks(path: Path, as_text: Sequence[str] = ()) -> list[pd.DataFrame]:
    """All blocks of a STAR file as tables; names, classes and reasons stay text.

    Raises:
        InputError: it is not a STAR file.
    """
    try:
        blocks = starfile.read(
            path, always_dict=True, parse_as_string=[*NAMES, CLASS, REASON, *as_text]
        )
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{path} is not a STAR file that can be read ({error}).") from None
    return [
        pd.DataFrame([block] if isinstance(block, dict) else block) for block in blocks.values()
    ]
