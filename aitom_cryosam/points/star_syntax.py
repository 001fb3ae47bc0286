"""The text of a STAR file, line by line: the one scanner of the package, and the one writer.

A row is its line's words; `#` and `data_` within a row are text, as RELION takes them. What
cannot be understood is a fault that names its line, nothing is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.table import text_of

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, Any]
"""The n values of each label, in the order of the file."""
_QUOTED = re.compile(r"""(["'])(.*?)\1(?=\s|$)|\S+""")
_BEGINNING = re.compile(rb"^\s*data_[^\s,;]*\s*(#.*)?$", re.M | re.I)


def begins_block(text: bytes) -> bool:
    """Whether a block begins somewhere in a text: a STAR file, whatever it is called."""
    return _BEGINNING.search(text) is not None


@dataclass
class Block:
    """One `data_` block.

    Attributes:
        name: what follows `data_`, may be empty.
        line: where it begins, counted from 1.
        labels: without their underscore; each once for every time it is written.
        rows: the values as text; one row if the block is no loop.
        loops: how many `loop_` it has.
    """

    name: str
    line: int = 1
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

    def table(self) -> pd.DataFrame:
        """The rows, all values as text."""
        import pandas as pd

        labels = pd.Index(self.labels, dtype=object)  # found faster than pandas' own strings
        return pd.DataFrame(self.rows, columns=labels, dtype=object)


@dataclass(frozen=True)
class Problem:
    """What a strict reader stumbles over.

    Attributes:
        text: the line and what is wrong with it.
        fatal: whether the content cannot be told with certainty.
    """

    text: str
    fatal: bool


def scan(text: str) -> tuple[list[Block], list[Problem]]:
    """All blocks, and what the strict readers of other programs would stumble over.

    Of each kind of trouble in a block only the first is reported.
    """
    return _Scanner().scan(text)


class _Scanner:
    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.problems: dict[tuple[int, str], Problem] = {}
        self.gap = 0  # the line of a blank one within rows
        self.data = "data_"  # as the file writes it; a word in other letters may be a value

    def scan(self, text: str) -> tuple[list[Block], list[Problem]]:
        for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
            words = words_of(line)
            if words and not self.blocks and words[0].lower().startswith("data_"):
                self.data = words[0][:5]
            if not words:
                self.gap = number
            elif words[0].startswith("#") or self._is_remark(words):
                if "data_" in line:
                    self.tell("comment", number, "RELION begins a block at data_ in a comment")
            elif words[0].startswith(self.data) and not self._is_row(words):
                self._begin(words, number)
            elif not self.blocks:
                self.tell(
                    "before",
                    number,
                    "text before the first data_; begin it with #, or call a plain table .csv",
                    fatal=True,
                )
            elif words[0].lower() == "loop_":
                self._loop(words, number)
            elif words[0].startswith("_") and not self._is_row(words):
                self._label(words, number)
            else:
                self._row(words, number)
        return self.blocks, list(self.problems.values())

    def tell(self, kind: str, line: int, sentence: str, *, fatal: bool = False) -> None:
        problem = Problem(f"line {line}: {sentence}", fatal)
        self.problems.setdefault((len(self.blocks), kind), problem)

    def _tell_capitals(self, word: str, line: int) -> None:
        if not word.islower():
            self.tell("case", line, f"RELION and Warp read {word.lower()} in small letters only")

    def _is_remark(self, words: list[str]) -> bool:
        """Whether a line is RELION's other kind of comment, a semicolon among the labels."""
        return bool(words[0].startswith(";") and self.blocks and not self.blocks[-1].rows)

    def _is_row(self, words: list[str]) -> bool:
        """Whether a line that begins as a block or a label is one of values all the same."""
        if not self.blocks or words[1:2] == ["#"]:
            return False
        block = self.blocks[-1]
        first = len(block.labels) > 1 and len(words) == len(block.labels)
        return bool(block.loops) and first and (bool(block.rows) or not _counts(words))

    def _begin(self, words: list[str], line: int) -> None:
        self._tell_capitals(self.data, line)
        name = words[0].removeprefix(self.data)
        if any(block.name == name for block in self.blocks):
            self.tell("twice", line, f"a second block data_{name} is not read by RELION")
        self.blocks.append(Block(name, line))
        if len(words) > 1 and not words[1].startswith("#"):
            self.tell("begin", line, f"text behind data_{name}", fatal=True)

    def _loop(self, words: list[str], line: int) -> None:
        self._tell_capitals(words[0], line)
        block = self.blocks[-1]
        block.loops += 1
        if block.loops == 2:
            self.tell("loop", line, f"a second loop_ in data_{block.name}", fatal=True)
        elif block.labels:
            self.tell("loop", line, f"loop_ behind labels of data_{block.name}", fatal=True)
        if len(words) > 1 and not words[1].startswith("#"):
            self.tell("begin", line, "text behind loop_", fatal=True)

    def _label(self, words: list[str], line: int) -> None:
        """A label of a loop, or a label with its value."""
        block = self.blocks[-1]
        label, glued, _ = words[0][1:].partition("#")
        if glued:
            self.tell("label", line, f"no space before # in {words[0]}")
        if label in block.labels:
            self.tell("again", line, f"a second column _{label}", fatal=True)
        if block.loops and block.rows:
            self.tell("late", line, f"the label _{label} stands below values", fatal=True)
        block.labels.append(label)
        number = words[1][1:] if block.loops and _counts(words) else ""
        if number.isdigit() and number.lstrip("0") != str(len(block.labels)):
            said = f"_{label} has the number {number[:9]}, but is the label {len(block.labels)}"
            self.tell("number", line, f"{said}: Warp goes by the numbers")
        if block.loops:
            if len(words) > 1 and not words[1].startswith("#"):
                self.tell("value", line, f"a value behind the label _{label} of a loop", fatal=True)
            return
        if glued or len(words) < 2 or _counts(words):
            self.tell("value", line, f"_{label} has no value, and there is no loop_", fatal=True)
            words = [words[0], ""]
        block.rows = [[*(block.rows[0] if block.rows else []), words[1]]]

    def _row(self, words: list[str], line: int) -> None:
        block = self.blocks[-1]
        if not block.loops:
            self.tell("row", line, f"values without loop_ in data_{block.name}", fatal=True)
            return
        if self.gap and block.rows:
            self.tell("gap", self.gap, "no row after this blank line is read by RELION")
        if not block.labels:
            self.tell("row", line, f"no label begins with _ above {words[0][:40]}", fatal=True)
        elif len(words) != len(block.labels):
            self.tell(
                "row",
                line,
                f"{len(words)} values for {len(block.labels)} columns: an empty value or one with "
                "a space, a comment behind it, or a file that is cut off",
                fatal=True,
            )
        block.rows.append(words)
        self.gap = 0


def _counts(words: list[str]) -> bool:
    """Whether what follows a label is its number, `#3`, or a comment."""
    return len(words) > 1 and words[1].startswith("#")


def words_of(line: str) -> list[str]:
    """The values of a line: what blanks part, or what stands in a pair of quotes."""
    if '"' not in line and "'" not in line:
        return line.split()
    return [found[2] if found[1] else found[0] for found in _QUOTED.finditer(line)]


def star_text(blocks: Mapping[str, Columns], *, numbered: bool = True) -> str:
    """The blocks as the text of a STAR file, real numbers with six decimals.

    Args:
        blocks: by name, their columns by label, all of one length; or one value for each label.
        numbered: whether the number of each column stands behind its label.
    """
    lines = []
    for name, block in blocks.items():
        lines += [f"data_{name}", ""]
        if any(map(np.ndim, block.values())):
            counted = [f" #{i}" if numbered else "" for i in range(1, len(block) + 1)]
            lines += ["loop_", *(f"_{label}{n}" for label, n in zip(block, counted, strict=True))]
            lines += map(" ".join, zip(*map(_texts, block.values()), strict=True))
        else:
            lines += [f"_{label}\t\t\t{value}" for label, value in block.items()]
        lines += ["", ""]
    return "".join(line + "\n" for line in lines)


def _texts(column: Sequence[Any]) -> list[str]:
    """The values of a column as they are written."""
    values = np.asarray(column)
    if values.dtype.kind != "f":
        return [_word(str(value)) for value in column]
    values = np.round(values.astype(np.float64), 6) + 0.0  # no -0.000000
    return ("%.6f " * len(values) % tuple(values.tolist())).split()


def _word(value: str) -> str:
    """A value as one word, in quotes if it is none."""
    return value if value.split() == [value] else f'"{value}"'


def read_blocks(path: Path) -> list[Block]:
    """All blocks of a STAR file that have labels.

    Raises:
        InputError: the file cannot be understood; the line is named.
    """
    blocks, problems = scan(text_of(path))
    for problem in problems:
        if problem.fatal:
            raise InputError(f"{path}, {problem.text}.")
    return [block for block in blocks if block.labels]
