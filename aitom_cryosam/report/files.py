"""The report's files: one page a tomogram, and one that leads to them where there are several."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import write_all, write_text
from aitom_cryosam.outputs import check_output, output_folder
from aitom_cryosam.progress import Progress, Steps
from aitom_cryosam.record import Record
from aitom_cryosam.report.page import KnownPositions, expected_precision, index, page

logger = logging.getLogger(__name__)


def write_report(
    path: str | Path,
    records: Sequence[Record],
    *,
    truths: Sequence[KnownPositions | None] | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write the page of one run; or of several, in a folder beside the page that leads to them.

    Args:
        path: `.html`.
        records: of the runs, at least one.
        truths: known positions, one for each record or None.
        progress: called with "report", the pages written and their number.
        overwrite: replace existing files.

    Returns:
        The files, the one to open first.

    Raises:
        InputError: the path is no page's, a file cannot be written; or the only result, or its
            tomogram, is missing or damaged. Of several, the first page says so, and the others
            are written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"Expected a page to write, as report.html, got {path}.")
    truths = truths or [None] * len(records)
    if len(records) == 1:
        check_output(path.parent, [path], overwrite=overwrite)
        write_all({path: page(records[0], truths[0])}, overwrite=overwrite)
        return [path]
    folder = path.with_name(f"{path.stem}_pages")
    pages = [folder / f"{name}.html" for name in _names(records)]
    check_output(folder, [path, *pages], overwrite=overwrite)
    output_folder(folder)
    steps = Steps(progress, "report", len(records))
    rows, written = [], []
    folders = _telling_folders(records)
    for record, truth, target, telling in zip(records, truths, pages, folders, strict=True):
        about = {"name": record.info.name, "folder": telling}
        try:
            text, row = page(record, truth), about | _row(record)
        except InputError as error:
            rows.append({**about, "picks": 0, "problem": error.problem})
            logger.warning("No page of %s: %s", record.info.name, error.problem)
        else:
            write_text(target, text, overwrite=overwrite)
            written.append(target)
            rows.append({**row, "href": f"{folder.name}/{target.name}"})
        steps.add(1)
    write_text(path, index(rows, f"{len(rows)} tomograms"), overwrite=overwrite)
    return [path, *written]


def _row(record: Record) -> dict[str, Any]:
    """What the index says of a run."""
    return {
        "problem": "",
        "picks": len(record.picks),
        "expected": expected_precision(record),
        "diameter": record.diameter_angstrom,
        "seconds": sum(record.seconds.values()),
        "warnings": len(record.warnings),
    }


def _telling_folders(records: Sequence[Record]) -> list[str]:
    """For each record the folder that tells it from others of its tomogram's name, or nothing."""
    places = defaultdict[str, set[Path]](set)
    for record in records:
        places[record.info.name].add(record.path.parent)
    several = {name for name, folders in places.items() if len(folders) > 1}
    return [str(one.path.parent) if one.info.name in several else "" for one in records]


def _names(records: Sequence[Record]) -> list[str]:
    """A file name for each record: its tomogram's, numbered where two are the same."""
    names: list[str] = []
    for record in records:
        name = re.sub(r"[^\w.-]+", "_", record.info.name) or "tomogram"
        same = sum(other == name or other.startswith(f"{name}-") for other in names)
        names.append(f"{name}-{same + 1}" if same else name)
    return names
