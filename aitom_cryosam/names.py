"""Names of tomograms: from a path, and as each program writes them."""

from __future__ import annotations

import re
from pathlib import Path


def tomogram_root(name: str) -> str:
    """The name Warp knows a tomogram by: no folder, no extension, nothing from `_10.00Apx` on.

    Spaces, quotes and `#`, which a STAR value cannot hold, become underscores.

    >>> tomogram_root("recon/TS_01_10.00Apx.mrc")
    'TS_01'
    >>> tomogram_root("0012.tomostar")
    '0012'
    """
    stem = file_stem(re.split(r"[\\/]", name)[-1].removesuffix(".tomostar"))
    return star_word(re.sub(r"_\d+(\.\d+)?Apx.*$", "", stem))


def relion_name(name: str) -> str:
    """The name RELION knows a tomogram by: also without `rec_` and `_half1`, `_half2`."""
    return re.sub(r"_half[12]$", "", tomogram_root(name).removeprefix("rec_"))


def star_word(text: str) -> str:
    """The text as one value of a STAR row, which ends at a space, a quote or a `#`."""
    return re.sub(r"[\s\"'#]+", "_", text)


def file_stem(path: str | Path) -> str:
    """File name without folder and without `.mrc`, `.rec`, `.map` (and `.gz`)."""
    name = Path(path).name
    for extension in (".gz", ".bz2", ".mrc", ".rec", ".map"):
        if name.lower().endswith(extension):
            name = name[: -len(extension)]
    return name
