"""Tables of text, as commands print them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence


def aligned(rows: Sequence[Sequence[str]], *, left: Collection[int] = (0,)) -> str:
    """Rows of as many cells each, in columns of one width that are two spaces apart.

    Args:
        rows: the first may be the head.
        left: the columns that are aligned at the left, counted from 0; the others at the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def labelled(rows: Iterable[tuple[str, str]]) -> str:
    """A line for each label and what it is of, in the order of the rows."""
    rows = list(rows)
    width = max(10, *(len(label) + 2 for label, _ in rows))
    return "\n".join(f"{label:{width}}{value}" for label, value in rows)


def file_rows(files: Iterable[object]) -> list[tuple[str, str]]:
    """Rows for `labelled` of the files that were written."""
    return [("" if i else "files", str(path)) for i, path in enumerate(files)]


def number(value: float, template: str = "{:.3f}") -> str:
    """A number, or a dash where it is infinite or none."""
    return template.format(value) if math.isfinite(value) else "-"
